//! What [`crate::stores`] promises, a function for each promise.

mod jobs;
mod last_words;
mod lease;
mod live;
mod log;
mod notes;
mod outbox;
mod parked;
mod pauses;
mod permissions;
mod polls;
mod position;
mod reports;
mod sessions;
mod settings;
mod ticket;
mod tokens;
mod trials;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::filter::FieldTypes;
use domain::job::{Job, JobId, JobKind, JobScope};
use domain::org::OrgProfile;
use domain::permission::{Grant, NearMiss, Obstacle, PermissionSnapshot};
use domain::settings::{Settings, SettingsRevision};
use domain::tally::{Count, Tally};
use domain::{ObjectKind, SalesforceId, Timestamp};

use crate::stores::Stores;

pub use jobs::*;
pub use last_words::*;
pub use lease::*;
pub use live::*;
pub use log::*;
pub use notes::*;
pub use outbox::*;
pub use parked::*;
pub use pauses::*;
pub use permissions::*;
pub use polls::*;
pub use position::*;
pub use reports::*;
pub use sessions::*;
pub use settings::*;
pub use ticket::*;
pub use tokens::*;
pub use trials::*;
pub use units::*;

/// A store of its own for each promise, empty.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// A fresh link to the store.
    async fn stores(&self) -> Stores;
    /// Stops the store and starts it again; what is durable stays.
    async fn restart(&self);
    /// Sets the store's clock forward by that many microseconds, or back by a negative number;
    /// `false` where nobody can.
    fn step_clock(&self, by_micros: i64) -> bool;
}

/// Expands to one test for each promise; the expression makes a [`StoreHarness`] and may await.
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr) => {
        $crate::store_conformance!(@ $harness;
            position_is_replaced_and_kept
            poll_state_is_replaced_and_kept
            gap_opens_once_together_with_its_job
            gap_closes_once
            gaps_are_listed_oldest_first
            gaps_that_are_open_are_listed
            gaps_closed_for_long_are_forgotten
            ticket_time_never_goes_back
            ticket_names_rules_and_permissions
            ticket_is_refused_when_the_clock_stepped_back
            settings_are_initial_then_what_was_saved
            settings_bring_their_backfill
            settings_refuse_a_save_on_an_outdated_revision
            settings_remember_every_revision
            settings_are_restored_with_their_numbers
            settings_are_restored_only_where_nobody_saved
            permissions_are_empty_then_what_was_stored
            permissions_and_their_backfill_are_one_step
            permissions_keep_the_last_hundred
            permissions_remember_the_newest_poll
            job_is_created_once
            job_moves_by_the_table
            job_transition_sets_its_times
            job_of_a_kind_runs_alone
            job_plan_is_kept_with_the_move
            job_reader_goes_on_where_it_was
            job_reader_that_is_outdated_changes_nothing
            job_readers_do_not_overwrite_each_other
            job_indices_are_announced_by_one_reader
            job_pages_are_kept_by_their_first_index
            job_pause_is_held_and_lifted
            job_pause_of_a_person_wins
            job_pause_is_repeated_without_effect
            job_that_is_over_is_not_held
            jobs_are_listed_newest_first
            the_newest_job_of_a_kind_is_found
            jobs_unfinished_are_those_not_over
            jobs_over_for_long_are_forgotten
            live_units_are_numbered_densely
            live_unit_in_doubt_is_abandoned_alone
            live_unit_abandoned_may_still_be_counted
            live_units_confirmed_or_counted_are_not_abandoned
            live_units_missing_are_named
            unit_is_counted_once
            unit_of_an_unknown_job_is_counted
            unit_standing_is_told
            one_copy_of_a_unit_is_sent
            the_copy_that_is_sent_is_counted
            units_missing_are_named
            units_missing_are_found_among_many
            units_abandoned_are_not_waited_for
            parked_entry_keeps_since_and_retries
            parked_entry_keeps_when_it_is_retried
            parked_entry_is_not_replaced_by_an_older_one
            parked_entries_leave_when_accepted
            parked_children_are_released_once
            parked_children_are_not_released_over_and_over
            parked_children_are_released_however_many
            parked_entries_are_cleared
            parked_entries_are_listed_in_pages
            parked_entries_are_counted_by_reason
            parked_entries_are_listed_by_filter
            parked_entries_are_taken_up_when_due_by_one
            parked_entries_taken_up_have_a_job
            parked_entries_are_retried_when_asked
            parked_entries_are_dismissed_until_something_new
            parked_children_that_are_dismissed_stay
            last_words_overtake_older_rows
            last_words_keep_the_highest_version
            last_words_are_forgotten_after_a_day
            trials_are_kept_until_they_end
            trials_are_forgotten_after_a_day
            log_answers_the_newest_first
            log_is_searched_by_whatever_is_asked
            log_pages_stay_while_lines_come_and_go
            log_is_trimmed_by_lines_and_age
            lease_has_one_holder
            lease_runs_out
            reports_are_replaced
            notes_are_replaced_and_kept
            calls_are_counted_by_hour
            calls_of_old_hours_are_forgotten
            sessions_begin_and_end
            sessions_are_seen_while_they_last
            sessions_are_forgotten_by_age_and_idleness
            tokens_are_known_by_their_hash
            tokens_remember_their_last_use
            tokens_are_revoked_for_ever
            outbox_and_board_are_one_step
            outbox_takes_a_notification_once
            outbox_step_is_made_by_one
            outbox_finds_what_is_due
            outbox_is_listed_newest_first
            outbox_counts_failures_and_forgets
        );
    };
    (@ $harness:expr; $($promise:ident)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let harness = $harness;
                $crate::conformance::stores::$promise(&harness).await;
            }
        )*
    };
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + seconds * 1_000_000 + 123)
}

