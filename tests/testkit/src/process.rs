//! Ports, waiting, and ending processes by their own id.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
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

/// Cleans up after a test process that was killed, or that keeps its servers in a static: a shell
/// that waits for the end of its standard input, which comes when this process ends in any way.
#[derive(Debug)]
pub struct Guardian(Child);

impl Guardian {
    /// Runs the commands when this process has ended without [`Self::dismiss`].
    ///
    /// # Panics
    /// When no shell can be run.
    #[must_use]
    pub fn to_run(commands: &str) -> Self {
        let script = format!("read -r word; test \"$word\" = dismissed && exit 0; {commands}");
        let child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of a Ctrl-C that ends the tests.
            .process_group(0)
            .spawn()
            .expect("a shell can be run");
        Self(child)
    }

    /// All has been cleaned up already.
    ///
    /// # Panics
    /// When it has been ended by somebody else.
    pub fn dismiss(&mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            input
                .write_all(b"dismissed\n")
                .expect("the guardian listens");
        }
        self.0.wait().expect("the guardian ends");
    }
}
