//! Work on this machine: workers as child processes, one per device.

mod crew;
pub mod desk;
pub mod dispatch;
mod scheduler;
mod worker;

pub use worker::Launch;
