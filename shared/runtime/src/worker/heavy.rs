//! Units that grow heavier than a broker takes. A unit of 200 ids may have rows of 20 MB, and
//! `RabbitMQ` from 4.0 on closes the channel of who sends more than 16 MiB, however often.

use std::collections::BTreeSet;

use domain::job::Job;
use domain::tally::Count;
use domain::unit::{Cause, Envelope, UnitRecord};
use domain::{ObjectKind, SalesforceId};
use ports::stores::{LogLevel, StoreError};

use super::{Verdict, Worker};

/// What a unit that is sent on may weigh. A single record is sent whatever it weighs.
const MOST_SENT: usize = 8 << 20;
/// What a record weighs beside its row, about.
const WITHOUT_ROW: usize = 512;

impl Worker {
    /// Leaves what is too much for a unit to a job of its own, where these records are read again
    /// among fewer others. Counted, they are collapsed: that read answers for them. The job is there
    /// before the unit is sent on, so that they are in one of the two whatever is killed. Answers
    /// also what the rows weighed before.
    pub(super) async fn lightened(
        &self,
        mut verdict: Verdict,
    ) -> Result<(Verdict, usize), StoreError> {
        let grown = verdict.row_bytes();
        for (_, unit) in &mut verdict.publish {
            let left = lighten(unit);
            if left.is_empty() {
                continue;
            }
            // The same unit that is handled again asks for the same job.
            let name = format!(
                "too much for {} at {}.{}: {left:?}",
                unit.id, unit.rereads, unit.attempts
            );
            let message = format!(
                "{} records of a unit of {} are read again in a job of their own: with their rows it is too large for a message",
                left.len(),
                unit.job
            );
            let job = Job::retry(left, &name, self.clock.now());
            self.stores.jobs.create(&job).await?;
            self.log(LogLevel::Info, "job", Some(job.id), None, message)
                .await?;
        }
        Ok((verdict, grown))
    }
}

/// Takes out of a unit what is too much for it, and counts it: companions first, the last records
/// before others. Read in their own right, companions bring along less than what brought them, or
/// nothing. The other way round, they would fill the next unit again, and so on for ever.
fn lighten(unit: &mut Envelope) -> BTreeSet<(ObjectKind, SalesforceId)> {
    let (companions, others): (Vec<&UnitRecord>, Vec<&UnitRecord>) = unit
        .records
        .iter()
        .partition(|record| record.cause == Cause::Companion);
    let mut bytes = 0_usize;
    let too_much = others.into_iter().chain(companions).skip_while(|record| {
        let first = bytes == 0;
        bytes = bytes.saturating_add(weight(record));
        first || bytes <= MOST_SENT
    });
    let left = too_much
        .map(|record| (record.object, record.id))
        .collect::<BTreeSet<_>>();
    let Envelope { records, tally, .. } = unit;
    records.retain(|record| {
        let fits = !left.contains(&(record.object, record.id));
        if !fits {
            tally.add(record.object, Count::Collapsed);
        }
        fits
    });
    left
}

fn weight(record: &UnitRecord) -> usize {
    let row = record.row.as_ref().map_or(0, |row| row.get().len());
    row.saturating_add(WITHOUT_ROW)
}

#[cfg(test)]
mod tests {
    use domain::job::JobId;
    use domain::unit::Lane;
    use domain::{Row, Timestamp};

    use super::*;

    /// A unit of so many records whose rows have texts of so many bytes.
    fn unit(records: usize, text: usize) -> Envelope {
        let job = JobId::of("retry-a");
        let record = |number| {
            let id = SalesforceId::parse(&format!("006{number:012}")).unwrap();
            let row = serde_json::json!({ "Description": "x".repeat(text) });
            UnitRecord {
                object: ObjectKind::Opportunity,
                id,
                cause: Cause::Reread,
                row: (text > 0).then(|| Row::of(&row).unwrap()),
                owners: BTreeSet::new(),
                last_word: false,
                entering: false,
            }
        };
        let org = SalesforceId::parse("00D000000000001").unwrap();
        let records = (0..records).map(record).collect();
        Envelope::new(job, 0, Lane::Bulk, org, Timestamp::default(), records)
    }

    #[test]
    fn what_is_too_much_is_left_out_and_counted() {
        // No row, some that fit, some that do not, one that does not fit alone.
        for (records, text, kept) in [
            (0, 0, 0),
            (200, 0, 200),
            (200, 30_000, 200),
            (200, 96_000, 86),
            (2, MOST_SENT, 1),
        ] {
            let whole = unit(records, text);
            let mut light = whole.clone();
            let left = lighten(&mut light);
            assert_eq!((light.records.len(), left.len()), (kept, records - kept));
            let (first, last) = whole.records.split_at(kept);
            assert_eq!(light.records, first);
            assert!(
                last.iter()
                    .all(|last| left.contains(&(last.object, last.id)))
            );
            let collapsed = light.tally.get(ObjectKind::Opportunity, Count::Collapsed);
            assert_eq!(collapsed, left.len() as u64);
            assert!(light.encode().unwrap().len() <= MOST_SENT || kept == 1);
        }
    }

    #[test]
    fn companions_are_left_out_before_what_brought_them() {
        // Accounts come before the deals that brought them. All of them are too much, some of them
        // are, or the only deal is too much by itself.
        for (records, text, companions, kept) in [
            (200, 96_000, 114, 0),
            (200, 96_000, 150, 36),
            (2, MOST_SENT, 1, 0),
        ] {
            let mut whole = unit(records, text);
            for record in &mut whole.records[..companions] {
                record.object = ObjectKind::Account;
                record.cause = Cause::Companion;
            }
            let mut light = whole.clone();
            let left = lighten(&mut light);
            let (accounts, deals) = whole.records.split_at(companions);
            assert_eq!(light.records, [&accounts[..kept], deals].concat());
            let out = accounts[kept..].iter();
            let out = out.map(|account| (account.object, account.id));
            assert_eq!(left, out.collect::<BTreeSet<_>>());
            let collapsed = light.tally.get(ObjectKind::Account, Count::Collapsed);
            assert_eq!(collapsed, left.len() as u64);
        }
    }
}
