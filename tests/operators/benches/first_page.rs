//! How long the first page of each list takes, of a console with many jobs and a long log, and what
//! its live pages cost:
//!
//!     cargo bench -p operators --bench first_page [-- JOBS LINES]
//!
//! The console runs as a process of its own, once on the embedded store and once on a Redis that
//! fsyncs every write, with the stand-in org over HTTP. Every page is asked for on a new connection
//! by an administrator who has just signed in. It fails when a bar is not met.
#![expect(clippy::print_stdout, reason = "the figures are for a person")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use async_trait::async_trait;
use axum::body::Body;
use console::api::{Keys, Server};
use console::people::People;
use console::{Console, Operations, Web, token};
use domain::job::{Job, JobId, JobKind, JobScope, SalesforceStatus};
use domain::permission::{Grant, PermissionSnapshot};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, SalesforceId, Timestamp};
use embedded::{Embedded, Location};
use fake_salesforce::org::Org;
use fake_salesforce::server::{Options, serve, system_clock};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{Method, Request, header};
use hyper_util::rt::TokioIo;
use ports::Clock as _;
use ports::queue::Queue;
use ports::sign_in::{Identity, Invitation, Return, SignIn, SignInError};
use ports::stores::{LogEntry, LogLevel, Report, Session, Stores, WorkerState};
use runtime::figures;
use runtime::time::SystemClock;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const JOBS: usize = 1_000;
const LINES: usize = 100_000;
/// How often each page is asked for.
const ROUNDS: usize = 40;
/// Pages that are open at the same time.
const OPEN: usize = 200;
/// For so long they are.
const LIVE: Duration = Duration::from_secs(30);
/// The bars: the slowest but one of twenty, and the console's share of a core.
const MOST_MS: f64 = 100.0;
const MOST_PERCENT: f64 = 5.0;
/// Stores are filled with so many calls at a time.
const AT_A_TIME: usize = 200;
/// The record that the log names seldom.
const RECORD: &str = "006000000000777AAA";
/// Words that one line has, the oldest but a few.
const RARE: &str = "a needle in this haystack";

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let Some(place) = words.iter().position(|word| word == "--serve") {
        let told = words.get(place + 1).context("serve what?")?;
        return runtime.block_on(serve_console(&serde_json::from_str(told)?));
    }
    let mut numbers = words.iter().filter_map(|word| word.parse().ok());
    let jobs = numbers.next().unwrap_or(JOBS);
    let lines = numbers.next().unwrap_or(LINES);
    runtime.block_on(measure_both(jobs, lines))
}

/// What the console's process is told.
#[derive(serde::Serialize, serde::Deserialize)]
struct Told {
    /// Of the embedded store, or of its queue alone.
    folder: String,
    redis: Option<String>,
    org: String,
    events: String,
    client: (String, String),
    jobs: usize,
    lines: usize,
}

async fn measure_both(jobs: usize, lines: usize) -> anyhow::Result<()> {
    let org = Org::new(system_clock(), 1);
    let options = Options::default();
    let client = (options.client_id.clone(), options.client_secret.clone());
    let running = serve(options, org).await?;
    let mut missed = Vec::new();
    for with_redis in [false, true] {
        let folder = tempfile::tempdir()?;
        let redis = with_redis.then(testkit::Redis::start);
        let told = Told {
            folder: folder.path().to_string_lossy().into_owned(),
            redis: redis.as_ref().map(|redis| redis.url.clone()),
            org: running.instance_url().to_owned(),
            events: format!("http://{}", running.grpc),
            client: client.clone(),
            jobs,
            lines,
        };
        let name = if with_redis { "Redis" } else { "embedded" };
        let begun = Instant::now();
        let mut process = Process::start(&told)?;
        println!(
            "{name}: {jobs} jobs and {lines} lines of the log, filled in {:.1?}",
            begun.elapsed()
        );
        missed.extend(measure_pages(name, &mut process).await?);
        missed.extend(measure_live(name, &mut process).await?);
    }
    running.stop().await;
    ensure!(missed.is_empty(), "missed: {}", missed.join("; "));
    println!("all bars are met");
    Ok(())
}

/// The console's process, which ends when this is dropped.
struct Process {
    child: Child,
    address: SocketAddr,
    /// Sessions that nobody has used yet.
    cookies: Vec<String>,
    job: String,
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            let _ended = self.child.wait();
        }
    }
}

