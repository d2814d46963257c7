//! What can go wrong in the engine, and whether trying again may help.

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An image cannot be used.
    #[error("{name}: {reason}")]
    Image {
        /// What people call the image.
        name: String,
        /// What is wrong with it, and the mend.
        reason: String,
    },
    /// The weights file cannot be used.
    #[error("weights {path}: {reason}")]
    Weights {
        /// The file.
        path: String,
        /// What is wrong with it, and the mend.
        reason: String,
    },
    /// The device that was asked for is not there.
    #[error("device {device}: {reason}")]
    Device {
        /// What was asked for.
        device: String,
        /// Why it cannot be had, and the mend.
        reason: String,
    },
    /// What was asked for makes no sense.
    #[error("{0}")]
    Request(String),
    /// A checkpoint cannot be continued from.
    #[error("its checkpoint cannot be used ({0}): it is begun anew")]
    Checkpoint(String),
    /// The objective is not finite where the optimisation starts, or where it ended.
    #[error("the loss is {0}: lower the weights")]
    NotFinite(f64),
    /// The device's memory does not hold the job.
    #[error("out of memory: {0}: choose a smaller --size or a device with more memory")]
    OutOfMemory(String),
    /// The memory that a job may take does not hold the picture.
    #[error(
        "a picture of {picture} takes at least {:.1} GiB, and {:.1} GiB are allowed: choose a \
         smaller --size or more --memory",
        gib(.needed), gib(.limit)
    )]
    Memory {
        /// Its size.
        picture: String,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that it may take.
        limit: u64,
    },
    /// Anything else that libtorch says.
    #[error("libtorch: {0}")]
    Torch(String),
}

impl Error {
    /// Whether another attempt may succeed where this one did not.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::OutOfMemory(_) | Self::Memory { .. } | Self::Torch(_) | Self::Checkpoint(_)
        )
    }

    pub(crate) fn image(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Image {
            name: name.into(),
            reason: reason.into(),
        }
    }
}

fn gib(bytes: &u64) -> f64 {
    *bytes as f64 / f64::from(1 << 30)
}

impl From<tch::TchError> for Error {
    /// Keeps the first line: libtorch adds a C++ backtrace.
    fn from(error: tch::TchError) -> Self {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim().to_owned();
        let memory = [
            "out of memory",
            "can't allocate memory",
            "not enough memory",
            "alloc_failed",                 // cuBLAS, cuDNN
            "could not create a primitive", // oneDNN, which gives no reason
        ];
        if memory.iter().any(|sign| text.to_lowercase().contains(sign)) {
            Self::OutOfMemory(line)
        } else {
            Self::Torch(line)
        }
    }
}
