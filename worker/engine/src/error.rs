//! What can go wrong in the engine, and whether trying again may help.

/// Why a task came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An image cannot be used.
    #[error("{name}: {reason}")]
    Image {
        /// What people call the image.
        name: String,
        /// What is wrong with it, and the remedy.
        reason: String,
    },
    /// The weights file cannot be used.
    #[error("weights {path}: {reason}")]
    Weights {
        /// The file.
        path: String,
        /// What is wrong with it, and the remedy.
        reason: String,
    },
    /// The device that was asked for is not there.
    #[error("device {device}: {reason}")]
    Device {
        /// What was asked for.
        device: String,
        /// Why it cannot be had, and the remedy.
        reason: String,
    },
    /// A file that was made cannot be encoded.
    #[error("its {role} cannot be encoded: {source}: please report this")]
    Encoding {
        /// What the file is to the job.
        role: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The task needs a network.
    #[error(
        "it needs a network, and this worker has no weights of any: give the worker weights of \
         VGG19 or VGG16"
    )]
    NoNetwork,
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
            Self::NoNetwork
                | Self::OutOfMemory(_)
                | Self::Memory { .. }
                | Self::Torch(_)
                | Self::Checkpoint(_)
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
        if is_want_of_memory(&text) {
            Self::OutOfMemory(line)
        } else {
            Self::Torch(line)
        }
    }
}

/// libtorch has no codes for errors, only words.
fn is_want_of_memory(text: &str) -> bool {
    let signs = [
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "alloc_failed",                 // cuBLAS, cuDNN
        "could not create a primitive", // oneDNN, which gives no reason
    ];
    let text = text.to_lowercase();
    signs.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Error {
        tch::TchError::Torch(text.to_owned()).into()
    }

    #[test]
    fn want_of_memory_is_told_by_libtorchs_words() {
        for text in [
            "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has 1 GiB",
            "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate \
             memory: you tried to allocate 9 bytes. Error code 12 (Cannot allocate memory)",
            "[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory: you \
             tried to allocate 9 bytes.",
            "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
            "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
            "could not create a primitive",
        ] {
            let error = of(&format!("  {text}\nException raised from here:\nframe #0"));
            assert!(error.is_retryable());
            let Error::OutOfMemory(line) = error else {
                panic!("{error:?}");
            };
            assert!(line.ends_with(text), "{line}");
        }
    }

    #[test]
    fn anything_else_is_libtorchs_own() {
        let error = of("The size of tensor a (2) must match\nframe #0: memory");
        assert!(matches!(error, Error::Torch(line) if line.ends_with("must match")));
    }
}
