//! What a save would do, told before it.

use domain::rule::Effect;
use domain::settings::Change;
use domain::{SalesforceId, Timestamp};
use serde::{Deserialize, Serialize};

use super::Format;

/// What a save would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewView {
    /// By which its list is asked for, as long as it is kept.
    pub id: String,
    /// The revision in force, with which the document was compared.
    pub base: u64,
    /// As of when: relative dates are counted from then.
    pub at: Timestamp,
    /// The permission snapshot that says whose opportunities are counted; absent where nothing is
    /// counted.
    pub snapshot: Option<u64>,
    /// What the save changes in the document.
    pub changes: Vec<Change>,
    /// Its effects in sentences.
    pub words: Vec<String>,
    /// Opportunities that qualify then and do not now.
    pub enters: EffectView,
    /// Opportunities that qualify now and do not then.
    pub leaves: EffectView,
    /// Opportunities that qualify now and then, and are sent again because the mapping differs.
    pub sent_again: EffectView,
    /// The job that the save starts, and what it costs; absent when it starts none.
    pub job: Option<CostView>,
}

impl PreviewView {
    /// The opportunities of which this becomes.
    #[must_use]
    pub const fn effect(&self, effect: Effect) -> &EffectView {
        match effect {
            Effect::Enters => &self.enters,
            Effect::Leaves => &self.leaves,
            Effect::SentAgain => &self.sent_again,
        }
    }
}

/// Opportunities of which the same becomes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct EffectView {
    /// How many; absent when that cannot be told.
    pub count: Option<u64>,
    /// Whether it is these and no more; otherwise there are at most so many.
    pub exact: bool,
    /// How many opportunities were read and judged one by one, because SOQL cannot say it.
    pub judged: Option<u64>,
    /// What SOQL cannot say of it, or why it cannot be told.
    pub why: Vec<String>,
    /// The first of them, in the order of their ids.
    pub sample: Vec<PreviewedView>,
}

/// An opportunity and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewedView {
    /// What becomes of it.
    pub effect: Effect,
    /// Its id.
    pub id: SalesforceId,
    /// Its name.
    pub name: Option<String>,
    /// Its owner.
    pub owner: Option<SalesforceId>,
    /// The owner's name.
    pub owner_name: Option<String>,
}

/// What the job of a save costs, without what is asked about rules and fields whenever any are saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CostView {
    /// Records that it reads from Salesforce, what belongs to them apart; absent when Salesforce
    /// cannot count them in time.
    pub records: Option<u64>,
    /// The statements that it reads by pages of the REST API.
    pub rest_statements: u64,
    /// The statements that it reads by Bulk API jobs.
    pub bulk_statements: u64,
    /// About how many API requests it makes of Salesforce.
    pub api_calls: CallsView,
    /// How many the org has left for 24 hours; absent when it does not say.
    pub api_calls_left: Option<u64>,
    /// How fast records were read and written lately; absent when no job has shown it yet.
    pub rate: Option<RateView>,
    /// About how many seconds it takes at that rate.
    pub seconds: Option<u64>,
}

/// API requests by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallsView {
    /// Counting what is to be read.
    pub counting: u64,
    /// Reading it.
    pub reading: u64,
    /// Reading what belongs to it, or through which opportunities it is in scope.
    pub around: u64,
    /// Together.
    pub total: u64,
    /// Whether there may be many more, because something could not be counted.
    pub at_least: bool,
}

/// How fast jobs have been.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateView {
    /// Records a second.
    pub per_second: f64,
    /// The jobs in which that was measured, newest first.
    pub jobs: Vec<String>,
}

/// A page of a preview's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewedList {
    /// In the order of their ids.
    pub opportunities: Vec<PreviewedView>,
    /// `after` of the next page; absent on the last.
    pub next: Option<String>,
}

/// Which part of a preview's list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewedSearch {
    /// `enters`, `leaves` or `sent_again`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The page's beginning: `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Of an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
}
