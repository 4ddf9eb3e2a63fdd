//! `mosync demo`: stand-ins for Salesforce and mOS over real sockets, all services in this process,
//! live changes at a set rate, and one audit by an independent judge. With `--headless` that is the
//! end; without, the console stays open until Ctrl-C.

mod author;
mod changes;
mod judge;
mod people;
mod progress;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use boot::console::views::{JobView, StatusView};

use crate::commands::words;
use crate::exit::{Failure, print, report};
use progress::Progress;
use world::World;

/// How long the demo waits for rest before it says what it waits for, and fails.
const REST_LIMIT: Duration = Duration::from_secs(600);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Plain lines instead of progress bars, and an end after the audit; without it the console stays open until Ctrl-C
    #[arg(long)]
    headless: bool,
    /// Seconds of live changes
    #[arg(long, value_name = "S", default_value_t = 30)]
    duration: u64,
    /// Live changes a second
    #[arg(long, value_name = "R", default_value_t = 50)]
    changes_per_second: u32,
    /// Opportunities in the org
    #[arg(
        long,
        value_name = "N",
        default_value_t = 2000,
        conflicts_with = "load"
    )]
    opportunities: usize,
    /// What the org and the changes follow from
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Loads the org from a folder of CSV files instead
    #[arg(long, value_name = "DIR")]
    load: Option<PathBuf>,
    /// Writes what was measured as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Uses this `RabbitMQ` instead of the embedded queue
    #[arg(long, value_name = "URL", requires = "redis")]
    rabbitmq: Option<String>,
    /// Uses this Redis instead of the embedded store
    #[arg(long, value_name = "URL", requires = "rabbitmq")]
    redis: Option<String>,
    /// Starts this machine's own `RabbitMQ` and Redis on private ports and uses them
    #[arg(long, conflicts_with_all = ["rabbitmq", "redis"])]
    real: bool,
}

/// Runs the demo: 1 when the audit is not clean, else 0, also when somebody ends it before the audit.
pub(crate) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let mut progress = Progress::new(options.headless);
    progress.step("starting stand-ins for Salesforce and mOS, and all services");
    let world = World::start(&options).await?;
    progress.step(&format!(
        "Salesforce at http://{}, mOS at http://{}, queue and stores: {}",
        world.salesforce.http, world.mos.http, world.adapters.name
    ));
    progress.step(&format!(
        "status and orders: http://{}/api/v1/status with `Authorization: Bearer {}`",
        world.console, world.token
    ));
    if options.headless {
        let played = play(&world, &options, &mut progress).await;
        world.stop().await?;
        return played;
    }
    for line in people::lines(&world) {
        progress.step(&line);
    }
    let mut code = ExitCode::SUCCESS;
    let played = async {
        match play(&world, &options, &mut progress).await {
            Ok(played) => code = played,
            // Whoever wants to know why finds it in the console.
            Err(failure) => code = report(&failure),
        }
        print(&format!(
            "The console stays open at http://{} until Ctrl-C.",
            world.console
        ));
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = played => {}
        asked = tokio::signal::ctrl_c() => {
            asked.map_err(|error| Failure::failed(error.to_string()))?;
        }
    }
    world.stop().await?;
    Ok(code)
}

/// The first load, the changes, and the audit.
async fn play(
    world: &World,
    options: &Options,
    progress: &mut Progress,
) -> Result<ExitCode, Failure> {
    progress.step("first load: a sync-all brings everything in scope to mOS");
    let loaded = at_rest(world, progress).await?;
    progress.step(&format!("first load done: {}", counts(&loaded)));
    for line in loaded.last_sync_all.iter().flat_map(both_stages) {
        progress.step(&line);
    }

    let began = world.now();
    progress.step(&format!(
        "live changes: {} a second for {} s",
        options.changes_per_second, options.duration
    ));
    let changes = changes::run(world, options, progress).await;
    progress.step("changes done, waiting until mosync says that it is at rest");
    at_rest(world, progress).await?;

    let peak_rss_mib = peak_rss_mib();
    let report = judge::judge(world, &changes, began, peak_rss_mib).await?;
    progress.finish();
    if let Some(file) = &options.report {
        let json = serde_json::to_string_pretty(&report)
            .map_err(|error| Failure::failed(error.to_string()))?;
        std::fs::write(file, json).map_err(|error| {
            Failure::usage(format!("{} cannot be written: {error}", file.display()))
        })?;
    }
    for line in report.lines() {
        print(&line);
    }
    Ok(if report.is_clean() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// What Salesforce has given and what has become of it in mOS, object by object.
fn both_stages(job: &JobView) -> Vec<String> {
    words::job_at_length(job, job.over.unwrap_or(job.requested))
}

/// Waits until mosync itself says that all it was told before now is in mOS.
async fn at_rest(world: &World, progress: &mut Progress) -> Result<StatusView, Failure> {
    let since = world.now();
    let deadline = tokio::time::Instant::now() + REST_LIMIT;
    loop {
        let status = world.status().await?;
        progress.show(&status);
        let heard = status
            .stream
            .as_ref()
            .is_some_and(|stream| stream.heard > since);
        let polled = status.permissions_polled.is_some_and(|at| at > since);
        if status.at_rest && heard && polled {
            return Ok(status);
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Failure::failed(format!(
                "mosync did not come to rest within {} s; it waits for {}",
                REST_LIMIT.as_secs(),
                status.waiting_for.join(", ")
            )));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn counts(status: &StatusView) -> String {
    use domain::tally::Count;
    let mut total = domain::tally::Tally::default();
    for job in &status.jobs {
        total.merge(&job.tally);
    }
    let of = |count| total.total(count);
    format!(
        "{} read, {} companions added, {} created in mOS, {} without permission, {} parked",
        of(Count::Read),
        of(Count::Added),
        of(Count::Created),
        of(Count::NotPermitted),
        of(Count::Parked)
    )
}

/// The most memory this process had at once, stand-ins included; `None` where the system does not
/// say.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib = line.split_whitespace().next()?.parse::<f64>().ok()?;
    Some((kib / 1024.0 * 10.0).round() / 10.0)
}
