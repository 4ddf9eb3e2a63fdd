//! An org, an mOS, and `mosync all` between them: the real executable in a process of its own, on
//! the embedded queue and store.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fake_mos::{Fault, RecordType};
use fake_salesforce::dml::Dml;
use fake_salesforce::faults::Fault as SalesforceFault;
use fake_salesforce::org::Org;
use serde_json::{Value, json};
use tempfile::TempDir;
use testkit::process::Guardian;
use tokio::time::Instant;

use crate::{LOOK_AGAIN, PATIENCE};

/// An administrator: holds the permission set mOS admin.
pub const ANNA: &str = "anna.berg@acme.example";
/// An operator, named in the configuration.
pub const OTTO: &str = "otto.winter@acme.example";
/// A viewer, named in the configuration.
pub const VERA: &str = "vera.lind@acme.example";
/// Nobody here.
pub const NILS: &str = "nils.sand@acme.example";

/// Everything that runs for a test.
#[derive(Debug)]
pub struct World {
    /// The org.
    pub salesforce: fake_salesforce::server::Running,
    /// The mOS.
    pub mos: fake_mos::Running,
    /// Where the console is, such as `http://127.0.0.1:4711`.
    pub console: String,
    folder: TempDir,
    executable: PathBuf,
    running: Child,
    guardian: Guardian,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    /// The exit code.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

impl Drop for World {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        drop(self.running.kill().and_then(|()| self.running.wait()));
        self.guardian.dismiss();
    }
}

impl World {
    /// Starts everything, and waits until the first load is done. `more` is added to the
    /// configuration: lines such as `notify.webhook_url = "..."`.
    ///
    /// # Panics
    /// When something does not start.
    pub async fn start(executable: &str, opportunities: usize, more: &str) -> Self {
        let salesforce = fake_salesforce::server::Options {
            opportunities: Some(opportunities),
            keepalive_s: 1,
            ..fake_salesforce::server::Options::default()
        };
        let clock = fake_salesforce::server::system_clock();
        let salesforce = fake_salesforce::server::start(salesforce, clock).await;
        let salesforce = salesforce.expect("the stand-in org starts");
        hire(&salesforce.org);
        let mos = fake_mos::Options {
            http: ([127, 0, 0, 1], 0).into(),
            api_key: fake_mos::DEFAULT_API_KEY.to_owned(),
            ..fake_mos::Options::default()
        };
        let mos = fake_mos::start(mos, fake_mos::system_clock()).await;
        let mos = mos.expect("the stand-in mOS starts");
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("mosync.toml");
        let text = format!(
            "allow_plaintext = true\n\
             salesforce.login_url = \"http://{}\"\n\
             salesforce.client_id = {:?}\n\
             salesforce.client_secret = {:?}\n\
             salesforce.pubsub_endpoint = \"http://{}\"\n\
             mos.url = \"http://{}\"\n\
             mos.api_key = {:?}\n\
             permissions.poll_s = 1\n\
             console.operators = [{OTTO:?}]\n\
             console.viewers = [{VERA:?}]\n\
             embedded.folder = {:?}\n{more}",
            salesforce.http,
            fake_salesforce::server::DEFAULT_CLIENT_ID,
            fake_salesforce::server::DEFAULT_CLIENT_SECRET,
            salesforce.grpc,
            mos.http,
            fake_mos::DEFAULT_API_KEY,
            folder.path().join("data"),
        );
        std::fs::write(&config, text).expect("a configuration");
        let running = run_all(Path::new(executable), folder.path());
        let guardian = Guardian::to_run(&format!(
            "kill -KILL {}; rm -rf '{}'",
            running.id(),
            folder.path().display()
        ));
        let mut world = Self {
            salesforce,
            mos,
            console: String::new(),
            folder,
            executable: executable.into(),
            running,
            guardian,
        };
        world.console = world.address().await;
        world.rest().await;
        world
    }