impl Process {
    fn start(told: &Told) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", &serde_json::to_string(told)?])
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let (address, job, cookies): (SocketAddr, String, Vec<String>) =
            serde_json::from_str(&line).context("the console did not start")?;
        Ok(Self {
            child,
            address,
            cookies,
            job,
        })
    }

    /// Of somebody who has just signed in.
    fn cookie(&mut self) -> anyhow::Result<String> {
        self.cookies.pop().context("no session is left")
    }

    /// Seconds of a core that it has used.
    fn cpu(&self) -> anyhow::Result<f64> {
        let stat = Path::new("/proc")
            .join(self.child.id().to_string())
            .join("stat");
        let stat = std::fs::read_to_string(stat)?;
        // After the name, which may hold anything: user and system time are the 12th and 13th.
        let (_, rest) = stat.rsplit_once(')').context("no name")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |place: usize| anyhow::Ok(fields.get(place).context("short")?.parse::<f64>()?);
        // The kernel counts in hundredths of a second, whatever the hardware.
        Ok((ticks(11)? + ticks(12)?) / 100.0)
    }
}

async fn measure_pages(name: &str, process: &mut Process) -> anyhow::Result<Vec<String>> {
    let by_job = format!("/logs?job={}", process.job);
    let pages = [
        ("Sync Status", "/sync-status"),
        ("Jobs", "/jobs"),
        ("Jobs that have failed", "/jobs?state=failed"),
        ("Integration Logs", "/logs"),
        ("Integration Logs by frequent words", "/logs?text=units"),
        (
            "Integration Logs by rare words",
            "/logs?text=a+needle+in+this",
        ),
        (
            "Integration Logs by words of no line",
            "/logs?text=nowhere+at+all",
        ),
        (
            "Integration Logs by record",
            "/logs?record=006000000000777AAA",
        ),
        ("Integration Logs by job", by_job.as_str()),
        ("Integration Logs, errors", "/logs?level=error"),
        ("mOS Settings", "/settings"),
        ("Notifications", "/notifications"),
    ];
    let mut missed = Vec::new();
    for (page, path) in pages {
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            let cookie = process.cookie()?;
            let begun = Instant::now();
            let body = ask(process.address, path, &cookie).await?;
            took.push(begun.elapsed().as_secs_f64() * 1_000.0);
            ensure!(body.ends_with("</html>"), "{path} broke off");
            let finds = path.contains("needle") || path.contains("record=");
            ensure!(
                !finds || body.contains(RARE) || body.contains("unit 7 was counted"),
                "{path} did not find its line"
            );
        }
        took.sort_by(f64::total_cmp);
        let at = |share: usize| {
            took.get(took.len() * share / 100)
                .copied()
                .unwrap_or(f64::NAN)
        };
        let (half, most) = (at(50), at(95));
        println!("{name}: {page}: p50 {half:.1} ms, p95 {most:.1} ms");
        if most.is_nan() || most >= MOST_MS {
            missed.push(format!("{name}, {page}: {most:.0} ms"));
        }
    }
    Ok(missed)
}

/// Many pages that are open, with something new every second.
async fn measure_live(name: &str, process: &mut Process) -> anyhow::Result<Vec<String>> {
    let events = Arc::new(AtomicU64::new(0));
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    for _ in 0..OPEN {
        let cookie = process.cookie()?;
        let body = open(process.address, "/events", &cookie).await?;
        let (events, stop) = (Arc::clone(&events), stop.clone());
        tasks.spawn(async move {
            let mut pieces = Body::new(body).into_data_stream();
            loop {
                let piece = tokio::select! {
                    () = stop.cancelled() => return,
                    piece = pieces.next() => piece,
                };
                let Some(Ok(piece)) = piece else { return };
                let is_event = piece.windows(12).any(|part| part == b"event: parts");
                events.fetch_add(u64::from(is_event), Ordering::Relaxed);
            }
        });
    }
    // Everybody has everything once.
    let open = u64::try_from(OPEN)?;
    while events.load(Ordering::Relaxed) < open {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    events.store(0, Ordering::Relaxed);
    let (before, begun) = (process.cpu()?, Instant::now());
    tokio::time::sleep(LIVE).await;
    let used = (process.cpu()? - before) / begun.elapsed().as_secs_f64() * 100.0;
    let each = events.load(Ordering::Relaxed) / open;
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    println!(
        "{name}: {OPEN} open pages, {each} events each in {} s: {used:.1} % of a core",
        LIVE.as_secs()
    );
    ensure!(each >= LIVE.as_secs() / 3, "only {each} events were told");
    let is_met = used < MOST_PERCENT;
    Ok((!is_met)
        .then(|| format!("{name}, {OPEN} open pages: {used:.1} %"))
        .into_iter()
        .collect())
}

async fn ask(address: SocketAddr, path: &str, cookie: &str) -> anyhow::Result<String> {
    let body = open(address, path, cookie).await?;
    let body = axum::body::to_bytes(Body::new(body), usize::MAX).await?;
    Ok(String::from_utf8(body.to_vec())?)
}

async fn open(
    address: SocketAddr,
    path: &str,
    cookie: &str,
) -> anyhow::Result<hyper::body::Incoming> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    TaskTracker::new().spawn(connection);
    let request = Request::builder()
        .method(Method::GET)
        .uri(path)
        .header(header::HOST, address.to_string())
        .header(header::COOKIE, format!("mosync={cookie}"))
        .body(Body::empty())?;
    let response = sender.send_request(request).await?;
    if response.status() != 200 {
        bail!("{path} answers {}", response.status());
    }
    Ok(response.into_body())
}

