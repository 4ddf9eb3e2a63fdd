//! Ports, waiting, and ending processes by their own id.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// A port on loopback that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("loopback has a free port")
        .port()
}

/// Waits for a condition; panics with `what` when it does not come true in time.
pub(crate) fn wait_for(what: &str, patience: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} within {patience:?}");
        std::thread::sleep(POLL);
    }
}

/// Whether somebody listens there.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Sends a signal (`KILL`, `TERM`) to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    // The process may have ended by itself meanwhile, which is as good.
    let sent = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .output();
    sent.expect("`kill` can be run");
}

/// Whether a process of that id runs (a zombie does not).
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| !rest.trim_start().starts_with('Z'))
    })
}
