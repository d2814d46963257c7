//! `stylefleet dashboard`: a web page over a fleet, and a JSON API.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use stylefleet_dashboard::{Access, Dashboard, DashboardError, Listening, Orders, Token};
use stylefleet_fleet::live::{Connect, Live};
use stylefleet_proto::Build;
use stylefleet_transport::broker::MemoryBroker;
use stylefleet_transport::store::{self, FolderStore, Store};

use crate::brokers;
use crate::commands::run::STORE;
use crate::commands::{CommandError, Ending};
use crate::config::Settings;
use crate::local::Context;
use crate::output::Line;

/// Where it listens unless told otherwise.
pub const ADDRESS: &str = "127.0.0.1:8780";

/// Arguments of `stylefleet dashboard`.
#[derive(Debug, clap::Args)]
pub struct DashboardArgs {
    /// Show what `run`, `train` or `apply` made in DIR instead; needs no store and no broker
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Where it listens; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = ADDRESS)]
    listen: SocketAddr,

    /// A name that browsers reach it by, beside localhost and IP addresses; repeat it for more
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,

    /// The path that it is below, behind a proxy that passes paths on as they are
    #[arg(long, value_name = "PATH", default_value = "/")]
    base_path: String,

    /// Have browsers fetch pictures from the bucket itself, by addresses that expire, which spares
    /// this program the work; they must be able to reach it
    #[arg(long)]
    pictures_from_store: bool,

    /// Let people look who have no token; actions need it all the same
    #[arg(long)]
    read_without_token: bool,
}

/// Runs the command.
pub async fn run(
    args: DashboardArgs,
    settings: &Settings,
    build: Build,
    orders: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Orders>,
) -> Result<Ending, CommandError> {
    let token = token(settings)?;
    let access = Access::new(args.listen, token, args.read_without_token, args.hosts)?;
    let dashboard = match args.folder {
        Some(folder) => {
            let store = Arc::new(FolderStore::new(folder.join(STORE)));
            let live = Live::local(store, MemoryBroker::default());
            Dashboard::new(live, access, build)
        }
        None => {
            let options = settings.broker()?;
            // A page does not wait for a store that is away: it says so, and looks again.
            let store = store::open(&settings.store()?, &settings.s3()).await?;
            let orders = orders(store.clone());
            let connect: Connect = Box::new(move || Box::pin(brokers::open(options.clone())));
            Dashboard::new(Live::new(store, connect), access, build).taking(orders)
        }
    };
    let dashboard = dashboard
        .below(&args.base_path)
        .redirecting(args.pictures_from_store);
    let listening = dashboard.listen(args.listen).await?;
    Line::Result(listening.url()?).print();
    listening.serve().await?;
    Ok(Ending::AllDone)
}

/// Opens the dashboard of a run on this machine.
pub async fn open_local(
    address: SocketAddr,
    settings: &Settings,
    build: Build,
    context: &Context,
) -> Result<Listening, CommandError> {
    let access = Access::new(address, token(settings)?, false, Vec::new())?;
    let live = Live::local(context.store.clone(), context.broker.clone());
    Ok(Dashboard::new(live, access, build).listen(address).await?)
}

/// Works, and serves a page meanwhile, if there is one.
pub async fn beside<T>(
    page: Option<Listening>,
    work: impl Future<Output = T>,
) -> Result<T, DashboardError> {
    let serve = async {
        match page {
            Some(page) => page.serve().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        outcome = work => Ok(outcome),
        served = serve => match served {
            Err(error) => Err(error),
            // It never ends by itself.
            Ok(()) => std::future::pending().await,
        },
    }
}

fn token(settings: &Settings) -> Result<Option<Token>, CommandError> {
    Ok(settings.dashboard_token().map(Token::new).transpose()?)
}
