//! What is wrong at the moment, and what has been told of it.
//!
//! The board is looked at every few seconds. A condition that holds for a while opens an incident,
//! which is told once; it is told again when it has grown, seldom, and once when it is over. A
//! thousand errors of one cause are one incident. Growth counts from the least that there has been
//! since it was told: what comes after most of it was repaired is news.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Event, Matter, Notice, notice_id};
use crate::job::uuid_of;
use crate::time::Timestamp;

/// For so long a condition must not have been seen before its incident is over.
pub const CALM: Duration = Duration::from_secs(60);
/// An incident that has doubled is told again after so long at the earliest.
pub const GROWN_AFTER: Duration = Duration::from_secs(15 * 60);
/// One that has grown less, after so long.
pub const REMIND_AFTER: Duration = Duration::from_secs(24 * 3_600);

/// Something that is so at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What makes it the same condition at the next look.
    pub key: String,
    /// What it is about.
    pub matter: Matter,
    /// The object, service or job.
    pub object: String,
    /// How many.
    pub count: u64,
    /// Why, in words.
    pub cause: String,
    /// What to do.
    pub advice: String,
    /// The page of the console, as a path.
    pub page: String,
    /// Further lines.
    pub details: Vec<String>,
}

/// A condition that has been seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its own, never used again.
    pub id: String,
    /// As it was last seen.
    pub condition: Condition,
    /// When it was first seen.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// When it was last told, and with which count, or the least that there has been since; absent
    /// until it has held long enough.
    pub told: Option<(Timestamp, u64)>,
    /// How often it was told.
    pub messages: u64,
}

/// What one look has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Finding {
    /// What is so.
    pub conditions: Vec<Condition>,
    /// What could not be looked at: it is as it was.
    pub unknown: BTreeSet<Matter>,
    /// What has happened once and for all since the look before, or shortly before that: whoever
    /// keeps notifications tells the same one once.
    pub happened: Vec<Notice>,
}

/// What is known of all incidents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Moves with every change that is kept.
    pub revision: u64,
    /// When it was first looked at: what happened before is not told.
    pub since: Timestamp,
    /// When it was last looked at.
    pub looked: Timestamp,
    /// The incidents that are not over, by the keys of their conditions.
    pub incidents: BTreeMap<String, Incident>,
}

impl Matter {
    /// How long a condition must hold before it is told: what passes by itself in that time is
    /// nobody's trouble, and what comes in numbers is counted first.
    #[must_use]
    pub const fn grace(self) -> Duration {
        let seconds = match self {
            Self::Gap
            | Self::JobFinished
            | Self::JobFailed
            | Self::JobStalled
            | Self::Quota
            | Self::PermissionsExpiring
            | Self::SyncDisabled
            | Self::FieldsLost
            | Self::StreamLate
            | Self::Test => 0,
            Self::RecordsParked | Self::DeadMessages => 60,
            Self::ServiceSilent => 2 * 60,
            Self::OutOfReach | Self::ServiceFailing | Self::SyncPaused | Self::JobsPaused => 5 * 60,
        };
        Duration::from_secs(seconds)
    }
}

impl Board {
    /// Before the first look.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self {
            revision: 0,
            since: now,
            looked: now,
            incidents: BTreeMap::new(),
        }
    }

    /// The board after a look, and what is to be told.
    #[must_use]
    pub fn after(&self, finding: &Finding, now: Timestamp) -> (Self, Vec<Notice>) {
        let mut next = Self {
            revision: self.revision + 1,
            looked: now,
            ..self.clone()
        };
        let mut notices = finding.happened.clone();
        for condition in &finding.conditions {
            let incident = next
                .incidents
                .entry(condition.key.clone())
                .or_insert_with(|| Incident::of(condition, now));
            incident.condition = condition.clone();
            incident.last = now;
            if let Some((_, told)) = &mut incident.told {
                *told = (*told).min(condition.count);
            }
            notices.extend(incident.tell(now));
        }
        next.incidents.retain(|_, incident| {
            let unknown = finding.unknown.contains(&incident.condition.matter);
            if unknown || now.since(incident.last) < CALM {
                return true;
            }
            notices.extend(incident.close());
            false
        });
        (next, notices)
    }

    /// Whether a look has changed anything but its time.
    #[must_use]
    pub fn is_news_to(&self, before: &Self) -> bool {
        self.incidents != before.incidents
    }
}

impl Incident {
    fn of(condition: &Condition, now: Timestamp) -> Self {
        let name = format!("incident {} {}", condition.key, now.as_micros());
        Self {
            id: uuid_of(&name).to_string(),
            condition: condition.clone(),
            first: now,
            last: now,
            told: None,
            messages: 0,
        }
    }

    fn tell(&mut self, now: Timestamp) -> Option<Notice> {
        let count = self.condition.count;
        let event = match self.told {
            None if now.since(self.first) >= self.condition.matter.grace() => Event::Opened,
            None => return None,
            Some((at, told)) => {
                let since = now.since(at);
                let doubled = count >= told.saturating_mul(2) && since >= GROWN_AFTER;
                let grown = count > told && since >= REMIND_AFTER;
                if !doubled && !grown {
                    return None;
                }
                Event::Grown
            }
        };
        Some(self.notice(event, now))
    }

    /// It is over since it was last seen. What was never told needs no end.
    fn close(&mut self) -> Option<Notice> {
        self.told?;
        let mut notice = self.notice(Event::Closed, self.last);
        notice.lasted_s = Some(self.last.since(self.first).as_secs());
        Some(notice)
    }

