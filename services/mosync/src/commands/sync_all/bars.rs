//! A job on a terminal: a bar for what Salesforce has given and one for what has become of it.

use boot::console::views::JobView;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::commands::words;

pub(crate) struct Bars {
    all: MultiProgress,
    salesforce: ProgressBar,
    mos: ProgressBar,
}

impl Bars {
    pub(crate) fn new() -> Self {
        let all = MultiProgress::new();
        let bar = |prefix: &'static str| {
            let style = ProgressStyle::with_template("{prefix:>10} [{wide_bar}] {pos}/{len} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(0).with_style(style).with_prefix(prefix);
            all.add(bar)
        };
        let salesforce = bar("Salesforce");
        let mos = bar("mOS");
        Self {
            all,
            salesforce,
            mos,
        }
    }

    pub(crate) fn show(&mut self, job: &JobView) {
        let read = job.objects.values().map(|object| object.read).sum::<u64>();
        // Where Salesforce has not said how many there are, the bar is as long as what is known.
        let total = job.total.unwrap_or_else(|| read.max(job.done));
        for (bar, done) in [(&self.salesforce, read), (&self.mos, job.done)] {
            bar.set_length(total);
            bar.set_position(done.min(total));
        }
        self.salesforce.set_message(job.salesforce.name());
        let left = job
            .remaining_s
            .map(|left| format!(", about {} left", words::seconds(left)))
            .unwrap_or_default();
        self.mos.set_message(format!("{}{left}", job.mos.name()));
    }

    /// A line above the bars. A terminal that is gone hears nothing.
    pub(crate) fn say(&self, line: &str) {
        if let Err(error) = self.all.println(line) {
            tracing::debug!(%error, "the terminal does not take a line");
        }
    }

    pub(crate) fn end(self) {
        self.salesforce.finish_and_clear();
        self.mos.finish_and_clear();
    }
}
