//! What a person sees while the demo runs: bars on a terminal, plain lines elsewhere.

use std::time::Duration;

use boot::console::views::StatusView;
use domain::tally::Count;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::commands::words;
use crate::exit::say;

/// How often plain lines repeat what goes on.
const LINE_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Progress {
    began: Instant,
    /// `None`: plain lines.
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(headless: bool) -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = (!headless && terminal).then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        if let Some(bar) = &bar {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        let now = Instant::now();
        Self {
            began: now,
            bar,
            last_line: now,
        }
    }

    /// A new step has begun.
    pub(crate) fn step(&mut self, text: &str) {
        let line = format!("[{:>6.1} s] {text}", self.began.elapsed().as_secs_f64());
        match &self.bar {
            Some(bar) => bar.println(line),
            None => say(&line),
        }
        self.last_line = Instant::now();
    }

    /// How things stand.
    pub(crate) fn show(&mut self, status: &StatusView) {
        let in_mos = |count| {
            status
                .jobs
                .iter()
                .map(|job| job.tally.total(count))
                .sum::<u64>()
        };
        let sync_all = status
            .last_sync_all
            .as_ref()
            .filter(|job| job.over.is_none());
        if let Some(job) = sync_all {
            return self.tell(&words::job(job));
        }
        let on_the_way: u64 = status.jobs.iter().map(|job| job.pending).sum();
        self.tell(&format!(
            "{} created, {} updated, {} unchanged in mOS; {on_the_way} units on the way; {}",
            in_mos(Count::Created),
            in_mos(Count::Updated),
            in_mos(Count::Unchanged),
            status.reason
        ));
    }

    /// Something that changes all the time.
    pub(crate) fn tell(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None if self.last_line.elapsed() >= LINE_EVERY => self.step(text),
            None => {}
        }
    }

    pub(crate) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
