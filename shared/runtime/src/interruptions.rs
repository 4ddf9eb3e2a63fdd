//! What keeps a service from its work, in the integration log: when it begins, and when it is over.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use domain::Timestamp;
use ports::Clock;
use ports::stores::{LogEntry, LogLevel, Stores};

use crate::reasons::Reasons;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);
/// What is over sooner is not told: a service that starts, a short pause that mOS asks for.
const HELD_FOR: Duration = Duration::from_secs(2);
/// What begins again within this time has gone on, so that no pause after pause fills the log.
const GONE_FOR: Duration = Duration::from_secs(5);
/// Lines that are kept while the log cannot be written.
const KEPT: usize = 100;

/// Tells of what `reasons` answers, for ever.
pub async fn tell(
    service: &'static str,
    stores: &Stores,
    clock: &dyn Clock,
    reasons: impl Fn() -> Reasons,
) {
    let mut interruptions = Interruptions::default();
    let mut lines = VecDeque::new();
    loop {
        lines.extend(interruptions.look(service, &reasons(), clock.now()));
        while lines.len() > KEPT {
            lines.pop_front();
        }
        while let Some(line) = lines.front() {
            if let Err(error) = stores.log.append(line).await {
                tracing::debug!("told later: {error}");
                break;
            }
            lines.pop_front();
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What is going on, by what it is about.
#[derive(Debug, Default)]
struct Interruptions(BTreeMap<&'static str, Interruption>);

#[derive(Debug)]
struct Interruption {
    since: Timestamp,
    told: bool,
    gone: Option<Timestamp>,
}

impl Interruptions {
    /// What is to be told now.
    fn look(&mut self, service: &str, reasons: &Reasons, now: Timestamp) -> Vec<LogEntry> {
        let mut lines = Vec::new();
        let mut line = |level, topic: &'static str, message: String| {
            tracing::info!(topic, "{message}");
            lines.push(LogEntry {
                at: now,
                level,
                topic: topic.to_owned(),
                job: None,
                record: None,
                message,
            });
        };
        for (about, reason) in reasons.iter() {
            let held = self.0.entry(about).or_insert(Interruption {
                since: now,
                told: false,
                gone: None,
            });
            held.gone = None;
            if !held.told && now.since(held.since) >= HELD_FOR {
                held.told = true;
                let message = format!(
                    "the {service} is held up since {}: {}",
                    held.since, reason.why
                );
                line(LogLevel::Warning, about, message);
            }
        }
        self.0.retain(|about, held| {
            if reasons.contains(about) {
                return true;
            }
            let gone = *held.gone.get_or_insert(now);
            if held.told && now.since(gone) >= GONE_FOR {
                let message = format!(
                    "the {service} goes on since {gone}; it was held up for {} s",
                    gone.since(held.since).as_secs()
                );
                line(LogLevel::Info, about, message);
                return false;
            }
            held.told
        });
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told when `reason` holds in these seconds, looked at twice a second.
    fn told(held: &[std::ops::Range<i64>]) -> Vec<(i64, LogLevel, String)> {
        let mut interruptions = Interruptions::default();
        let mut told = Vec::new();
        for half in 0..200_i64 {
            let reasons = if held.iter().any(|held| held.contains(&(half / 2))) {
                Reasons::of("mos", "no answer")
            } else {
                Reasons::default()
            };
            let now = Timestamp::from_micros(half * 500_000);
            for line in interruptions.look("loader", &reasons, now) {
                assert_eq!(line.topic, "mos");
                told.push((half / 2, line.level, line.message));
            }
        }
        told
    }

    #[test]
    fn what_lasts_is_told_when_it_begins_and_when_it_is_over() {
        assert_eq!(
            told(std::slice::from_ref(&(10..30))),
            [
                (
                    12,
                    LogLevel::Warning,
                    "the loader is held up since 1970-01-01T00:00:10.000Z: no answer".to_owned()
                ),
                (
                    35,
                    LogLevel::Info,
                    "the loader goes on since 1970-01-01T00:00:30.000Z; it was held up for 20 s"
                        .to_owned()
                ),
            ]
        );
    }

    #[test]
    fn what_is_over_soon_is_not_told_and_pause_after_pause_is_one() {
        assert_eq!(told(&[0..2, 10..11, 20..22]), []);
        let again_and_again = [10..14, 15..19, 21..25, 28..40];
        let told = told(&again_and_again);
        let told = told.iter().map(|(second, level, _)| (*second, *level));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [(12, LogLevel::Warning), (45, LogLevel::Info)]
        );
    }
}