    /// Where the running process says that its console is.
    async fn address(&mut self) -> String {
        let file = self.folder.path().join("data/console.json");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let told: Option<Value> = serde_json::from_str(&text).ok();
            let address = told.as_ref().and_then(|told| told["address"].as_str());
            if let Some(address) = address {
                return format!("http://{address}");
            }
            let ended = self.running.try_wait().expect("a child of ours");
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "mosync tells where its console is; {}",
                self.log()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The end of what the process said.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(25).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// The address of a page.
    #[must_use]
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.console)
    }

    /// The org's time.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.salesforce.org.now_micros()
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// When it cannot be run.
    pub async fn mosync(&self, arguments: &[&str]) -> Answer {
        let output = tokio::process::Command::new(&self.executable)
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("mosync.toml"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the executable can be run");
        Answer {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `mosync status --json`.
    ///
    /// # Panics
    /// When it fails.
    pub async fn status(&self) -> Value {
        let answer = self.mosync(&["status", "--json"]).await;
        assert!(
            // Healthy, degraded, or something does not answer.
            matches!(answer.code, Some(0 | 1 | 3)),
            "{answer:?}\n{}",
            self.log()
        );
        serde_json::from_str(&answer.stdout).expect("JSON")
    }

    /// Waits until a status fulfils the condition.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status().await;
            if condition(&status) {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "{what} within {PATIENCE:?}; {status:#}\n{}",
                self.log()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until mosync says that everything written before now is in mOS or parked.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn rest(&self) -> Value {
        let since = self.now();
        let newer = |time: &Value| time.as_i64().is_some_and(|time| time > since);
        self.until("mosync comes to rest", |status| {
            status["at_rest"] == true
                && newer(&status["stream"]["heard"])
                && newer(&status["permissions_polled"])
        })
        .await
    }

    /// Waits until administrators are told of it, and the telling has come to its end.
    ///
    /// # Panics
    /// When they are not in time.
    pub async fn until_told(&self, headline: &str) {
        self.until_listed(&format!("{headline} is told"), |listed| {
            let told = listed["notifications"].as_array().into_iter().flatten();
            let mut told = told.filter(|told| told["headline"] == headline);
            told.any(|told| {
                let ways = told["deliveries"].as_array().into_iter().flatten();
                ways.clone().count() > 0 && ways.clone().all(|way| way["state"] == "sent")
            })
        })
        .await;
    }

    /// Waits until what `mosync notify list --json` says fulfils the condition.
    ///
    /// # Panics
    /// When it does not in time.
    pub async fn until_listed(&self, what: &str, condition: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let listed = self.mosync(&["notify", "list", "--json"]).await;
            let told: Value = serde_json::from_str(&listed.stdout).expect("JSON");
            if condition(&told) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{what} within {PATIENCE:?}; {}",
                listed.stdout
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The port of its console.
    ///
    /// # Panics
    /// Never: that is an address.
    #[must_use]
    pub fn port(&self) -> u16 {
        let address = url::Url::parse(&self.console).expect("an address");
        address.port().expect("a port")
    }

    /// Something goes wrong in mOS.
    ///
    /// # Panics
    /// When the stand-in does not know it.
    pub fn break_mos(&self, fault: Fault) {
        self.mos.mos.fault(fault).expect("a fault of mOS");
    }

    /// Something goes wrong in Salesforce.
    pub fn break_salesforce(&self, fault: SalesforceFault) {
        self.salesforce.faults.apply(fault);
    }

    /// A file of this world, with a text; its path.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// Open opportunities that mOS holds, by id.
    #[must_use]
    pub fn open_deals(&self) -> Vec<String> {
        let deals = self.mos.mos.records(RecordType::Opportunity);
        let ids = deals.into_iter().map(|deal| deal.external_id);
        ids.filter(|id| {
            let deal = self.salesforce.org.record("Opportunity", id);
            deal.is_some_and(|deal| !deal.flag("IsClosed"))
        })
        .collect()
    }

    /// Somebody changes a record.
    ///
    /// # Panics
    /// When Salesforce refuses.
    pub fn update(&self, object: &str, id: &str, fields: &Value) {
        let update = Dml::Update {
            entity: object.to_owned(),
            id: id.to_owned(),
            fields: fields.as_object().cloned().unwrap_or_default(),
        };
        let org = &self.salesforce.org;
        let done = org.transact(org.admin_id(), "test", vec![update]);
        done.expect("Salesforce takes the change");
    }
}

/// Everything of mosync in one process.
fn run_all(executable: &Path, folder: &Path) -> Child {
    let log = File::create(folder.join("log")).expect("a log");
    Command::new(executable)
        .args(["all", "--config"])
        .arg(folder.join("mosync.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("mosync starts")
}

/// The people who look at the console.
fn hire(org: &Org) {
    let sets = org.records("PermissionSet");
    let admin = sets
        .iter()
        .find(|set| set.text("Name") == Some("mOS_Admin"));
    let admin = admin.expect("the org has mOS admin").id();
    for (first, last, username) in [
        ("Anna", "Berg", ANNA),
        ("Otto", "Winter", OTTO),
        ("Vera", "Lind", VERA),
        ("Nils", "Sand", NILS),
    ] {
        let user = json!({
            "FirstName": first, "LastName": last, "Username": username, "Email": username,
            "CommunityNickname": first, "IsActive": true, "TimeZoneSidKey": "Europe/Berlin",
        });
        let id = insert(org, "User", &user);
        if username == ANNA {
            let grant = json!({"AssigneeId": id, "PermissionSetId": admin});
            insert(org, "PermissionSetAssignment", &grant);
        }
    }
}

fn insert(org: &Org, object: &str, fields: &Value) -> String {
    let insert = Dml::Insert {
        entity: object.to_owned(),
        fields: fields.as_object().cloned().unwrap_or_default(),
    };
    let done = org.transact(org.admin_id(), "test", vec![insert]);
    let made = done.expect("Salesforce takes the record").pop();
    made.and_then(|made| made.id).expect("a record has an id")
}
