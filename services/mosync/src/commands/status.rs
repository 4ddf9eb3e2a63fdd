//! `mosync status`.

use std::process::ExitCode;

use boot::status::{Status, Verdict};
use domain::tally::Count;
use runtime::config::Config;

use crate::exit::{Failure, print};

/// Prints how the sync is; the first line is the verdict with its reason.
pub(crate) async fn run(config: &Config, json: bool) -> Result<ExitCode, Failure> {
    let adapters = super::connect(config).await?;
    let from = &config.salesforce;
    let status = boot::status::read(&adapters, &from.topic, &from.polled_objects).await?;
    if json {
        print(
            &serde_json::to_string_pretty(&status)
                .map_err(|error| Failure::failed(error.to_string()))?,
        );
    } else {
        show(&status);
    }
    Ok(match status.verdict {
        Verdict::Healthy => ExitCode::SUCCESS,
        Verdict::Degraded => ExitCode::from(1),
    })
}

fn show(status: &Status) {
    let verdict = match status.verdict {
        Verdict::Healthy => "healthy",
        Verdict::Degraded => "degraded",
    };
    print(&format!("{verdict}: {}", status.reason));
    print(&format!(
        "at rest: {}",
        if status.at_rest { "yes" } else { "no" }
    ));
    match &status.stream {
        Some(state) => {
            let event = state
                .last_event
                .map_or_else(|| "none yet".to_owned(), |at| at.to_string());
            print(&format!(
                "event stream: last heard {}, last event {event}",
                state.heard
            ));
        }
        None => print("event stream: not heard yet"),
    }
    for (object, poll) in &status.polls {
        let polled = poll.as_ref().and_then(|poll| poll.polled);
        let polled = polled.map_or_else(|| "never".to_owned(), |at| at.to_string());
        let found = poll.as_ref().and_then(|poll| poll.found);
        let found = found.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
        print(&format!(
            "{object}: last polled {polled}, last change {found}"
        ));
    }
    let polled = status
        .permissions_polled
        .map_or_else(|| "never".to_owned(), |at| at.to_string());
    print(&format!(
        "permissions: {} users, read {polled}",
        status.permitted_users
    ));
    print(&format!("settings: revision {}", status.settings_revision));
    let queues = status
        .queues
        .iter()
        .map(|(name, depth)| format!("{name} {depth}"))
        .collect::<Vec<_>>()
        .join(", ");
    print(&format!(
        "queues: {queues}; waiting to be retried {}, set aside {}",
        status.waiting_to_retry, status.dead
    ));
    for gap in &status.open_gaps {
        print(&format!("open gap since {}: {}", gap.since, gap.evidence));
    }
    for (kind, records) in &status.parked {
        print(&format!(
            "parked, {}: {records}. {}",
            kind.name(),
            kind.advice()
        ));
    }
    for job in &status.jobs {
        let counts = Count::ALL
            .into_iter()
            .map(|count| (count, job.tally.total(count)))
            .filter(|(_, records)| *records > 0)
            .map(|(count, records)| format!("{} {records}", count.name()))
            .collect::<Vec<_>>()
            .join(", ");
        print(&format!(
            "job {}: Salesforce {:?}, mOS {:?}, {} units on the way; {counts}",
            job.id, job.salesforce, job.mos, job.pending
        ));
    }
}
