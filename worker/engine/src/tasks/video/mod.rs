//! A chunk of a video, redrawn frame by frame.

mod course;
mod frame;
mod made;
mod optimized;
mod relay;
mod temporal;
#[cfg(test)]
mod tests;
