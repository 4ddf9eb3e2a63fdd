//! An org, an mOS, and mosync's workers as processes between them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fake_salesforce::dml::Dml;
use fake_salesforce::org::Org;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::judge;
use crate::servers::{self, Servers};

pub(crate) const WORKERS: [&str; 4] = ["listener", "filter", "permission", "loader"];
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How a world begins.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    pub(crate) opportunities: usize,
    pub(crate) seed: u64,
    /// Every owner is a user with permission and no opportunity is closed, so that about three and a
    /// half records for each opportunity are in scope; without, some 1.4.
    pub(crate) all_in_scope: bool,
    pub(crate) mos_request_timeout_s: u64,
    /// How often permissions are read.
    pub(crate) permissions_poll_s: u64,
    /// From how many rows on the Bulk API reads them; `None`: as mosync comes.
    pub(crate) bulk_from: Option<u64>,
    /// No wait takes longer; on a loaded machine most take a second or two.
    pub(crate) patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            opportunities: 60,
            seed: 1,
            all_in_scope: false,
            mos_request_timeout_s: 10,
            permissions_poll_s: 1,
            bulk_from: None,
            patience: Duration::from_secs(150),
        }
    }
}

pub(crate) struct World {
    pub(crate) salesforce: fake_salesforce::server::Running,
    pub(crate) mos: fake_mos::Running,
    pub(crate) folder: TempDir,
    /// The settings in force, for the judge.
    pub(crate) settings: String,
    pub(crate) rabbitmq: String,
    patience: Duration,
    /// Longest that a request takes, a poll interval, and the time without a permission worker, in
    /// which nobody reads permissions.
    pub(crate) slack: Duration,
    servers: Option<OwnedMutexGuard<Servers>>,
    workers: BTreeMap<&'static str, Worker>,
}

/// A process that ends with this value.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        if self.0.kill().is_ok() && self.0.wait().is_ok() {}
    }
}

/// Gives permission to every user, and an open stage to every opportunity.
fn put_all_in_scope(org: &Org) {
    let update = |entity: &str, id: &str, fields: Value| Dml::Update {
        entity: entity.to_owned(),
        id: id.to_owned(),
        fields: fields.as_object().cloned().unwrap(),
    };
    let sets = org.records("PermissionSet");
    let set = sets
        .iter()
        .find(|set| set.text("Name") == Some("mOS_Admin"));
    let set = set.unwrap().id();
    let assignments = org.records("PermissionSetAssignment");
    let holders = assignments
        .iter()
        .filter(|assignment| assignment.text("PermissionSetId") == Some(set))
        .filter_map(|assignment| assignment.text("AssigneeId"))
        .collect::<BTreeSet<_>>();
    let users = org.records("User");
    let mut changes = Vec::new();
    for user in users.iter().filter(|user| user.id() != org.admin_id()) {
        if !user.flag("IsActive") {
            changes.push(update("User", user.id(), json!({"IsActive": true})));
        }
        if !holders.contains(user.id()) {
            let fields = json!({"AssigneeId": user.id(), "PermissionSetId": set});
            changes.push(Dml::Insert {
                entity: "PermissionSetAssignment".to_owned(),
                fields: fields.as_object().cloned().unwrap(),
            });
        }
    }
    let closed = ["Closed Won", "Closed Lost"];
    for deal in org.records("Opportunity") {
        if deal
            .text("StageName")
            .is_some_and(|stage| closed.contains(&stage))
        {
            let open = json!({"StageName": "Prospecting"});
            changes.push(update("Opportunity", deal.id(), open));
        }
    }
    while !changes.is_empty() {
        let rest = changes.split_off(changes.len().min(5_000));
        let batch = std::mem::replace(&mut changes, rest);
        org.transact(org.admin_id(), "the owners", batch).unwrap();
    }
}

/// An mOS on a port of its own.
pub(crate) async fn mos() -> fake_mos::Running {
    let options = fake_mos::Options {
        http: ([127, 0, 0, 1], 0).into(),
        api_key: fake_mos::DEFAULT_API_KEY.to_owned(),
        ..fake_mos::Options::default()
    };
    let mos = fake_mos::start(options, fake_mos::system_clock());
    mos.await.unwrap()
}

/// What a configuration says of Salesforce, in a table to which more can be added.
pub(crate) fn way_to_salesforce(salesforce: &fake_salesforce::server::Running) -> String {
    format!(
        "allow_plaintext = true\n\
         [salesforce]\nlogin_url = \"http://{}\"\nclient_id = {:?}\nclient_secret = {:?}\npubsub_endpoint = \"http://{}\"\nwatchdog_s = 30\n",
        salesforce.http,
        fake_salesforce::server::DEFAULT_CLIENT_ID,
        fake_salesforce::server::DEFAULT_CLIENT_SECRET,
        salesforce.grpc,
    )
}

