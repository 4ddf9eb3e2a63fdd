//! Jobs, times and counts in words, the same wherever a person reads them.

use boot::console::views::{JobView, ObjectView};
use domain::Timestamp;
use domain::tally::Count;

/// `3 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn seconds(seconds: u64) -> String {
    let two = |large: u64, name: &str, small: u64, small_name: &str| {
        if small == 0 {
            format!("{large} {name}")
        } else {
            format!("{large} {name} {small} {small_name}")
        }
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// `12 s ago`, or `in 12 s` for what is planned.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    if at > now {
        format!("in {}", seconds(at.since(now).as_secs()))
    } else {
        format!("{} ago", seconds(now.since(at).as_secs()))
    }
}

/// `233 read, 395 created`; what is 0 is left out.
pub(crate) fn counts(of: impl Fn(Count) -> u64) -> String {
    let counts = Count::ALL
        .into_iter()
        .map(|count| (count.name(), of(count)))
        .filter(|(_, records)| *records > 0)
        .map(|(name, records)| format!("{name} {records}"))
        .collect::<Vec<_>>();
    if counts.is_empty() {
        "no record yet".to_owned()
    } else {
        counts.join(", ")
    }
}

/// A job in one line.
pub(crate) fn job(job: &JobView) -> String {
    let counts = counts(|count| job.tally.total(count));
    let pace = pace(job)
        .map(|pace| format!("; {pace}"))
        .unwrap_or_default();
    format!(
        "job {}: Salesforce {}, mOS {}, {} units on the way{pace}; {counts}",
        job.id,
        job.salesforce.name(),
        job.mos.name(),
        job.pending,
    )
}

/// `41.3 % of 2900 records, 310.5/s, 6 s left`, as far as it is known and of interest.
pub(crate) fn pace(job: &JobView) -> Option<String> {
    if job.over.is_some() {
        return None;
    }
    let parts = [
        job.percent
            .zip(job.total)
            .map(|(percent, total)| format!("{percent} % of {total} records")),
        job.per_second.map(|rate| format!("{rate}/s")),
        job.remaining_s
            .map(|remaining| format!("about {} left", seconds(remaining))),
    ];
    let parts = parts.into_iter().flatten().collect::<Vec<_>>();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A job with everything about it.
pub(crate) fn job_at_length(view: &JobView, now: Timestamp) -> Vec<String> {
    let mut lines = vec![job(view)];
    lines.push(format!("    reads {}", view.reads));
    let time = |what: &str, at: Option<Timestamp>| at.map(|at| format!("{what} {at}"));
    let times = [
        Some(format!("asked for {}", view.requested)),
        time("begun", view.started),
        time("all published", view.sealed),
        time("over", view.over),
    ];
    let times = times.into_iter().flatten().collect::<Vec<_>>();
    lines.push(format!("    {}", times.join(", ")));
    if let Some(pause) = &view.paused {
        let until = pause.until.map_or_else(
            || format!("`mosync jobs resume {}` lets it go on", view.id),
            |until| format!("it goes on by itself {}", ago(until, now)),
        );
        lines.push(format!(
            "    paused {}: {}; {until}",
            ago(pause.since, now),
            pause.why
        ));
    }
    if let Some(error) = &view.error {
        lines.push(format!("    failed: {error}"));
    }
    for (kind, object) in &view.objects {
        lines.push(format!("    {kind}: {}", both_sides(object)));
        if let Some(error) = &object.last_error {
            lines.push(format!("        the last refusal: {error}"));
        }
    }
    lines
}

fn both_sides(object: &ObjectView) -> String {
    let of = object
        .total
        .map(|total| format!(" of {total}"))
        .unwrap_or_default();
    let errors = match object.errors {
        0 => String::new(),
        errors => format!(", {errors} refusals"),
    };
    let counts = counts(|count| object.tally.get(&count).copied().unwrap_or(0));
    let pending = object
        .pending
        .filter(|pending| *pending > 0)
        .map(|pending| format!(", {pending} on the way"))
        .unwrap_or_default();
    format!(
        "Salesforce {}{of} read in {} units{errors}; mOS {counts}{pending}",
        object.read, object.units
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units_at_most() {
        for (given, told) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (250, "4 min 10 s"),
            (7500, "2 h 5 min"),
            (86_400, "1 d"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(seconds(given), told);
        }
    }

    #[test]
    fn counts_leave_out_what_is_nothing() {
        assert_eq!(counts(|_| 0), "no record yet");
        let some = |count| 3 * u64::from(count == Count::Read) + u64::from(count == Count::Parked);
        assert_eq!(counts(some), "read 3, parked 1");
    }
}
