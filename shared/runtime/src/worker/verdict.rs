//! What a handler wants done about a unit.

use std::time::Duration;

use domain::job::JobId;
use domain::parked::Parked;
use domain::tally::{Count, Tally};
use domain::unit::{Envelope, QueueName, Stage};
use domain::{ObjectKind, SalesforceId, Version};

/// What is to be done about a unit.
#[derive(Debug)]
pub struct Verdict {
    /// Units to publish, each to its queue.
    pub publish: Vec<(QueueName, Envelope)>,
    /// Records to park.
    pub park: Vec<Parked>,
    /// Records whose parked entries are void.
    pub unpark: Void,
    /// The unit's tally, when its last record is terminal.
    pub count: Option<Counted>,
    /// Then settle it so.
    pub settle: Settle,
}

impl Verdict {
    /// Passes the unit on to the next stage.
    #[must_use]
    pub fn pass_on(to: QueueName, unit: Envelope) -> Self {
        Self {
            publish: vec![(to, unit)],
            ..Self::left_to_another()
        }
    }

    /// Sends the unit back to where rows are read.
    #[must_use]
    pub fn read_again(unit: Envelope) -> Self {
        Self::pass_on(QueueName::new(Stage::Filter, unit.lane), unit.unread())
    }

    /// Nothing is to be done about this copy of a unit: another one is counted.
    #[must_use]
    pub fn left_to_another() -> Self {
        Self {
            publish: Vec::new(),
            park: Vec::new(),
            unpark: Void::default(),
            count: None,
            settle: Settle::Ack,
        }
    }

    /// Nothing more is done for what is left of a cancelled job's unit.
    #[must_use]
    pub fn cancelled(mut unit: Envelope) -> Self {
        for record in std::mem::take(&mut unit.records) {
            unit.tally.add(record.object, Count::Cancelled);
        }
        Self::finished(unit)
    }

    /// Nothing is left to be done for the unit: counts it.
    #[must_use]
    pub fn finished(unit: Envelope) -> Self {
        let count = Some(Counted {
            job: unit.job,
            index: unit.index,
            tally: unit.tally,
        });
        Self {
            count,
            ..Self::left_to_another()
        }
    }

    /// What is left of the unit comes again after this long.
    #[must_use]
    pub fn later(wait: Duration, unit: Envelope) -> Self {
        Self {
            settle: Settle::RetryAfter(wait, Box::new(unit)),
            ..Self::left_to_another()
        }
    }

    /// What the rows of the units weigh that are to be published.
    pub(super) fn row_bytes(&self) -> usize {
        let records = self.publish.iter().flat_map(|(_, unit)| &unit.records);
        let rows = records.filter_map(|record| record.row.as_ref());
        rows.map(|row| row.get().len()).sum()
    }
}

/// Records that are gone, or out of scope, as of a version.
#[derive(Debug, Default)]
pub struct Void {
    /// Which.
    pub records: Vec<(ObjectKind, SalesforceId)>,
    /// The version of the rows that showed it; what is parked from newer ones stays.
    pub version: Version,
}

/// A unit that is to be counted.
#[derive(Debug)]
pub struct Counted {
    /// In which job.
    pub job: JobId,
    /// Under which index.
    pub index: u64,
    /// With what became of its records.
    pub tally: Tally,
}

/// How a delivery is settled.
#[derive(Debug)]
pub enum Settle {
    /// Done with.
    Ack,
    /// Delivered again after this long, with what is left of the unit.
    RetryAfter(Duration, Box<Envelope>),
}
