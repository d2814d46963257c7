//! What store and broker know of a fleet, and what people do with its jobs. The `stylefleet`
//! command prints what is read here, and so may whatever else shows a fleet to people.
//!
//! Reads: [`batch`], [`state`], [`status`], [`frames`], [`activity`], [`queue`], [`dead`],
//! [`health`], and [`follow`], a stream of what happens to jobs. Actions: [`submit`], [`cancel`],
//! [`dead::DeadJobs::retry`] and [`discard`](dead::DeadJobs::discard), and [`leftovers`]. All work
//! with any [`Store`](stylefleet_transport::store::Store) and any
//! [`DispatcherEnd`](stylefleet_transport::broker::DispatcherEnd), and nothing here keeps state of
//! its own.
//!
//! Types with `Serialize` are what the command prints with `--json`: the names of their fields are
//! a promise to programs that read them. `tests/schema` has an example of each document.

pub mod activity;
pub mod batch;
pub mod cancel;
pub mod clock;
pub mod dead;
pub mod documents;
pub mod follow;
pub mod frames;
pub mod health;
pub mod leftovers;
pub mod live;
pub mod lost;
pub mod queue;
#[cfg(test)]
mod samples;
pub mod state;
pub mod status;
pub mod submit;
pub mod thumbnail;
