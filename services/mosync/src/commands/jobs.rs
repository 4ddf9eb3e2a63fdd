//! `mosync jobs`.

use std::process::ExitCode;

use boot::console::views::{JobView, Reason};
use ports::Clock as _;
use runtime::time::SystemClock;

use super::words;
use crate::cli::{Configured, JobsArguments, JobsCommand};
use crate::exit::{Failure, print};

/// Lists jobs, shows one, or steers one.
pub(crate) async fn run(arguments: JobsArguments) -> Result<ExitCode, Failure> {
    let JobsArguments {
        config,
        json,
        limit,
        command,
    } = arguments;
    let client = super::reach(&Configured { config })?.client().await?;
    let Some(command) = command else {
        let list = client.jobs(None, usize::from(limit)).await?;
        if json {
            return json_of(&list);
        }
        if list.jobs.is_empty() {
            print("no job yet");
        }
        for job in &list.jobs {
            print(&format!("{} {}", job.requested, words::job(job)));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let job = match command {
        JobsCommand::Show { job } => client.job(&job).await?,
        JobsCommand::Pause { job, reason } => {
            client.steer(&job, "pause", &Reason { reason }).await?
        }
        JobsCommand::Resume { job } => client.steer(&job, "resume", &Reason::default()).await?,
        JobsCommand::Cancel { job, reason } => {
            client.steer(&job, "cancel", &Reason { reason }).await?
        }
    };
    if json {
        return json_of(&job);
    }
    at_length(&job);
    Ok(ExitCode::SUCCESS)
}

fn at_length(job: &JobView) {
    for line in words::job_at_length(job, SystemClock.now()) {
        print(&line);
    }
}

fn json_of(value: &impl serde::Serialize) -> Result<ExitCode, Failure> {
    print(
        &serde_json::to_string_pretty(value).map_err(|error| Failure::failed(error.to_string()))?,
    );
    Ok(ExitCode::SUCCESS)
}