/// Whoever is here has signed in already.
struct Closed;

#[async_trait]
impl SignIn for Closed {
    fn address(&self, _invitation: Invitation<'_>) -> String {
        "https://login.example.com/".to_owned()
    }

    async fn identify(&self, _back: Return<'_>) -> Result<Identity, SignInError> {
        Err(SignInError::Refused("closed".to_owned()))
    }
}

/// The console's process: fills its stores, says where it is, and serves until it is ended.
async fn serve_console(told: &Told) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock);
    let (client_id, client_secret) = told.client.clone();
    let config = salesforce::Config {
        login_url: told.org.parse()?,
        api_version: salesforce::config::API_VERSION.to_owned(),
        grant: salesforce::Grant::ClientCredentials {
            client_id,
            client_secret: client_secret.into(),
        },
        pubsub_endpoint: told.events.parse()?,
        watchdog: salesforce::config::WATCHDOG,
        request_timeout: salesforce::config::REQUEST_TIMEOUT,
        plaintext_allowed: false,
    };
    let source = salesforce::connect(config, Arc::<SystemClock>::clone(&clock))?;
    let location = Location::File(told.folder.parse()?);
    let embedded = Embedded::open(location, Arc::<SystemClock>::clone(&clock))?;
    let queue: Arc<dyn Queue> = embedded.queue();
    let stores = match &told.redis {
        Some(url) => redis_store::RedisStore::connect(url, "bench").await?,
        None => embedded.stores(),
    };
    let now = clock.now();
    let job = fill(&stores, told, now).await?;
    let cookies = sign_in(&stores, now).await?;
    let operations = Operations::new(
        stores.clone(),
        queue,
        clock,
        Arc::new(source),
        "/data/ChangeEvents",
    );
    let server = Server::bind(([127, 0, 0, 1], 0).into()).await?;
    let address = server.address();
    let web = Web {
        sign_in: Arc::new(Closed),
        url: format!("http://{address}").parse()?,
        people: People {
            admin_permission_set: "mOS_Admin".to_owned(),
            ..People::default()
        },
        frame_ancestors: Vec::new(),
    };
    let console = Console::new(operations, Keys::default()).with_pages(web);
    let mut output = std::io::stdout();
    writeln!(
        output,
        "{}",
        serde_json::to_string(&(address, &job, cookies))?
    )?;
    output.flush()?;
    let stop = CancellationToken::new();
    let served = server.run(console, stop.clone());
    tokio::select! {
        () = served => anyhow::bail!("the console has ended"),
        ended = work(&stores, &job) => ended?,
    }
    Ok(())
}

/// A unit of the running job each second, and what the listener reports.
async fn work(stores: &Stores, job: &str) -> anyhow::Result<()> {
    let job = JobId::of(job);
    let mut every = tokio::time::interval(Duration::from_secs(1));
    for index in 0.. {
        every.tick().await;
        let now = SystemClock.now();
        stores.jobs.count(&job, index, None, &tally(), now).await?;
        let report = Report {
            at: now,
            state: WorkerState::Running,
            figures: [(figures::API_USED.to_owned(), i64::try_from(index)?)].into(),
            out_of_reach: std::collections::BTreeSet::new(),
        };
        stores.reports.report("listener", &report).await?;
    }
    Ok(())
}

fn tally() -> Tally {
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Opportunity, Count::Read, 200);
    tally.add_many(ObjectKind::Opportunity, Count::Created, 200);
    tally
}

