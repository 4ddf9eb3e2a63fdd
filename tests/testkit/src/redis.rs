//! A Redis of one's own: append-only with an fsync before every answer, loopback only.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Guardian, free_port, listens, runs, signal, wait_for};

const START: Duration = Duration::from_secs(20);

/// A running Redis. It ends, with its folder, when this is dropped.
#[derive(Debug)]
pub struct Redis {
    /// Its address.
    pub url: String,
    port: u16,
    home: TempDir,
    server: Option<Child>,
    guardian: Guardian,
}

impl Redis {
    /// Starts the Redis that this machine's Debian package installed.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        let port = free_port();
        let home = tempfile::Builder::new()
            .prefix("redis")
            .tempdir()
            .expect("a temporary folder can be made");
        let folder = home.path().display();
        let guardian = Guardian::to_run(&format!(
            "kill -9 $(cat {folder}/pid); sleep 1; rm -rf {folder}"
        ));
        let mut redis = Self {
            url: format!("redis://127.0.0.1:{port}/"),
            port,
            home,
            server: None,
            guardian,
        };
        redis.launch();
        redis
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it without warning.
    ///
    /// # Panics
    /// When it does not go.
    pub fn kill9(&mut self) {
        self.end("KILL");
    }

    /// Starts it again over the same folder; ends it first, orderly, when it still runs.
    ///
    /// # Panics
    /// When it does not stop or start.
    pub fn restart(&mut self) {
        self.end("TERM");
        self.launch();
    }

    /// Ends it orderly.
    ///
    /// # Panics
    /// When its port stays open.
    pub fn stop(&mut self) {
        self.end("TERM");
        let port = self.port;
        wait_for("Redis's port closes", START, || !listens(port));
    }

    fn end(&mut self, how: &str) {
        if let Some(mut server) = self.server.take() {
            let pid = server.id();
            signal(pid, how);
            wait_for("Redis ends", START, || !runs(pid));
            server.wait().expect("Redis has ended");
        }
    }

    fn launch(&mut self) {
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("output"))
            .expect("a file can be opened");
        let server = Command::new("redis-server")
            .args(["--port", &self.port.to_string()])
            .args(["--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(self.home.path())
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .arg("--pidfile")
            .arg(self.home.path().join("pid"))
            .args(["--save", "", "--maxmemory-policy", "noeviction"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            .spawn()
            .expect("Redis is not installed: run tests/packages.sh, or install the Debian package redis-server");
        self.server = Some(server);
        let port = self.port;
        wait_for("Redis answers", START, || answers(port));
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Both fail only when it has ended already.
            if server.kill().is_ok() && server.wait().is_ok() {}
        }
        self.guardian.dismiss();
    }
}

/// Whether it has loaded its data and answers.
fn answers(port: u16) -> bool {
    let pong = || -> std::io::Result<[u8; 5]> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"PING\r\n")?;
        let mut answer = [0_u8; 5];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    pong().is_ok_and(|answer| &answer == b"+PONG")
}
