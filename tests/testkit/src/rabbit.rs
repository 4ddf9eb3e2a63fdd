//! A `RabbitMQ` node of one's own: private name, ports, folders and epmd, loopback only.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Guardian, free_port, listens, runs, signal, wait_for};

const START: Duration = Duration::from_secs(90);
const END: Duration = Duration::from_secs(30);
/// Virtual hosts that a node is born with, for [`Rabbit::vhost`].
const VHOSTS: u32 = 64;

/// Idle schedulers do not spin. And where a dead-lettered message finds no queue, as may happen
/// while a node starts and its queues come up one after the other, it is tried again after ten
/// seconds and not after three minutes (named `..._ms` from 4.3 on).
const ERLANG: &str = "+sbwt none +sbwtdcpu none +sbwtdio none \
    -rabbit dead_letter_worker_publisher_confirm_timeout 10000 \
    -rabbit dead_letter_worker_publisher_confirm_timeout_ms 10000";

/// A running `RabbitMQ` node. It ends, with its epmd and its folders, when this is dropped.
#[derive(Debug)]
pub struct Rabbit {
    /// The default virtual host's address.
    pub url: String,
    port: u16,
    dist_port: u16,
    epmd_port: u16,
    node: String,
    /// The root to change into, for a broker of another Debian release.
    root: Option<PathBuf>,
    home: TempDir,
    script: Option<Child>,
    pid: u32,
    vhosts: AtomicU32,
    guardian: Option<Guardian>,
}

/// The start script of the version installed below a root.
fn start_script(root: &Path) -> Option<PathBuf> {
    let versions = root.join("usr/lib/rabbitmq/lib");
    std::fs::read_dir(versions)
        .ok()?
        .flatten()
        .map(|entry| entry.path().join("sbin/rabbitmq-server"))
        .find(|script| script.is_file())
}

/// Whether this machine has what [`Rabbit::start`] starts.
pub(crate) fn is_installed() -> bool {
    start_script(Path::new("/")).is_some()
}