/// The same of mOS.
pub(crate) fn way_to_mos(mos: &fake_mos::Running) -> String {
    let key = fake_mos::DEFAULT_API_KEY;
    format!("[mos]\nurl = \"http://{}\"\napi_key = {key:?}\n", mos.http)
}

/// What a command answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Answer {
    pub(crate) fn first_line(&self) -> &str {
        self.stdout.lines().next().unwrap_or_default()
    }
}

impl World {
    /// Both stand-ins and a prepared broker; no worker runs yet.
    pub(crate) async fn prepare(options: Options) -> Self {
        let servers = servers::take().await;
        let rabbitmq = servers.rabbit.vhost();
        let mut world = Self::between_stand_ins(options).await;
        let text = format!(
            "[queue]\nrabbitmq_url = {rabbitmq:?}\n[store]\nredis_url = {:?}\ndeployment = \"at-{}\"\n",
            servers.redis.url,
            world.salesforce.http.port(),
        );
        world.configure(&text);
        world.rabbitmq = rabbitmq;
        world.servers = Some(servers);
        let applied = world.mosync(&["topology", "apply"]).await;
        assert_eq!(applied.code, Some(0), "{}", applied.stderr);
        world
    }

    /// Both stand-ins, and a configuration that still lacks queue and stores.
    pub(crate) async fn between_stand_ins(options: Options) -> Self {
        let salesforce = fake_salesforce::server::Options {
            opportunities: Some(options.opportunities).filter(|opportunities| *opportunities > 0),
            seed: options.seed,
            keepalive_s: 1,
            ..fake_salesforce::server::Options::default()
        };
        let salesforce =
            fake_salesforce::server::start(salesforce, fake_salesforce::server::system_clock())
                .await
                .unwrap();
        if options.all_in_scope {
            put_all_in_scope(&salesforce.org);
        }
        let world = Self {
            salesforce,
            mos: mos().await,
            folder: tempfile::tempdir().unwrap(),
            settings: "{}".to_owned(),
            rabbitmq: String::new(),
            patience: options.patience,
            slack: Duration::from_secs(30 + options.permissions_poll_s),
            servers: None,
            workers: BTreeMap::new(),
        };
        let bulk_from = options
            .bulk_from
            .map_or_else(String::new, |rows| format!("bulk_from = {rows}\n"));
        world.configure(&format!(
            "{}request_timeout_s = 10\n{bulk_from}{}request_timeout_s = {}\n[permissions]\npoll_s = {}\n",
            way_to_salesforce(&world.salesforce),
            way_to_mos(&world.mos),
            options.mos_request_timeout_s,
            options.permissions_poll_s,
        ));
        world
    }

