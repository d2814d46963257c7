//! `stylefleet-worker serve`: jobs come from a broker, and an S3 bucket or a folder is the store.

use std::net::SocketAddr;
use std::sync::Arc;

use stylefleet_proto::Build;
use stylefleet_transport::broker::{BrokerError, BrokerOptions, RabbitWorker};
use stylefleet_transport::store::{self, Patience, PatientStore, StoreError};
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::config::{Settings, SettingsError};
use crate::engine_thread::EngineThread;
use crate::failure::Failure;
use crate::health::{self, Health};
use crate::inputs::{Cache, Inputs};
use crate::job::WorkerContext;
use crate::kinds::Kinds;
use crate::memory;
use crate::metrics;
use crate::own_store::OwnStore;
use crate::service::{Service, ServiceError};
use crate::signals;
use crate::weights::{self, WeightsError};

/// If clocks are further apart than this, in seconds, events seem out of order.
const MAX_SKEW: i64 = 60;

/// Why a worker does not serve, or stopped serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Something is not set, or is invalid.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The operating system refused something that a worker needs to begin.
    #[error("cannot begin: {0}")]
    System(#[from] std::io::Error),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker cannot be used.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The weights are not there.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The engine did not open.
    #[error(transparent)]
    Engine(#[from] Failure),
    /// The address for questions about health is taken.
    #[error("cannot answer at {address}: {source}: choose another address with --health")]
    Health {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Metrics cannot be collected.
    #[error("cannot count: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// It took jobs, then stopped.
    #[error(transparent)]
    Service(ServiceError),
}

impl ServeError {
    /// Whether the worker failed before it took jobs.
    pub fn is_at_start(&self) -> bool {
        !matches!(self, Self::Service(_))
    }
}

/// Works until told to stop.
pub fn run(settings: &Settings, build: Build, kinds: Kinds) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(settings, build, kinds));
    runtime.shutdown_background();
    ended
}

async fn serve(settings: &Settings, build: Build, kinds: Kinds) -> Result<(), ServeError> {
    let drain = CancellationToken::new();
    signals::listen(&drain, Some(settings.grace()))?;
    let service = tokio::select! {
        begun = begin(settings, build, kinds, &drain) => begun?,
        // It has no job to give back.
        () = drain.cancelled() => return Ok(()),
    };
    service.run().await.map_err(ServeError::Service)
}

/// Sets up what a worker needs, and checks that all of it works.
async fn begin(
    settings: &Settings,
    build: Build,
    kinds: Kinds,
    drain: &CancellationToken,
) -> Result<Service, ServeError> {
    let name = settings.name();
    let broker = BrokerOptions {
        url: settings.broker()?,
        ca: settings.ca(),
        name: name.clone(),
    };
    let opened = store::open(&settings.store()?, &settings.store_options()).await?;
    let store = Arc::new(PatientStore::new(opened, Patience::Until(drain.clone())));
    let check = store.check().await?;
    if !check.one_writer {
        tracing::warn!("the store has no conditional writes: a job may be finished twice over");
    }
    if check.skew.abs() > MAX_SKEW {
        tracing::warn!(
            "the store's clock is {} s ahead of this machine's",
            check.skew
        );
    }
    weights::ensure(settings, &*store).await?;
    let engine = EngineThread::start(settings.engine()).await?;
    let device = engine.description().device.clone();
    let own_store = OwnStore::new(store.clone());
    let identity = own_store.identity().await?;
    let broker = RabbitWorker::connect(broker, name.clone(), device, identity).await?;
    let broker = Arc::new(broker);
    let (device, teller) = (engine.description().device.clone(), broker.clone());
    tokio::spawn(memory::tell(device, move |memory| {
        teller.tell_memory(memory)
    }));

    let cache = Cache::new(settings.cache().join("inputs"), settings.cache_bytes());
    let context = Arc::new(WorkerContext {
        worker: name.as_str().into(),
        kinds,
        inputs: Inputs::new(store.clone(), Some(cache)),
        own_store,
        store: store.clone(),
        read_ahead: settings.read_ahead(engine.description()),
        engine,
        checkpoint_every: settings.checkpoint_every(),
        activity: Activity::default(),
    });
    if let Some(address) = settings.health()? {
        let numbers = metrics::install(build, &context.kinds, context.engine.description())?;
        let health = Health {
            context: context.clone(),
            broker: broker.clone(),
            store,
            drain: drain.clone(),
            numbers,
        };
        let answering = health::serve(address, health).await;
        answering.map_err(|source| ServeError::Health { address, source })?;
    }
    let device = &context.engine.description().device;
    tracing::info!("{name} takes jobs on {device}");
    Ok(Service {
        context,
        broker,
        drain: drain.clone(),
        slice: settings.slice(),
    })
}