impl Rabbit {
    /// Starts the `RabbitMQ` that this machine's Debian package installed.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_under(None)
    }

    /// Starts the `RabbitMQ` of a root made by `tests/packages.sh 4 FOLDER`; needs to be root.
    ///
    /// # Panics
    /// When there is none, or it does not start.
    #[must_use]
    pub fn start_in(root: &Path) -> Self {
        Self::start_under(Some(root.to_owned()))
    }

    /// The `RabbitMQ` 4.x that the environment names (`MOSYNC_BROKER4_ROOT`), where it does.
    #[must_use]
    pub fn start_4() -> Option<Self> {
        let root = std::env::var_os("MOSYNC_BROKER4_ROOT")?;
        Some(Self::start_in(Path::new(&root)))
    }

    fn start_under(root: Option<PathBuf>) -> Self {
        let home = match &root {
            None => tempfile::Builder::new().prefix("rabbit").tempdir(),
            Some(root) => tempfile::Builder::new()
                .prefix("rabbit")
                .tempdir_in(root.join("tmp")),
        }
        .expect("a temporary folder can be made");
        let port = free_port();
        let mut rabbit = Self {
            url: format!("amqp://guest:guest@127.0.0.1:{port}/%2f"),
            port,
            dist_port: free_port(),
            epmd_port: free_port(),
            node: format!("mosync{port}@localhost"),
            root,
            home,
            script: None,
            pid: 0,
            vhosts: AtomicU32::new(0),
            guardian: None,
        };
        rabbit.configure();
        rabbit.guardian = Some(Guardian::to_run(&rabbit.last_will()));
        rabbit.launch();
        rabbit
    }

    /// The address of a virtual host that nobody else was given.
    ///
    /// # Panics
    /// When all have been given away.
    pub fn vhost(&self) -> String {
        let number = self.vhosts.fetch_add(1, Ordering::Relaxed);
        assert!(number < VHOSTS, "a node has {VHOSTS} spare virtual hosts");
        format!("amqp://guest:guest@127.0.0.1:{}/v{number}", self.port)
    }

    /// The port it listens on.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process id of its `beam.smp`.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends it without warning.
    ///
    /// # Panics
    /// When it does not go.
    pub fn kill9(&mut self) {
        self.end("KILL");
    }

    /// Starts it again over the same folders; ends it first, orderly, when it still runs.
    ///
    /// # Panics
    /// When it does not stop or start.
    pub fn restart(&mut self) {
        self.end("TERM");
        self.launch();
    }

    /// Ends it orderly, and its epmd with it.
    ///
    /// # Panics
    /// When its port stays open.
    pub fn stop(&mut self) {
        self.end("TERM");
        self.end_epmd();
        let (port, epmd) = (self.port, self.epmd_port);
        wait_for("RabbitMQ's ports close", END, || {
            !listens(port) && !listens(epmd)
        });
    }

    /// Waits until the exchanges, queues and bindings that were declared are on disk. `RabbitMQ`
    /// answers a declare before that, and one that is killed soon after has lost it (Mnesia writes
    /// its log with a delay). Messages are not meant: their confirms wait for the disk.
    ///
    /// # Panics
    /// When the node does not do it.
    pub fn write_down_declared(&self) {
        // Without Mnesia, metadata is kept as messages are.
        const WRITE_DOWN: &str = "case mnesia:system_info(is_running) of yes -> mnesia:dump_log(), mnesia:sync_log(); _ -> ok end.";
        self.eval(WRITE_DOWN);
    }

    /// Lets it be short of memory, in which it takes no messages, or have enough again. Whoever
    /// publishes from then on is told.
    ///
    /// # Panics
    /// When the node does not do it.
    pub fn be_short_of_memory(&self, short: bool) {
        // Everybody has heard of an alarm by the time it is listed.
        self.eval(if short {
            "rabbit_alarm:set_alarm({{resource_limit, memory, node()}, []}), rabbit_alarm:get_alarms(), ok."
        } else {
            "rabbit_alarm:clear_alarm({resource_limit, memory, node()}), rabbit_alarm:get_alarms(), ok."
        });
    }

    /// Has the node do something that answers `ok`.
    fn eval(&self, erlang: &str) {
        let server = self.program();
        let control = server.replace("rabbitmq-server", "rabbitmqctl");
        let done = self
            .command(&control)
            .args(["--node", &self.node, "eval", erlang])
            .env("HOME", self.inside(""))
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("RABBITMQ_CONF_ENV_FILE", self.inside("no-such-file"))
            .output()
            .expect("rabbitmqctl can be run; it comes with RabbitMQ");
        assert_eq!(
            String::from_utf8_lossy(&done.stdout).trim(),
            "ok",
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    fn end(&mut self, how: &str) {
        let pid = self.pid;
        if pid == 0 {
            return;
        }
        signal(pid, how);
        wait_for("RabbitMQ ends", END, || !runs(pid));
        self.pid = 0;
        if let Some(mut script) = self.script.take() {
            script.wait().expect("the start script ends with its node");
        }
    }

    /// What ends the node when this process is killed.
    fn last_will(&self) -> String {
        let home = self.home.path().display();
        let chroot = match &self.root {
            None => String::new(),
            Some(root) => format!("chroot {} ", root.display()),
        };
        format!(
            "kill -9 $(cat {home}/pid); sleep 1; ERL_EPMD_RELAXED_COMMAND_CHECK=1 {chroot}epmd -port {} -kill; rm -rf {home}",
            self.epmd_port
        )
    }

    fn end_epmd(&self) {
        // It refuses, harmlessly, when it is gone already.
        let asked = self
            .command("epmd")
            .args(["-port", &self.epmd_port.to_string(), "-kill"])
            .env("ERL_EPMD_RELAXED_COMMAND_CHECK", "1")
            .output();
        asked.expect("`epmd` can be run; it comes with the package erlang-base");
    }

    /// A folder of ours as the node sees it.
    fn inside(&self, name: &str) -> PathBuf {
        let path = self.home.path().join(name);
        match &self.root {
            None => path,
            Some(root) => Path::new("/").join(path.strip_prefix(root).expect("it lies inside")),
        }
    }

    fn command(&self, program: &str) -> Command {
        match &self.root {
            None => Command::new(program),
            Some(root) => {
                let mut command = Command::new("chroot");
                command.arg(root).arg(program);
                command
            }
        }
    }

    /// The start script behind the package's wrapper, which would change the user.
    fn program(&self) -> String {
        let root = self.root.clone().unwrap_or_else(|| PathBuf::from("/"));
        let script = start_script(&root).expect(
            "RabbitMQ is not installed: run tests/packages.sh, or install the Debian package rabbitmq-server",
        );
        let inside = script.strip_prefix(&root).expect("it lies inside");
        Path::new("/").join(inside).display().to_string()
    }

    fn configure(&self) {
        let names = std::iter::once("/".to_owned()).chain((0..VHOSTS).map(|n| format!("v{n}")));
        let (mut vhosts, mut rights) = (Vec::new(), Vec::new());
        for name in names {
            vhosts.push(format!(r#"{{"name":"{name}"}}"#));
            rights.push(format!(
                r#"{{"user":"guest","vhost":"{name}","configure":".*","write":".*","read":".*"}}"#
            ));
        }
        let definitions = format!(
            r#"{{"users":[{{"name":"guest","password":"guest","tags":"administrator"}}],"vhosts":[{}],"permissions":[{}]}}"#,
            vhosts.join(","),
            rights.join(",")
        );
        let config = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\nload_definitions = {}\nraft.wal_max_size_bytes = 16777216\nvm_memory_high_watermark.relative = 0.8\ndisk_free_limit.absolute = 50MB\n",
            self.port,
            self.inside("definitions.json").display()
        );
        for (name, content) in [
            ("definitions.json", definitions.as_str()),
            ("rabbitmq.conf", config.as_str()),
            ("enabled_plugins", "[].\n"),
        ] {
            std::fs::write(self.home.path().join(name), content).expect("a file can be written");
        }
    }

    fn launch(&mut self) {
        let pid_file = self.home.path().join("pid");
        if pid_file.exists() {
            std::fs::remove_file(&pid_file).expect("an old pid file can be removed");
        }
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.home.path().join("output"))
            .expect("a file can be opened");
        let script = self
            .command(&self.program())
            .env("HOME", self.inside(""))
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_RELAXED_COMMAND_CHECK", "1")
            .env("RABBITMQ_MNESIA_BASE", self.inside("data"))
            .env("RABBITMQ_LOG_BASE", self.inside("log"))
            .env("RABBITMQ_CONFIG_FILE", self.inside("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", self.inside("no-such-file"))
            .env(
                "RABBITMQ_ADVANCED_CONFIG_FILE",
                self.inside("no-such.config"),
            )
            .env("RABBITMQ_GENERATED_CONFIG_DIR", self.inside("generated"))
            .env("RABBITMQ_SCHEMA_DIR", self.inside("schema"))
            .env(
                "RABBITMQ_ENABLED_PLUGINS_FILE",
                self.inside("enabled_plugins"),
            )
            .env("RABBITMQ_PID_FILE", self.inside("pid"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a file handle can be copied"))
            .stderr(output)
            .spawn()
            .expect("RabbitMQ's start script can be run");
        self.script = Some(script);
        let port = self.port;
        let log = self.home.path().join("output");
        let deadline = std::time::Instant::now() + START;
        while !greets(port) {
            let ended = self
                .script
                .as_mut()
                .is_some_and(|script| script.try_wait().is_ok_and(|status| status.is_some()));
            assert!(
                !ended && std::time::Instant::now() < deadline,
                "RabbitMQ did not start; it said:\n{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self.pid = std::fs::read_to_string(&pid_file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .expect("a node that answers has written its process id");
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        if self.pid != 0 {
            signal(self.pid, "KILL");
        }
        if let Some(mut script) = self.script.take()
            && let Err(error) = script.wait()
        {
            eprintln_once(&format!("RabbitMQ's start script: {error}"));
        }
        self.end_epmd();
        if let Some(guardian) = &mut self.guardian {
            guardian.dismiss();
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the only place to say it while a test unwinds"
)]
fn eprintln_once(what: &str) {
    eprintln!("{what}");
}

/// Whether an AMQP server answers the protocol header there.
fn greets(port: u16) -> bool {
    let greeting = || -> std::io::Result<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"AMQP\x00\x00\x09\x01")?;
        let mut first = [0_u8; 1];
        stream.read_exact(&mut first)?;
        Ok(first[0])
    };
    // A method frame: connection.start.
    greeting().is_ok_and(|kind| kind == 1)
}