    fn notice(&mut self, event: Event, at: Timestamp) -> Notice {
        self.messages += 1;
        self.told = Some((at, self.condition.count));
        let condition = self.condition.clone();
        Notice {
            id: notice_id(&self.id, &format!("{} {}", self.messages, event.name())),
            incident: self.id.clone(),
            matter: condition.matter,
            event,
            at,
            object: condition.object,
            count: condition.count,
            cause: condition.cause,
            advice: condition.advice,
            page: condition.page,
            details: condition.details,
            lasted_s: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(1_790_000_000_000_000).after(Duration::from_secs(seconds))
    }

    fn parked(count: u64) -> Finding {
        Finding {
            conditions: vec![Condition {
                key: "parked/value_too_long".to_owned(),
                matter: Matter::RecordsParked,
                object: "Contact".to_owned(),
                count,
                cause: "a text is longer than mOS takes".to_owned(),
                advice: "Shorten it.".to_owned(),
                page: "/parked".to_owned(),
                details: Vec::new(),
            }],
            ..Finding::default()
        }
    }

    /// Looks every ten seconds.
    fn watch(
        board: &mut Board,
        from: u64,
        to: u64,
        find: impl Fn(u64) -> Finding,
    ) -> Vec<(u64, Event, u64)> {
        let mut told = Vec::new();
        for second in (from..to).step_by(10) {
            let (next, notices) = board.after(&find(second), at(second));
            *board = next;
            told.extend(
                notices
                    .into_iter()
                    .map(|notice| (second, notice.event, notice.count)),
            );
        }
        told
    }

    #[test]
    fn a_thousand_errors_in_a_minute_are_one_message() {
        let mut board = Board::new(at(0));
        let told = watch(&mut board, 0, 600, |second| {
            parked((second * 1_000 / 60).clamp(1, 1_000))
        });
        assert_eq!(told, [(60, Event::Opened, 1_000)]);
        let calm = watch(&mut board, 600, 700, |_| Finding::default());
        assert_eq!(calm, [(650, Event::Closed, 1_000)]);
        assert!(board.incidents.is_empty());
    }

    #[test]
    fn growth_is_told_when_it_has_doubled_and_seldom() {
        let mut board = Board::new(at(0));
        // Ten more every ten seconds, for two days.
        let two_days = 48 * 3_600;
        let told = watch(&mut board, 0, two_days, |second| parked(10 + second));
        assert_eq!(told[0], (60, Event::Opened, 70));
        assert_eq!(told[1], (960, Event::Grown, 970));
        for pair in told.windows(2) {
            assert!(pair[1].2 >= 2 * pair[0].2 || pair[1].0 - pair[0].0 >= 24 * 3_600);
            assert!(pair[1].0 - pair[0].0 >= GROWN_AFTER.as_secs());
        }
        assert!(told.len() <= 9, "{told:?}");
        // A little more is told the next day.
        let mut board = Board::new(at(0));
        let told = watch(&mut board, 0, two_days, |second| {
            parked(100 + second / 3_600)
        });
        let times = told.iter().map(|(second, ..)| *second).collect::<Vec<_>>();
        assert_eq!(times, [60, 60 + 24 * 3_600]);
    }

    #[test]
    fn what_grows_again_after_it_has_become_less_is_told() {
        let mut board = Board::new(at(0));
        let told = watch(&mut board, 0, 2_000, |second| match second {
            ..300 => parked(1_000),
            // All but one are repaired, and later others come.
            300..1_200 => parked(1),
            _ => parked(900),
        });
        assert_eq!(
            told,
            [(60, Event::Opened, 1_000), (1_200, Event::Grown, 900)]
        );
        // Up and down within a quarter of an hour is no news.
        let wave = watch(&mut board, 2_000, 2_100, |second| {
            parked(if second % 20 == 0 { 1 } else { 900 })
        });
        assert_eq!(wave, []);
    }

    #[test]
    fn what_passes_by_itself_is_not_told_and_flickering_is_one_incident() {
        let mut board = Board::new(at(0));
        let short = watch(&mut board, 0, 200, |second| {
            if second < 50 {
                parked(3)
            } else {
                Finding::default()
            }
        });
        assert_eq!(short, []);
        let mut board = Board::new(at(0));
        let flicker = watch(&mut board, 0, 600, |second| {
            if second % 40 == 0 {
                parked(3)
            } else {
                Finding::default()
            }
        });
        assert_eq!(flicker.len(), 1, "{flicker:?}");
    }

    #[test]
    fn what_cannot_be_looked_at_is_not_over() {
        let mut board = Board::new(at(0));
        watch(&mut board, 0, 100, |_| parked(3));
        let blind = Finding {
            unknown: [Matter::RecordsParked].into(),
            ..Finding::default()
        };
        assert_eq!(watch(&mut board, 100, 1_000, |_| blind.clone()), []);
        assert_eq!(board.incidents.len(), 1);
        // Seen again as it was: nothing new.
        assert_eq!(watch(&mut board, 1_000, 1_100, |_| parked(3)), []);
    }

    #[test]
    fn ids_are_those_of_the_event_whoever_looks() {
        let look = |board: &Board| board.after(&parked(3), at(120)).1;
        let (board, _) = Board::new(at(0)).after(&parked(1), at(0));
        let (one, other) = (look(&board), look(&board.clone()));
        assert_eq!(one, other);
        let (opened, _) = board.after(&parked(3), at(120));
        let (_, closed) = opened.after(&Finding::default(), at(400));
        assert_ne!(one[0].id, closed[0].id);
        assert_eq!(one[0].incident, closed[0].incident);
        assert_eq!(closed[0].lasted_s, Some(120));
        // The same trouble a day later is another incident.
        let (again, _) = Board::new(at(0)).after(&parked(1), at(86_400));
        let incident = |board: &Board| board.incidents.values().next().unwrap().id.clone();
        assert_ne!(incident(&again), incident(&board));
    }
}
