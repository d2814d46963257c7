//! Films through ffmpeg and back. The tests make their films with ffmpeg's own sources.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod common;
mod decoding;
mod images;
mod joining;