/// Jobs that are over, one that runs, which is answered, and lines of a log that tells of them.
async fn fill(stores: &Stores, told: &Told, now: Timestamp) -> anyhow::Result<String> {
    let numbers = futures::stream::iter(0..told.jobs);
    numbers
        .map(anyhow::Ok)
        .try_for_each_concurrent(AT_A_TIME, |number| over(stores, number, told.jobs, now))
        .await?;
    let running = begun(stores, JobKind::SyncAll, "running", now).await?;
    let mut progress = running.progress.clone();
    (progress.announced, progress.next_index) = (1_000_000, 1_000_000);
    stores
        .jobs
        .advance(&running.id, &progress, None, now)
        .await?;
    // In the order of time, as a log is.
    let lines = futures::stream::iter(0..told.lines);
    let mut lines = lines
        .map(|number| async move {
            let line = line(number, told, now)?;
            anyhow::Ok(stores.log.append(&line).await?)
        })
        .buffered(AT_A_TIME);
    while let Some(appended) = lines.next().await {
        appended?;
    }
    Ok(running.id.to_string())
}

async fn begun(stores: &Stores, kind: JobKind, name: &str, at: Timestamp) -> anyhow::Result<Job> {
    let id = JobId::new(kind, domain::job::uuid_of(name));
    let job = Job::queued(id, kind, JobScope::Everything, at);
    stores.jobs.create(&job).await?;
    for to in [SalesforceStatus::Counting, SalesforceStatus::Extracting] {
        stores.jobs.transition(&job.id, to, at, None).await?;
    }
    Ok(job)
}

/// One of the jobs of the past, an hour each.
async fn over(stores: &Stores, number: usize, all: usize, now: Timestamp) -> anyhow::Result<()> {
    let hours = u64::try_from(all - number)?;
    let at = now.before(Duration::from_secs(hours * 3_600));
    let job = begun(stores, JobKind::Backfill, &format!("job {number}"), at).await?;
    let jobs = &stores.jobs;
    if number.is_multiple_of(50) {
        let why = Some("Salesforce refused a query");
        jobs.transition(&job.id, SalesforceStatus::Failed, at, why)
            .await?;
        return Ok(());
    }
    let mut progress = job.progress.clone();
    (progress.announced, progress.next_index) = (1, 1);
    jobs.advance(&job.id, &progress, None, at).await?;
    jobs.count(&job.id, 0, None, &tally(), at).await?;
    jobs.transition(&job.id, SalesforceStatus::Sealed, at, None)
        .await?;
    Ok(())
}

fn line(number: usize, told: &Told, now: Timestamp) -> anyhow::Result<LogEntry> {
    let ago = u64::try_from(told.lines - number)? * 30;
    let record = match number {
        // Far back, and now and then.
        7 => Some(RECORD.to_owned()),
        _ if number.is_multiple_of(3) => Some(format!("006{:012}", number % 5_000)),
        _ => None,
    };
    let record = record
        .map(|id| anyhow::Ok((ObjectKind::Opportunity, SalesforceId::parse(&id)?)))
        .transpose()?;
    let message = if number == 11 {
        format!("one line of many, {RARE}, and no other")
    } else {
        format!(
            "unit {number} was counted: 200 read, 200 created, 0 parked; 3 units of the job are still under way"
        )
    };
    Ok(LogEntry {
        at: now.before(Duration::from_secs(ago)),
        level: match number % 97 {
            0 => LogLevel::Error,
            1..5 => LogLevel::Warning,
            _ => LogLevel::Info,
        },
        topic: if record.is_some() { "parked" } else { "job" }.to_owned(),
        job: (number % 200 == 13)
            .then(|| JobId::new(JobKind::SyncAll, domain::job::uuid_of("running"))),
        record,
        message,
    })
}

/// So many administrators have just signed in; what their browsers hold.
async fn sign_in(stores: &Stores, now: Timestamp) -> anyhow::Result<Vec<String>> {
    let user = SalesforceId::parse("005000000000001")?;
    let grant = Grant {
        permission_set: "mOS_Admin".to_owned(),
        group: None,
        expires: None,
    };
    let snapshot = PermissionSnapshot {
        number: 1,
        taken: now,
        holders: [(user, [grant].into())].into(),
        ..PermissionSnapshot::default()
    };
    stores.permissions.store(&snapshot, None).await?;
    let mut cookies = Vec::new();
    for _ in 0..ROUNDS * 12 + OPEN {
        let id = token::new_token().map_err(|error| anyhow::anyhow!("{error}"))?;
        let session = Session {
            user,
            username: "ada@example.com".to_owned(),
            name: "Ada".to_owned(),
            instance_url: "https://org.example.com".to_owned(),
            opened: now,
            seen: now,
        };
        let key = token::hash_in_words(&token::hash(&id));
        stores.sessions.open(&key, &session).await?;
        cookies.push(id);
    }
    Ok(cookies)
}
