//! The org's API allowance: bulk reading stops when mosync has used its share of it, live changes
//! when only the customer's reserve is left ([`ApiShare`](domain::allowance::ApiShare)).

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use domain::allowance::{Room, Shortage, Usage};
use domain::job::{Job, Pause, PausedBy, SalesforceStatus};
use ports::source::{ApiAllowance, SourceError};
use ports::stores::{LogLevel, hour_of};
use runtime::figures;
use tokio::time::Instant;

use crate::switches::{self, Held};
use crate::{Active, in_words};

/// How often mosync's own count is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often the org is asked, which is a request itself.
const ASK_EVERY: Duration = Duration::from_secs(5 * 60);
/// While something waits.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// When it is tried again after the org as a whole has too little left: nobody knows when the
/// others made their requests.
const AGAIN: Duration = Duration::from_secs(15 * 60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How the reasons begin for which jobs are held here.
const WHY: &str = "API allowance: ";

/// What the org has said, when, and what mosync had used by then.
struct Answer {
    asked: Instant,
    allowance: ApiAllowance,
    ours: u64,
}

/// Watches for ever; ends when a store fails.
pub(crate) async fn watch(active: &Active) -> Result<(), String> {
    let mut answer = None;
    let mut switched = active.switches.subscribe();
    loop {
        let now = active.listener.clock.now();
        let calls = active.listener.stores.calls.calls(now.before(DAY)).await;
        let calls = calls.map_err(in_words)?;
        let ours = calls.values().sum::<u64>();
        ask(active, &mut answer, ours).await;
        if let Some(Answer {
            allowance,
            ours: then,
            ..
        }) = &answer
        {
            let used = allowance.max.saturating_sub(allowance.remaining);
            let usage = Usage {
                max: allowance.max,
                used: used + ours.saturating_sub(*then),
                ours,
            };
            let share = switched.borrow_and_update().api_share;
            hold(active, share.room(usage), &calls, now).await?;
            report(active, usage).await;
        }
        switches::until(Some(Instant::now() + LOOK_EVERY), &mut switched).await;
    }
}

async fn ask(active: &Active, answer: &mut Option<Answer>, ours: u64) {
    let every = if active.switches.borrow().bulk_held.is_some() {
        ASK_AGAIN
    } else {
        ASK_EVERY
    };
    if answer
        .as_ref()
        .is_some_and(|answer| answer.asked.elapsed() < every)
    {
        return;
    }
    let asked = Instant::now();
    match active.listener.source.limits().await {
        Ok(allowance) => {
            *answer = Some(Answer {
                asked,
                allowance,
                ours,
            });
        }
        // The question itself is one request too many.
        Err(SourceError::Quota(_)) => {
            let max = answer.as_ref().map_or(0, |answer| answer.allowance.max);
            let allowance = ApiAllowance { max, remaining: 0 };
            *answer = Some(Answer {
                asked,
                allowance,
                ours,
            });
        }
        Err(error) => tracing::info!("the org's API allowance is not known: {error}"),
    }
}

/// Holds what there is no room for, and lets go what there is room for again.
async fn hold(
    active: &Active,
    room: Room,
    calls: &BTreeMap<Timestamp, u64>,
    now: Timestamp,
) -> Result<(), String> {
    let held = |shortage: Shortage, before: Option<&Held>| {
        let until = match shortage {
            Shortage::Share { share, .. } => back_in_share(calls, share, now),
            // The time that was said stands until it is there.
            Shortage::Reserve { .. } => before
                .map(|before| before.until)
                .filter(|until| *until > now)
                .unwrap_or_else(|| now.after(AGAIN)),
        };
        let why = format!("{WHY}{shortage}");
        Some(Held { why, until })
    };
    let before = active.switches.borrow().clone();
    let (bulk, live) = match room {
        Room::All => (None, None),
        Room::LiveOnly(shortage) => (held(shortage, before.bulk_held.as_ref()), None),
        Room::Nothing(shortage) => (
            held(shortage, before.bulk_held.as_ref()),
            held(shortage, before.live_held.as_ref()),
        ),
    };
    for (what, before, after) in [
        ("jobs that read in bulk", &before.bulk_held, &bulk),
        ("live changes", &before.live_held, &live),
    ] {
        let said = match (before, after) {
            (None, Some(Held { why, until })) => (
                LogLevel::Warning,
                format!("{what} wait until {until}: {why}"),
            ),
            (Some(_), None) => (
                LogLevel::Info,
                format!("{what} go on: the org's API allowance has room again"),
            ),
            (None, None) | (Some(_), Some(_)) => continue,
        };
        let logged = active.log(said.0, "api", None, said.1).await;
        logged.map_err(in_words)?;
    }
    active.switches.send_if_modified(|switches| {
        let changed = (&switches.bulk_held, &switches.live_held) != (&bulk, &live);
        switches.bulk_held = bulk;
        switches.live_held = live;
        changed
    });
    Ok(())
}

/// When so many of mosync's own hours have passed that it is below its share again.
fn back_in_share(calls: &BTreeMap<Timestamp, u64>, share: u64, now: Timestamp) -> Timestamp {
    let mut left = calls.values().sum::<u64>();
    for (hour, calls) in calls {
        left = left.saturating_sub(*calls);
        if left < share {
            return hour.after(HOUR + DAY);
        }
    }
    hour_of(now).after(HOUR + DAY)
}

async fn report(active: &Active, usage: Usage) {
    let listener = &active.listener;
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let until = |held: &Option<Held>| held.as_ref().map(|held| held.until.as_micros());
    let (bulk, live) = {
        let switches = active.switches.borrow();
        (until(&switches.bulk_held), until(&switches.live_held))
    };
    listener.figure(figures::API_MAX, Some(number(usage.max)));
    listener.figure(figures::API_USED, Some(number(usage.used)));
    listener.figure(figures::API_OURS, Some(number(usage.ours)));
    listener.figure(figures::API_BULK_HELD_UNTIL, bulk);
    listener.figure(figures::API_LIVE_HELD_UNTIL, live);
    listener.report_again().await;
}

/// Holds a job that there is no room for, or lets one go on that was held here; whether it waits.
pub(crate) async fn holds(active: &Active, job: &Job) -> Result<bool, String> {
    let held = active.switches.borrow().bulk_held.clone();
    let now = active.listener.clock.now();
    let jobs = &active.listener.stores.jobs;
    let Some(Held { why, until }) = held else {
        let ours = |pause: &Pause| pause.by == PausedBy::Quota && pause.why.starts_with(WHY);
        if job.paused.as_ref().is_some_and(ours) {
            let resumed = jobs.resume(&job.id, PausedBy::Quota, now).await;
            if resumed.map_err(in_words)? {
                let message = format!("{} goes on: the API allowance has room again", job.id);
                let logged = active.log(LogLevel::Info, "job", Some(&job.id), message);
                logged.await.map_err(in_words)?;
            }
        }
        return Ok(false);
    };
    match job.salesforce {
        SalesforceStatus::Queued | SalesforceStatus::Counting | SalesforceStatus::Extracting => {}
        SalesforceStatus::Sealed | SalesforceStatus::Failed | SalesforceStatus::Cancelled => {
            return Ok(false);
        }
    }
    let is_over = |pause: &Pause| {
        pause.by == PausedBy::Quota && pause.until.is_some_and(|until| until <= now)
    };
    if job.paused.as_ref().is_none_or(is_over) {
        let pause = Pause {
            since: now,
            by: PausedBy::Quota,
            why,
            until: Some(until),
        };
        let held = jobs.pause(&job.id, &pause).await.map_err(in_words)?;
        if held && job.paused.is_none() {
            let message = format!("{} is held until {until}: {}", job.id, pause.why);
            let logged = active.log(LogLevel::Warning, "job", Some(&job.id), message);
            logged.await.map_err(in_words)?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_reading_goes_on_when_enough_of_our_hours_have_passed() {
        let hour = |number: u32| Timestamp::default().after(HOUR * number);
        let calls = BTreeMap::from([(hour(1), 50), (hour(2), 60), (hour(9), 5)]);
        let now = hour(10);
        assert_eq!(back_in_share(&calls, 100, now), hour(26));
        assert_eq!(back_in_share(&calls, 60, now), hour(27));
        assert_eq!(back_in_share(&calls, 5, now), hour(34));
        assert_eq!(back_in_share(&calls, 0, now), hour(35));
    }
}
