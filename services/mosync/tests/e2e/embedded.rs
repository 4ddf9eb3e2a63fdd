//! An org, an mOS, and `mosync all` on a folder between them.

use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

use crate::world::{Answer, mos, mosync, way_to_mos, way_to_salesforce};

/// An org, an mOS, and `mosync all` on a folder.
pub(crate) struct Embedded {
    pub(crate) salesforce: fake_salesforce::server::Running,
    pub(crate) mos: fake_mos::Running,
    pub(crate) folder: TempDir,
    running: Option<Child>,
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.end();
    }
}

impl Embedded {
    pub(crate) async fn prepare() -> Self {
        let salesforce = fake_salesforce::server::Options {
            opportunities: Some(40),
            keepalive_s: 1,
            ..fake_salesforce::server::Options::default()
        };
        let clock = fake_salesforce::server::system_clock();
        let salesforce = fake_salesforce::server::start(salesforce, clock)
            .await
            .unwrap();
        let (mos, folder) = (mos().await, tempfile::tempdir().unwrap());
        let text = format!(
            "{}{}[permissions]\npoll_s = 1\n[embedded]\nfolder = {:?}\n",
            way_to_salesforce(&salesforce),
            way_to_mos(&mos),
            folder.path().join("data"),
        );
        std::fs::write(folder.path().join("mosync.toml"), text).unwrap();
        Self {
            salesforce,
            mos,
            folder,
            running: None,
        }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("mosync.toml")
    }

    /// Runs everything until it says that it does.
    pub(crate) fn start(&mut self) {
        let (running, lines) = run_all(&self.config());
        self.running = Some(running);
        // What it says later has to go somewhere.
        std::thread::spawn(move || lines.count());
    }

    /// Ends it without warning.
    pub(crate) fn end(&mut self) {
        if let Some(mut running) = self.running.take() {
            // Both fail only when it has ended already.
            if running.kill().is_ok() && running.wait().is_ok() {}
        }
    }

    /// Waits for a sync-all to its end.
    pub(crate) async fn sync_all(&self) -> Answer {
        let load = self.mosync(&["sync-all", "--wait"]).await;
        assert_eq!(load.code, Some(0), "{load:?}");
        load
    }

    pub(crate) async fn mosync(&self, arguments: &[&str]) -> Answer {
        let config = self.config();
        let mut arguments = arguments.to_vec();
        arguments.extend(["--config", config.to_str().unwrap()]);
        mosync(&arguments).await
    }
}

/// Runs everything by this configuration until it says that it does; the process, and what it says
/// after that.
pub(crate) fn run_all(config: &Path) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut running = Command::new(env!("CARGO_BIN_EXE_mosync"))
        .args(["all", "--config", config.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("mosync runs")));
    (running, lines)
}
