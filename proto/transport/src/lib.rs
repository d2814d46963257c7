//! How the contract travels: jobs and events through a broker ([`broker`]) or over a worker's
//! standard streams ([`pipe`]), and objects in a store ([`store`]).

mod authorities;
pub mod broker;
pub mod pipe;
pub mod store;

pub use authorities::AuthoritiesError;
pub use stylefleet_model::Cause;
