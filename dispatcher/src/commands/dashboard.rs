//! `stylefleet dashboard`: a web page over a fleet, and a JSON API.

use std::net::SocketAddr;
use std::sync::Arc;

use stylefleet_dashboard::{Access, Dashboard, Orders, Token};
use stylefleet_fleet::live::{Connect, Live};
use stylefleet_transport::broker::BrokerOptions;
use stylefleet_transport::store::Store;

use crate::brokers;
use crate::commands::{CommandError, Ending, open_store};
use crate::config::Settings;
use crate::output::Line;

/// Arguments of `stylefleet dashboard`.
#[derive(Debug, clap::Args)]
pub struct DashboardArgs {
    /// Where it listens; port 0 is any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8780")]
    listen: SocketAddr,

    /// A name that browsers reach it by, beside localhost and IP addresses; repeat it for more
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,

    /// The path that it is below, behind a proxy that passes paths on as they are
    #[arg(long, value_name = "PATH", default_value = "/")]
    base_path: String,

    /// Let people look who have no token; actions need it all the same
    #[arg(long)]
    read_without_token: bool,
}

/// Runs the command.
pub async fn run(
    args: DashboardArgs,
    settings: &Settings,
    orders: impl FnOnce(Arc<dyn Store>, BrokerOptions) -> Arc<dyn Orders>,
) -> Result<Ending, CommandError> {
    let token = settings.dashboard_token().map(Token::new).transpose()?;
    let access = Access::new(args.listen, token, args.read_without_token, args.hosts)?;
    let options = settings.broker()?;
    let store = open_store(settings).await?;
    let orders = orders(store.clone(), options.clone());
    let connect: Connect = Box::new(move || Box::pin(brokers::open(options.clone())));
    let dashboard = Dashboard::new(Live::new(store, connect), access)
        .below(&args.base_path)
        .taking(orders);
    let listening = dashboard.listen(args.listen).await?;
    Line::Result(listening.url()?).print();
    listening.serve().await?;
    Ok(Ending::AllDone)
}
