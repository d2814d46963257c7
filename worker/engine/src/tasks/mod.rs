//! Kinds of jobs, a folder each.

pub mod stylize;