    /// Adds to the configuration file.
    pub(crate) fn configure(&self, text: &str) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.config())
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// A world in which all workers run and the first load is done.
    pub(crate) async fn at_rest(options: Options) -> Self {
        let mut world = Self::prepare(options).await;
        world.start_all();
        world.rest().await;
        world
    }

    pub(crate) fn now(&self) -> i64 {
        self.salesforce.org.now_micros()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("mosync.toml")
    }

    pub(crate) fn start_all(&mut self) {
        for worker in WORKERS {
            self.start(worker);
        }
    }

    pub(crate) fn start(&mut self, worker: &'static str) {
        self.start_with(worker, &[]);
    }

    /// Starts a worker with further variables in its environment.
    pub(crate) fn start_with(&mut self, worker: &'static str, variables: &[(&str, &str)]) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(worker))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_mosync"))
            .arg(worker)
            .arg("--config")
            .arg(self.config())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.workers.insert(worker, Worker(child));
    }

    /// Ends a worker without warning, and proves that this was what ended it.
    pub(crate) fn kill9(&mut self, worker: &'static str) {
        let mut killed = self.workers.remove(worker).unwrap();
        killed.0.kill().unwrap();
        assert_eq!(killed.0.wait().unwrap().signal(), Some(9), "{worker}");
    }

    /// What a worker has in memory, as the system tells it; `None` when it has just ended.
    pub(crate) fn resident_mib(&self, worker: &'static str) -> Option<f64> {
        self.memory_mib(worker, "VmRSS:")
    }

    /// No worker has ever had as much in memory since it started.
    pub(crate) fn assert_peaks(&self, mib: f64) {
        for worker in WORKERS {
            let peak = self.memory_mib(worker, "VmHWM:").unwrap();
            assert!(peak < mib, "{worker}: {peak:.1} MiB at most");
        }
    }

    fn memory_mib(&self, worker: &'static str, line: &str) -> Option<f64> {
        let pid = self.workers.get(worker)?.0.id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|told| told.strip_prefix(line))?;
        let kib = line.split_whitespace().next()?.parse::<f64>().ok()?;
        Some(kib / 1024.0)
    }

    /// Stops a worker where it is: it holds what it holds, and takes in what the broker sends.
    pub(crate) fn freeze(&self, worker: &'static str) {
        let pid = self.workers.get(worker).unwrap().0.id().to_string();
        let stopped = Command::new("kill").args(["-STOP", &pid]).status().unwrap();
        assert!(stopped.success());
    }

    /// Runs a command to its end.
    pub(crate) async fn mosync(&self, arguments: &[&str]) -> Answer {
        let config = self.config();
        let mut arguments = arguments.to_vec();
        arguments.extend(["--config", config.to_str().unwrap()]);
        mosync(&arguments).await
    }

    /// `mosync status --json`; `None` while the store or the broker is out of reach. Where it is
    /// Salesforce or mOS, there is a status that says so.
    pub(crate) async fn status(&self) -> Option<Value> {
        let answer = self.mosync(&["status", "--json"]).await;
        match answer.code {
            Some(3) if answer.stdout.trim().is_empty() => None,
            Some(0 | 1 | 3) => {
                let status: Value = serde_json::from_str(&answer.stdout)
                    .unwrap_or_else(|error| panic!("{error}: {} {}", answer.stdout, answer.stderr));
                Some(status).filter(|status| !status["queues"].is_null())
            }
            _ => panic!("{answer:?}"),
        }
    }

    /// Waits until a status fulfils the condition.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + self.patience;
        loop {
            let status = self.status().await;
            if let Some(status) = status.as_ref().filter(|status| condition(status)) {
                return status.clone();
            }
            assert!(
                Instant::now() < deadline,
                "{what} within {:?}; {}\n{}",
                self.patience,
                status.map_or_else(
                    || "a server is out of reach".to_owned(),
                    |status| format!("{:#}", status)
                ),
                self.logs()
            );
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until so many statuses in a row fulfil the condition: what is on its way between two
    /// workers has arrived by then.
    pub(crate) async fn until_lasting(&self, what: &str, condition: impl Fn(&Value) -> bool) {
        let in_a_row = std::cell::Cell::new(0);
        self.until(what, |status| {
            in_a_row.set(if condition(status) {
                in_a_row.get() + 1
            } else {
                0
            });
            in_a_row.get() == 8
        })
        .await;
    }

    /// Waits until mosync says that everything written before now is in mOS or parked.
    pub(crate) async fn rest(&self) -> Value {
        let since = self.now();
        let newer = |time: &Value| time.as_i64().is_some_and(|time| time > since);
        self.until("mosync comes to rest", |status| {
            status["at_rest"] == true
                && newer(&status["stream"]["heard"])
                && newer(&status["permissions_polled"])
        })
        .await
    }

    /// Waits for rest, then asks the oracle, once.
    pub(crate) async fn rest_and_audit(&self, context: &str) -> Value {
        let status = self.rest().await;
        self.audit(context, &[]);
        for job in status["jobs"].as_array().unwrap() {
            assert_ne!(job["mos"], "failed", "{context}: {job:#}\n{}", self.logs());
        }
        assert_eq!(status["parked"], serde_json::json!({}), "{context}");
        assert_eq!(status["dead"], 0, "{context}");
        status
    }

    /// I10: no worker's log holds a secret or anything about a person.
    fn assert_discreet(&self) {
        let org = &self.salesforce.org;
        let people = ["Contact", "User"]
            .into_iter()
            .flat_map(|object| org.records(object));
        let mut secrets = people
            .flat_map(|person| {
                ["Email", "Phone"].map(|field| person.text(field).map(str::to_owned))
            })
            .flatten()
            .filter(|value| !value.is_empty())
            .collect::<Vec<_>>();
        assert!(!secrets.is_empty(), "nobody in the org has an address");
        secrets.push(fake_salesforce::server::DEFAULT_CLIENT_SECRET.to_owned());
        secrets.push(fake_mos::DEFAULT_API_KEY.to_owned());
        for worker in WORKERS {
            let log = std::fs::read_to_string(self.folder.path().join(worker)).unwrap_or_default();
            let told = secrets.iter().find(|secret| log.contains(secret.as_str()));
            assert_eq!(told, None, "the log of the {worker} tells it");
        }
    }

    /// Nothing in scope is missing or stale, nothing was sent out of scope, no log tells too much.
    pub(crate) fn audit(&self, context: &str, parked: &[String]) {
        self.assert_discreet();
        let faults = judge::faults(self, &self.settings, parked);
        assert!(
            faults.is_empty(),
            "{context}:\n{}\n{}",
            faults.join("\n"),
            self.logs()
        );
    }

    /// Changes every opportunity, in one transaction: whoever is in scope, something is to be sent.
    pub(crate) fn touch_all_deals(&self) {
        let org = &self.salesforce.org;
        let touched = org
            .records("Opportunity")
            .into_iter()
            .filter(|deal| !deal.flag("IsDeleted"))
            .map(|deal| {
                let fields = serde_json::json!({"NextStep": format!("at {}", self.now())});
                Dml::Update {
                    entity: "Opportunity".to_owned(),
                    id: deal.id().to_owned(),
                    fields: fields.as_object().unwrap().clone(),
                }
            })
            .collect();
        org.transact(org.admin_id(), "test", touched).unwrap();
    }

    /// Imports a settings document, as the command does; the judge goes by it from then on.
    pub(crate) async fn import(&mut self, settings: &str) {
        let file = self.folder.path().join("settings.json");
        std::fs::write(&file, settings).unwrap();
        let answer = self
            .mosync(&["settings", "import", file.to_str().unwrap()])
            .await;
        assert_eq!(answer.code, Some(0), "{answer:?}");
        self.settings = settings.to_owned();
    }

    /// Does something to the servers that takes a while.
    pub(crate) async fn with_servers(&mut self, deed: impl FnOnce(&mut Servers) + Send + 'static) {
        let mut servers = self.servers.take().unwrap();
        let done = tokio::task::spawn_blocking(move || {
            deed(&mut servers);
            servers
        });
        self.servers = Some(done.await.unwrap());
    }

    /// A channel of the test's own.
    pub(crate) async fn channel(&self) -> (Connection, Channel) {
        let properties = ConnectionProperties::default();
        let connection = Connection::connect(&self.rabbitmq, properties)
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        (connection, channel)
    }

    /// Waits until somebody consumes a queue.
    pub(crate) async fn until_consumed(&self, queue: &str) {
        let deadline = Instant::now() + self.patience;
        let (_connection, channel) = self.channel().await;
        loop {
            let options = QueueDeclareOptions::durable().passive();
            let declared = channel
                .queue_declare(queue.into(), options, FieldTable::default())
                .await
                .unwrap();
            if declared.consumer_count() > 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{queue}\n{}", self.logs());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until the broker offers a message of the queue again. What is looked at here goes
    /// back when the channel closes.
    pub(crate) async fn until_redelivered(&self, queue: &str) {
        let deadline = Instant::now() + self.patience;
        let (connection, channel) = self.channel().await;
        let mut seen = Vec::new();
        loop {
            let got = channel
                .basic_get(queue.into(), BasicGetOptions::default())
                .await
                .unwrap();
            match got {
                Some(message) if message.delivery.redelivered => break,
                Some(message) => seen.push(message),
                None => {
                    assert!(
                        Instant::now() < deadline,
                        "nothing of {queue} comes again; {} messages there are new\n{}",
                        seen.len(),
                        self.logs()
                    );
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
        connection.close(200, "bye".into()).await.unwrap();
    }

    /// Waits until a process has said something with this mark: what follows it, to the next space.
    pub(crate) async fn until_logged(&self, worker: &str, mark: &str) -> String {
        let deadline = Instant::now() + self.patience;
        loop {
            let log = std::fs::read_to_string(self.folder.path().join(worker)).unwrap_or_default();
            let said = log.lines().find_map(|line| line.split_once(mark));
            if let Some((_, rest)) = said {
                return rest.split(' ').next().unwrap_or_default().to_owned();
            }
            assert!(Instant::now() < deadline, "{worker} says {mark}: {log}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// The end of what each worker said.
    fn logs(&self) -> String {
        WORKERS
            .into_iter()
            .map(|worker| {
                let log = std::fs::read_to_string(self.folder.path().join(worker));
                let log = log.unwrap_or_default();
                let lines = log.lines().rev().take(25).collect::<Vec<_>>();
                let lines = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
                format!("--- {worker}\n{lines}\n")
            })
            .collect()
    }
}

/// Runs the executable to its end.
pub(crate) async fn mosync(arguments: &[&str]) -> Answer {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_mosync"))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Units that have been published and are not counted yet.
pub(crate) fn pending(status: &Value) -> u64 {
    let jobs = status["jobs"].as_array().unwrap();
    jobs.iter()
        .map(|job| job["pending"].as_u64().unwrap())
        .sum()
}

/// Messages that nobody holds.
pub(crate) fn ready(status: &Value) -> u64 {
    let queues = status["queues"].as_object().unwrap();
    queues.values().map(|depth| depth.as_u64().unwrap()).sum()
}
