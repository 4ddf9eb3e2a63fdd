//! Why a record is in mOS, or is not.

use domain::permission::{Grant, NearMiss};
use domain::{ObjectKind, SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{LogLine, ParkedView, PollView, StreamView, UserView};

/// How things stand with a record, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExplainCode {
    /// An id of an object that mosync does not sync.
    NotASyncedObject,
    /// The settings are for another org than the connected one.
    OtherOrg,
    /// In Salesforce's recycle bin.
    Deleted,
    /// Salesforce shows it nowhere: hidden from the integration user, purged, or never there.
    NotVisible,
    /// An opportunity that the filter does not match.
    FilterDoesNotMatch,
    /// A closed opportunity, while only open ones are synced.
    Closed,
    /// As [`Self::Closed`], and mOS has been told that it closed.
    LastWordSent,
    /// Permissions were not read yet.
    PermissionsNotRead,
    /// The owner holds none of the permission sets.
    OwnerWithoutPermission,
    /// The owner's assignment has run out.
    PermissionExpired,
    /// The owner is deactivated in Salesforce.
    OwnerInactive,
    /// The owner holds a permission set in a way that does not count.
    PermissionDoesNotCount,
    /// A contact role whose opportunity is deleted, or hidden from the integration user.
    OpportunityNotVisible,
    /// A user, account or contact on which no opportunity hangs.
    NoOpportunity,
    /// Of the opportunities that could bring a user, account or contact, none matches the settings.
    NoOpportunityMatches,
    /// Of the opportunities that match and could bring an account or contact, none has an owner with
    /// permission.
    NoOwnerWithPermission,
    /// In scope, and the org is a sandbox while Run In Sandbox is off.
    Sandbox,
    /// In scope, and mOS Sync is disabled.
    Disabled,
    /// In scope, could not be brought to mOS, and a person has decided to leave it.
    Dismissed,
    /// In scope, and could not be brought to mOS.
    Parked,
    /// In scope and changed since changes were last taken, which is done in windows.
    WaitingForWindow,
    /// In scope, and mOS does not hold it as it is, or was not reached.
    InScopeNotYet,
    /// In scope, and mOS holds it as it is.
    InScopeAndCurrent,
}

impl ExplainCode {
    /// All of them, in the order in which they are decided: of several that apply, the first is the
    /// verdict.
    pub const ALL: [Self; 23] = [
        Self::NotASyncedObject,
        Self::OtherOrg,
        Self::Deleted,
        Self::NotVisible,
        Self::FilterDoesNotMatch,
        Self::Closed,
        Self::LastWordSent,
        Self::PermissionsNotRead,
        Self::OwnerWithoutPermission,
        Self::PermissionExpired,
        Self::OwnerInactive,
        Self::PermissionDoesNotCount,
        Self::OpportunityNotVisible,
        Self::NoOpportunity,
        Self::NoOpportunityMatches,
        Self::NoOwnerWithPermission,
        Self::Sandbox,
        Self::Disabled,
        Self::Dismissed,
        Self::Parked,
        Self::WaitingForWindow,
        Self::InScopeNotYet,
        Self::InScopeAndCurrent,
    ];
}

/// Why a record is in mOS, or is not: the verdict, and everything it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplainView {
    /// What was asked for.
    pub asked: String,
    /// Which object; absent when it is none that is synced.
    pub object: Option<ObjectKind>,
    /// Which record, with 18 characters.
    pub id: SalesforceId,
    /// When this was read.
    pub read_at: Timestamp,
    /// The verdict.
    pub code: ExplainCode,
    /// The same as a sentence.
    pub verdict: String,
    /// What has to happen for it to be in mOS as it is in Salesforce, as a sentence.
    pub advice: String,
    /// Whether the sync rule wants it in mOS; absent for an object that is not synced, and where
    /// Salesforce does not show the record, so that nobody knows.
    pub in_scope: Option<bool>,
    /// Every reason for which it is not in scope.
    pub obstacles: Vec<ExplainCode>,
    /// What Salesforce says of the record; absent when it was not asked.
    pub found: Option<Found>,
    /// What was last seen of it, and how far changes of its object were heard of.
    pub seen: Option<ExplainSeen>,
    /// The settings it was judged by.
    pub settings: Option<ExplainSettings>,
    /// What the filter made of the opportunity: the record itself, or that of a contact role.
    pub opportunity: Option<ExplainOpportunity>,
    /// The owner of that opportunity, or the user who was asked for.
    pub owner: Option<ExplainOwner>,
    /// The opportunities on which a user, account or contact hangs.
    pub through: Option<ExplainThrough>,
    /// What holds everything up, whatever the record.
    pub gates: Vec<ExplainGate>,
    /// When the next window begins; absent in real time.
    pub next_window: Option<Timestamp>,
    /// Why it is parked.
    pub parked: Option<ParkedView>,
    /// What mOS holds; absent when it was not asked.
    pub mos: Option<ExplainMos>,
    /// What the integration log last said of the record, newest first.
    pub log: Vec<LogLine>,
    /// The job last named with it, in the log or where it is parked.
    pub last_job: Option<String>,
    /// The jobs that were under way when the row that mOS holds was read, newest first: one of them
    /// brought it.
    pub possible_jobs: Vec<String>,
}

