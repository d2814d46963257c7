//! How a process that has an engine keeps the memory that it frees.
//!
//! Every evaluation allocates and frees some gigabytes of activations. Left to itself, glibc gives
//! tensors of more than 32 MB back to the system at once, which has to clear each page anew before
//! the next evaluation: at 512 pixels a quarter of the time (BENCHMARKS.md).
#![expect(
    unsafe_code,
    reason = "the C library's settings have no safe interface"
)]

/// Keeps what is freed for the next evaluation. To be called before other threads are there.
pub fn keep_what_is_freed() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only takes numbers, and no other thread is there yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// Stops keeping what is freed: where memory is short, everybody needs it.
pub(crate) fn stop_keeping() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only takes numbers, and sets them under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 1 << 16);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 17);
    }
    give_back();
}

/// Gives all that is free back to the system: for others, or for what is not allocated here.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
