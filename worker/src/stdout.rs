//! Keeps standard output for this program alone.

use std::os::fd::OwnedFd;

/// Takes standard output and puts standard error in its place, so that a library that prints cannot
/// garble the messages there. Call it before any library can print.
pub fn claim() -> std::io::Result<OwnedFd> {
    let out = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(out)
}
