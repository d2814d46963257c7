//! One run of the program.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use clap::Command;
use futures_util::FutureExt;
use stylefleet_dashboard::Orders;
use stylefleet_proto::Build;
use stylefleet_transport::store::Store;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::commands::{
    self, CommandError, DashboardArgs, Ending, FleetCommand, RunArgs, SubmitArgs,
};
use crate::config::Settings;
use crate::order::Order;
use crate::signals::Signals;

/// What a command works with: settings, signals that end it, and the command line that it is one
/// of.
pub struct Session {
    settings: Settings,
    signals: Signals,
    build: Build,
    program: Command,
}

impl Session {
    /// Takes the signals over.
    pub(crate) fn begin(
        settings: Settings,
        build: Build,
        program: Command,
    ) -> Result<Self, CommandError> {
        let signals = Signals::listen().map_err(CommandError::Signals)?;
        Ok(Self {
            settings,
            signals,
            build,
            program,
        })
    }

    /// Does jobs on this machine.
    pub async fn run<O: Order>(mut self, args: RunArgs<O>) -> Result<Ending, CommandError> {
        // It has workers to stop, and handles a second signal too.
        let span = stylefleet_telemetry::root(tracing::info_span!("run"));
        let run = commands::run(args, &self.settings, self.build, &mut self.signals);
        run.instrument(span).await
    }

    /// Submits jobs to the fleet.
    pub async fn submit<O: Order>(self, args: SubmitArgs<O>) -> Result<Ending, CommandError> {
        let stop = CancellationToken::new();
        let work = commands::submit(args, &self.settings, &stop);
        until_signal(work, self.signals, &stop).await
    }

    /// Shows the fleet on a web page. `orders` makes what takes orders there, for a fleet with a
    /// store.
    pub async fn dashboard(
        self,
        args: DashboardArgs,
        orders: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Orders>,
    ) -> Result<Ending, CommandError> {
        let work = commands::dashboard(args, &self.settings, self.build, orders);
        until_signal(work, self.signals, &CancellationToken::new()).await
    }

    /// Does what needs the fleet's store.
    pub async fn with_store<F: Future<Output = Result<Ending, CommandError>>>(
        self,
        work: impl FnOnce(Arc<dyn Store>) -> F,
    ) -> Result<Ending, CommandError> {
        let store = commands::open_store(&self.settings).await?;
        until_signal(work(store), self.signals, &CancellationToken::new()).await
    }

    /// Runs a command of the fleet.
    pub async fn fleet(self, command: FleetCommand) -> Result<Ending, CommandError> {
        let stop = CancellationToken::new();
        let work = command.run(&self.settings, self.program, &stop);
        until_signal(work, self.signals, &stop).await
    }
}

/// Does the work, until a signal comes.
async fn until_signal(
    work: impl Future<Output = Result<Ending, CommandError>>,
    mut signals: Signals,
    stop: &CancellationToken,
) -> Result<Ending, CommandError> {
    let mut work = pin!(work);
    tokio::select! {
        ended = &mut work => return ended,
        () = signals.recv() => stop.cancel(),
    }
    // What is to end gracefully does so at once; all else is dropped where it stands.
    work.now_or_never().unwrap_or(Ok(Ending::Interrupted))
}
