//! `mosync left`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use boot::console::Client;
use boot::console::views::{Format, LeftRecord, LeftView, LeftWhy};
use domain::Timestamp;

use crate::cli::{Configured, LogsFormat};
use crate::exit::{self, Failure, print};

/// Tells which opportunities are in mOS and do not qualify, stretch by stretch.
pub(crate) async fn run(
    configured: &Configured,
    format: LogsFormat,
    limit: usize,
) -> Result<ExitCode, Failure> {
    let client = super::reach(configured)?.client().await?;
    match format {
        LogsFormat::Text => tell(&client, limit).await?,
        LogsFormat::Csv => write_out(&client, Format::Csv).await?,
        LogsFormat::Jsonl => write_out(&client, Format::Jsonl).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes through all that mOS holds.
async fn each_stretch(
    client: &Client,
    mut each: impl FnMut(&LeftView) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after: Option<String> = None;
    loop {
        let stretch = client.left(after.as_deref()).await?;
        each(&stretch)?;
        if stretch.next.is_none() {
            return Ok(());
        }
        after = stretch.next;
    }
}

/// What is counted, and the first of what is named.
#[derive(Debug, Default)]
struct Counted {
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    held: u64,
    by_reason: BTreeMap<LeftWhy, u64>,
    named: Vec<LeftRecord>,
}

impl Counted {
    fn add(&mut self, stretch: &LeftView, limit: usize) {
        self.from.get_or_insert(stretch.read_at);
        self.to = Some(stretch.read_at);
        self.held += stretch.held;
        for record in &stretch.left {
            *self.by_reason.entry(record.why).or_default() += 1;
            if self.named.len() < limit {
                self.named.push(record.clone());
            }
        }
    }

    fn lines(&self) -> Vec<String> {
        let left: u64 = self.by_reason.values().sum();
        let when = match (self.from, self.to) {
            (Some(from), Some(to)) if from == to => format!("read {from}"),
            (Some(from), Some(to)) => format!("read from {from} to {to}"),
            _ => "nothing was read".to_owned(),
        };
        let mut lines = vec![format!(
            "{left} of the {} opportunities in mOS do not qualify now: they stay there as they are and receive nothing more; {when}",
            self.held
        )];
        let counts = self.by_reason.iter();
        lines.extend(counts.map(|(why, count)| format!("    {count}: {}", why.words())));
        lines.extend(self.named.iter().map(|record| {
            let name = record.name.as_ref().map(|name| format!(" {name}"));
            let owner = record
                .owner
                .filter(|_| record.why == LeftWhy::OwnerWithoutPermission);
            let owner = owner.map(|owner| format!(" ({owner})"));
            format!(
                "{}{}: {}{}",
                record.id,
                name.unwrap_or_default(),
                record.why.words(),
                owner.unwrap_or_default()
            )
        }));
        let more = left.saturating_sub(u64::try_from(self.named.len()).unwrap_or(u64::MAX));
        if more > 0 {
            lines.push(format!(
                "... and {more} more: --limit, or --format csv for all"
            ));
        }
        lines
    }
}

async fn tell(client: &Client, limit: usize) -> Result<(), Failure> {
    let mut counted = Counted::default();
    each_stretch(client, |stretch| {
        counted.add(stretch, limit);
        Ok(())
    })
    .await?;
    print(&counted.lines().join("\n"));
    Ok(())
}

async fn write_out(client: &Client, format: Format) -> Result<(), Failure> {
    exit::write_out(&format.head::<LeftRecord>()?);
    each_stretch(client, |stretch| {
        exit::write_out(&format.lines(&stretch.left)?);
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(at: i64, held: u64, whys: &[LeftWhy]) -> LeftView {
        let left = whys.iter().map(|why| LeftRecord {
            id: "006000000000001AAA".to_owned(),
            name: Some("Deal".to_owned()),
            owner: None,
            why: *why,
        });
        LeftView {
            read_at: Timestamp::from_micros(at),
            settings_revision: 1,
            snapshot: 1,
            held,
            left: left.collect(),
            next: None,
        }
    }

    #[test]
    fn stretches_are_added_up_and_the_first_are_named() {
        let mut counted = Counted::default();
        counted.add(&stretch(0, 10, &[LeftWhy::Closed, LeftWhy::Filter]), 2);
        counted.add(&stretch(1_000_000, 5, &[LeftWhy::Closed]), 2);
        let lines = counted.lines();
        assert!(
            lines[0].starts_with("3 of the 15 opportunities"),
            "{lines:?}"
        );
        assert!(lines[0].contains("from 1970-01-01T00:00:00.000Z to 1970-01-01T00:00:01.000Z"));
        assert_eq!(lines[1], "    1: the filter does not match");
        assert_eq!(lines[2], "    2: closed");
        assert_eq!(lines[3], "006000000000001AAA Deal: closed");
        assert_eq!(lines.len(), 6);
        assert!(lines[5].starts_with("... and 1 more"), "{lines:?}");
    }
}
