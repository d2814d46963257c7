//! A web page over a fleet, and the JSON API that it uses, for people and for other programs:
//! batches, jobs, workers, queues and dead letters, as [`stylefleet_fleet`] reads them.
//!
//! [`Listening::serve`] answers until it is dropped. [`openapi`] describes the API.

mod access;
mod api;
mod app;
mod assets;
mod error;
mod files;
mod metrics;
mod submit;
mod thumbnails;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

pub use access::{Access, AccessError, Token};
pub use api::openapi;
pub use app::Dashboard;
pub use submit::{
    ImageDocument, Offer, Ordered, Orders, ParameterOffer, Picked, PresetOffer, Refused,
    StyleOffer, Wish,
};

/// Why a dashboard ends.
#[derive(Debug, thiserror::Error)]
pub enum DashboardError {
    /// It cannot listen.
    #[error("cannot listen at {address}: {source}: is another program there? Choose with --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The server failed.
    #[error("the dashboard cannot go on: {0}")]
    Serve(#[source] std::io::Error),
}

/// A dashboard that listens.
pub struct Listening {
    listener: TcpListener,
    dashboard: Arc<Dashboard>,
}

impl Dashboard {
    /// Listens at `address`; port 0 is any that is free.
    pub async fn listen(mut self, address: SocketAddr) -> Result<Listening, DashboardError> {
        self.admit_store().await;
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| DashboardError::Listen { address, source })?;
        Ok(Listening {
            listener,
            dashboard: Arc::new(self),
        })
    }
}

impl Listening {
    /// The page's address.
    pub fn url(&self) -> Result<String, DashboardError> {
        let address = self.listener.local_addr().map_err(DashboardError::Serve)?;
        Ok(format!("http://{address}{}", self.dashboard.base_path()))
    }

    /// Answers, and keeps what is known of the fleet current, until this is dropped.
    pub async fn serve(self) -> Result<(), DashboardError> {
        let router = api::router(self.dashboard.clone());
        let served = axum::serve(self.listener, router);
        tokio::select! {
            served = served => served.map_err(DashboardError::Serve),
            () = self.dashboard.live.keep_current() => Ok(()),
        }
    }
}
