//! Keeps the memory that a process with an engine frees.
//!
//! Every evaluation allocates and frees some gigabytes of activations. By default, glibc gives
//! tensors of more than 32 MB back to the system at once, which has to clear each page again before
//! the next evaluation: at 512 pixels, this takes a quarter of the time (BENCHMARKS.md).
#![expect(
    unsafe_code,
    reason = "the C library's settings have no safe interface"
)]

/// Keeps freed memory for the next evaluation. Call it before there are other threads.
pub fn keep_what_is_freed() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only takes numbers, and no other thread is there yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// Stops keeping freed memory: when memory is short, others need it.
pub(crate) fn stop_keeping() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only takes numbers, and sets them under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 1 << 16);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 17);
    }
    give_back();
}

/// Gives all free memory back to the system: for other processes, or for libraries that do not
/// allocate here.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time, by any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
