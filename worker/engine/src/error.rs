//! What can go wrong in the engine, and whether trying again may help.

use crate::Cause;

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An image cannot be used.
    #[error("{name}: {reason}")]
    Image {
        /// What people call the image.
        name: String,
        /// What is wrong with it, and the remedy.
        #[source]
        reason: Cause,
    },
    /// The weights file cannot be used.
    #[error("weights {path}: {reason}")]
    Weights {
        /// The file.
        path: String,
        /// What is wrong with it, and the remedy.
        #[source]
        reason: Cause,
    },
    /// The device that was asked for is not there.
    #[error("device {device}: {reason}")]
    Device {
        /// What was asked for.
        device: String,
        /// Why it cannot be had, and the remedy.
        #[source]
        reason: Cause,
    },
    /// An output cannot be encoded.
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
    /// What was asked for is invalid.
    #[error("{0}")]
    Request(String),
    /// A checkpoint cannot be continued from.
    #[error("its checkpoint cannot be used ({0}): it is begun anew")]
    Checkpoint(#[source] Cause),
    /// A model cannot be used.
    #[error("{name}: {reason}")]
    Model {
        /// What people call it.
        name: String,
        /// What is wrong with it, and the remedy.
        #[source]
        reason: Cause,
    },
    /// An input that the task fetches by itself cannot be had now.
    #[error("{name} cannot be fetched: {reason}")]
    Input {
        /// What people call it.
        name: String,
        /// Why not.
        #[source]
        reason: Cause,
    },
    /// A clip cannot be redrawn.
    #[error("{0}")]
    Clip(#[source] Cause),
    /// ffmpeg is missing or fails on this machine, or there is no room on its disk.
    #[error("{0}")]
    Ffmpeg(#[source] Cause),
    /// There is too little to train on.
    #[error(
        "{readable} of its photographs can be read, and {needed} are needed: give it more with \
         --photos"
    )]
    Photographs {
        /// Photographs that can be read.
        readable: usize,
        /// How many there must be.
        needed: usize,
    },
    /// Training came to numbers that are not finite.
    #[error(
        "training diverged at step {step}: choose a lower --learning-rate or lower weights; its \
         last checkpoint is kept"
    )]
    Diverged {
        /// The step, from 1.
        step: u64,
    },
    /// The objective is not finite where the optimisation starts, or where it ended.
    #[error("the loss is {0}: lower the weights")]
    NotFinite(f64),
    /// The job does not fit into the device's memory.
    #[error("out of memory: {0}: choose a smaller --size or a device with more memory")]
    OutOfMemory(#[source] Cause),
    /// The picture does not fit into the memory that a job may take.
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
    Torch(#[source] Cause),
}

impl Error {
    /// Whether another attempt may succeed where this one did not.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::NoNetwork
                | Self::Input { .. }
                | Self::Ffmpeg(_)
                | Self::OutOfMemory(_)
                | Self::Memory { .. }
                | Self::Torch(_)
                | Self::Checkpoint(_)
        )
    }

    pub(crate) fn image(name: impl Into<String>, reason: impl Into<Cause>) -> Self {
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
    /// Shows the first line alone: libtorch adds a C++ backtrace.
    fn from(error: tch::TchError) -> Self {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default().trim();
        let cause = Cause::new(line, error);
        if is_out_of_memory(&text) {
            Self::OutOfMemory(cause)
        } else {
            Self::Torch(cause)
        }
    }
}

/// libtorch has no error codes, only messages.
fn is_out_of_memory(text: &str) -> bool {
    let phrases = [
        "out of memory",
        "can't allocate memory",
        "not enough memory",
        "alloc_failed",                 // cuBLAS, cuDNN
        "could not create a primitive", // oneDNN, which gives no reason
    ];
    let text = text.to_lowercase();
    phrases.iter().any(|phrase| text.contains(phrase))
}

/// The first error of that type in the chain of sources behind `error`.
#[cfg(test)]
pub(crate) fn source_of<E: std::error::Error + 'static>(
    error: &dyn std::error::Error,
) -> Option<&E> {
    let mut sources = std::iter::successors(error.source(), |&error| error.source());
    sources.find_map(|source| source.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Error {
        tch::TchError::Torch(text.to_owned()).into()
    }

    #[test]
    fn libtorchs_words_say_whether_memory_ran_out() {
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
            let Error::OutOfMemory(cause) = error else {
                panic!("{error:?}");
            };
            assert!(cause.to_string().ends_with(text), "{cause}");
        }
    }

    #[test]
    fn anything_else_is_libtorchs_own() {
        let error = of("The size of tensor a (2) must match\nframe #0: memory");
        let Error::Torch(cause) = error else {
            panic!("{error:?}");
        };
        assert!(cause.to_string().ends_with("must match"), "{cause}");
    }

    #[test]
    fn libtorchs_error_is_the_source() {
        for (text, is_retryable) in [("CUDA out of memory.\nframe #0", true), ("no\nframe", true)] {
            let error = of(text);
            assert_eq!(error.is_retryable(), is_retryable);
            let torch: Option<&tch::TchError> = source_of(&error);
            let torch = torch.expect("is the source").to_string();
            assert!(torch.ends_with(text), "{torch}");
        }
    }
}
