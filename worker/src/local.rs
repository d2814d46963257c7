//! The child of `stylefleet run`: jobs come over standard input, events go over standard output,
//! and a folder is the store.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stylefleet_proto::Hello;
use stylefleet_transport::broker::PipeEnd;
use stylefleet_transport::store::FolderStore;
use tokio::fs::File;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::config::Settings;
use crate::engine_thread::EngineThread;
use crate::failure::Failure;
use crate::inputs::Inputs;
use crate::job::WorkerContext;
use crate::kinds::Kinds;
use crate::memory;
use crate::own_store::OwnStore;
use crate::service::{Service, ServiceError};
use crate::signals;

/// Why a local worker stopped without being told to.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The operating system refused something that a worker needs to begin.
    #[error("cannot begin: {0}")]
    System(#[from] std::io::Error),
    /// The engine did not open.
    #[error(transparent)]
    Open(#[from] Failure),
    /// It took jobs, then stopped.
    #[error(transparent)]
    Service(ServiceError),
}

impl LocalError {
    /// Whether the worker failed before it took jobs.
    pub fn is_at_start(&self) -> bool {
        !matches!(self, Self::Service(_))
    }
}

/// Works until told to stop.
pub fn run(
    store: &Path,
    settings: &Settings,
    kinds: Kinds,
    out: OwnedFd,
) -> Result<(), LocalError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(FolderStore::new(store), settings, kinds, out));
    // A read of standard input may still be under way; it is not waited for.
    runtime.shutdown_background();
    ended
}

async fn serve(
    store: FolderStore,
    settings: &Settings,
    kinds: Kinds,
    out: OwnedFd,
) -> Result<(), LocalError> {
    let drain = CancellationToken::new();
    let engine = EngineThread::start(settings.engine()).await?;
    signals::listen(&drain, None)?;
    let hello = Hello {
        worker: settings.name(),
        device: engine.description().device.clone(),
        cuda_devices: engine.description().cuda_devices,
    };
    let input = File::from_std(std::io::stdin().as_fd().try_clone_to_owned()?.into());
    let output = File::from_std(out.into());
    let broker = Arc::new(PipeEnd::open(hello, input, output, &drain));
    let (device, teller) = (engine.description().device.clone(), broker.clone());
    tokio::spawn(memory::tell(device, move |memory| {
        teller.tell_memory(memory)
    }));

    let store = Arc::new(store);
    let context = Arc::new(WorkerContext {
        worker: settings.name().into(),
        kinds,
        // The store is on this machine, as a cache would be.
        inputs: Inputs::new(store.clone(), None),
        own_store: OwnStore::new(store.clone()),
        store,
        read_ahead: settings.read_ahead(engine.description()),
        engine,
        checkpoint_every: settings.checkpoint_every(),
        activity: Activity::default(),
    });
    let service = Service {
        context,
        broker,
        drain,
        // The dispatcher decides whose turn it is.
        slice: Duration::MAX,
    };
    service.run().await.map_err(LocalError::Service)
}