/// What was last seen of a record, and how far changes of its object were heard of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainSeen {
    /// When Salesforce last stamped it as changed (`SystemModstamp`); absent where it is not shown.
    pub modified: Option<Timestamp>,
    /// How far the event stream was heard; absent where nothing was yet, and for an object that is
    /// polled.
    pub stream: Option<StreamView>,
    /// How far its object was polled; absent for one that events tell of, and before the first poll.
    pub poll: Option<PollView>,
}

/// What Salesforce says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It is there.
    Row,
    /// It is in the recycle bin.
    Deleted,
    /// It is nowhere to be seen.
    Absent,
}

/// The settings a record was judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainSettings {
    /// The revision in force.
    pub revision: u64,
    /// The rules among them.
    pub rule_revision: u64,
    /// When they were saved.
    pub saved: Timestamp,
    /// By whom.
    pub author: String,
    /// How often changes are taken: `real_time`, `every_15_min`, `daily_at_06:30`, ...
    pub frequency: String,
}

/// What the rule made of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainOpportunity {
    /// Which.
    pub id: SalesforceId,
    /// The conditions, in the filter's order.
    pub conditions: Vec<ExplainCondition>,
    /// How they are joined; absent: all must hold.
    pub logic: Option<String>,
    /// Whether the filter matches.
    pub matches: bool,
    /// Why the filter matches nothing at all, in sentences: date literals without a range.
    pub undefined: Vec<String>,
    /// Whether it is closed.
    pub is_closed: bool,
    /// Whether closed ones are synced.
    pub sync_closed: bool,
}

/// A condition with the value it met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainCondition {
    /// Its number in the filter, from 1.
    pub number: u64,
    /// The field.
    pub field: String,
    /// How it is compared.
    pub operator: String,
    /// With what.
    pub values: Vec<String>,
    /// The record's value; absent: blank.
    pub met: Option<String>,
    /// Whether it holds; absent: unknown, because the field is blank and the settings drop blanks.
    pub holds: Option<bool>,
}

/// Whether a user holds mOS permission, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainOwner {
    /// Who.
    pub user: UserView,
    /// Whether they do.
    pub permitted: bool,
    /// Through each of these.
    pub grants: Vec<Grant>,
    /// When the last of these runs out; absent: never.
    pub until: Option<Timestamp>,
    /// What they hold that does not count.
    pub not_counted: Vec<NearMiss>,
    /// The evidence in words.
    pub words: Vec<String>,
    /// The number of the permission snapshot.
    pub snapshot: u64,
}

/// The opportunities on which a user, account or contact hangs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainThrough {
    /// All of them, matching or not; of a contact, its roles on opportunities.
    pub all: u64,
    /// Those that the filter matches and that are not too closed, whoever owns them.
    pub matching: u64,
    /// Those of them that are in scope.
    pub in_scope: u64,
    /// The owners of the matching ones: those in scope first, then by number.
    pub owners: Vec<ThroughOwner>,
    /// How many further owners there are.
    pub owners_left_off: u64,
    /// Some of those in scope.
    pub examples: Vec<SalesforceId>,
    /// There may be more that match than were counted.
    pub cut_short: bool,
}

/// An owner of matching opportunities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThroughOwner {
    /// Who.
    pub owner: SalesforceId,
    /// How many.
    pub opportunities: u64,
    /// Whether they are in scope.
    pub permitted: bool,
    /// The evidence in words.
    pub words: Vec<String>,
}

/// What holds everything up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExplainGate {
    /// Which; absent for what a worker says of itself.
    pub code: Option<ExplainCode>,
    /// In words.
    pub words: String,
}

/// What mOS holds of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExplainMos {
    /// Whether it holds the record; absent when it did not answer.
    pub held: Option<bool>,
    /// The version it holds, as the ingest contract writes it.
    pub version: Option<String>,
    /// The same as a time: when the row that mOS holds was read from Salesforce.
    pub as_of: Option<Timestamp>,
    /// mOS field to value; empty fields are left out.
    pub fields: Map<String, Value>,
    /// The fields that would change if the record were sent now; absent when that is not known.
    pub differs: Option<Vec<String>>,
    /// Why that is not known.
    pub trouble: Option<String>,
}
