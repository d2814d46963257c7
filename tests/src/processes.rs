//! Other processes: who they are, how to signal them, how to wait for their end.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// Sends a process a signal, by its name without SIG.
pub fn signal(process: u32, name: &str) {
    let command = format!("kill -s {name} {process}");
    let status = Command::new("sh").args(["-c", &command]).status();
    assert!(status.is_ok_and(|s| s.success()), "{command} failed");
}

/// Lets a process take no more memory than it has now, and so many MiB.
pub fn limit_memory(process: u32, more: u64) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("is alive");
    let has = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let has = has.and_then(|size| size.trim().strip_suffix(" kB"));
    let has: u64 = has.expect("Linux tells").parse().expect("a number");
    let mut prlimit = Command::new("prlimit");
    let limit = format!("--data={}", (has << 10) + (more << 20));
    prlimit.args(["--pid", &process.to_string(), &limit]);
    let status = prlimit.status();
    assert!(status.is_ok_and(|s| s.success()), "{prlimit:?} failed");
}

/// The most memory that a process has had so far, in bytes.
pub fn peak_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("is alive");
    let had = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let had = had.and_then(|size| size.trim().strip_suffix(" kB"));
    let had: u64 = had.expect("Linux tells").parse().expect("a number");
    had << 10
}

/// Waits until a process catches a signal, by its number, which would end it before.
pub fn wait_until_it_catches(process: u32, number: u32) {
    wait_until(&format!("it catches signal {number}"), || {
        let status = fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.unwrap_or_default();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        caught.is_some_and(|mask| mask & 1 << (number - 1) != 0)
    });
}

/// The processes that `parent` started and that have not ended.
pub fn children(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|process| living(*process).is_some_and(|its_parent| its_parent == parent))
        .collect()
}

/// Waits until a process that need not be our child has ended.
pub fn wait_for_end(process: u32, what: &str) {
    wait_until(&format!("{what} has ended"), || living(process).is_none());
}

/// Waits for something that cannot announce itself: looks again and again.
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The parent of a process, if that has not ended.
fn living(process: u32) -> Option<u32> {
    // "pid (name) state parent ...": the name may hold anything, even a bracket.
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_over = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    (!is_over).then_some(parent)
}