fn id(object: ObjectKind, number: u32) -> SalesforceId {
    SalesforceId::parse(&format!("{}0000000{number:05}", object.key_prefix()))
        .expect("fifteen letters and digits")
}

fn job_id(kind: JobKind, name: &str) -> JobId {
    JobId::of(&format!("{}-{name}", kind.name()))
}

fn job(name: &str, requested: Timestamp) -> Job {
    let kind = JobKind::Backfill;
    let owners = BTreeSet::from([id(ObjectKind::User, 1), id(ObjectKind::User, 2)]);
    Job::queued(
        job_id(kind, name),
        kind,
        JobScope::Owners {
            owners,
            since: at(1),
        },
        requested,
    )
}

fn tally(records: u64) -> Tally {
    let mut tally = Tally::default();
    tally.add_many(ObjectKind::Opportunity, Count::Read, records);
    tally.add_many(ObjectKind::Opportunity, Count::Created, records);
    tally
}

async fn get(stores: &Stores, id: &JobId) -> Job {
    let found = stores.jobs.get(id).await.expect("the store answers");
    found.expect("the job is there")
}

fn ids(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.id.as_str()).collect()
}

fn revision(before: &SettingsRevision, change: impl FnOnce(&mut Settings)) -> SettingsRevision {
    let mut settings = before.settings.clone();
    change(&mut settings);
    before.next(
        settings,
        FieldTypes::new(),
        OrgProfile::default(),
        "ada@example.com",
        at(7),
    )
}

fn snapshot(number: u64, taken: Timestamp) -> PermissionSnapshot {
    let grant = Grant {
        permission_set: "mOS_User".to_owned(),
        group: Some("Sales".to_owned()),
        expires: Some(at(99)),
    };
    let miss = NearMiss {
        grant: grant.clone(),
        because: BTreeSet::from([Obstacle::UserInactive]),
    };
    PermissionSnapshot {
        number,
        taken,
        holders: BTreeMap::from([(id(ObjectKind::User, 1), BTreeSet::from([grant]))]),
        near_misses: BTreeMap::from([(id(ObjectKind::User, 2), BTreeSet::from([miss]))]),
        near_misses_left_off: 3,
        unsettled_groups: BTreeMap::from([("Sales".to_owned(), "Updating".to_owned())]),
    }
}
