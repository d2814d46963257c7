//! How the contract travels: frames over a worker's standard streams ([`pipe`]) and objects in a
//! store ([`store`]).

pub mod pipe;
pub mod store;
