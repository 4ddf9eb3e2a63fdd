//! A word with a colour that says how good or bad it is. The word alone says it, too.

use domain::job::{MosStatus, SalesforceShown};
use maud::{Markup, html};
use ports::stores::LogLevel;

use crate::views::Verdict;

/// How it is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Neither good nor bad.
    Plain,
    /// Under way.
    Busy,
    /// All is well.
    Good,
    /// Worth a look.
    Warning,
    /// A person should act.
    Bad,
}

/// A word in a colour.
pub fn badge(tone: Tone, word: &str) -> Markup {
    let class = match tone {
        Tone::Plain => "badge",
        Tone::Busy => "badge busy",
        Tone::Good => "badge good",
        Tone::Warning => "badge warning",
        Tone::Bad => "badge bad",
    };
    html! { span class=(class) { (word) } }
}

/// Healthy or not.
pub fn verdict(verdict: Verdict) -> Markup {
    match verdict {
        Verdict::Healthy => badge(Tone::Good, "Healthy"),
        Verdict::Degraded => badge(Tone::Bad, "Degraded"),
        Verdict::OutOfReach => badge(Tone::Bad, "Out of reach"),
    }
}

/// Salesforce Job Status.
pub fn salesforce(status: SalesforceShown) -> Markup {
    let (tone, word) = match status {
        SalesforceShown::Queued => (Tone::Plain, "Queued"),
        SalesforceShown::Counting => (Tone::Busy, "Counting"),
        SalesforceShown::Extracting => (Tone::Busy, "Extracting"),
        SalesforceShown::Sealed => (Tone::Busy, "All read"),
        SalesforceShown::Completed => (Tone::Good, "Completed"),
        SalesforceShown::Failed => (Tone::Bad, "Failed"),
        SalesforceShown::Cancelled => (Tone::Plain, "Cancelled"),
        SalesforceShown::Paused => (Tone::Warning, "Paused"),
        SalesforceShown::PausedQuota => (Tone::Warning, "Paused (API allowance used up)"),
    };
    badge(tone, word)
}

/// mOS Job Status.
pub fn mos(status: MosStatus) -> Markup {
    let (tone, word) = match status {
        MosStatus::Waiting => (Tone::Plain, "Waiting"),
        MosStatus::Loading => (Tone::Busy, "Loading"),
        MosStatus::Stalled => (Tone::Bad, "Stalled"),
        MosStatus::Completed => (Tone::Good, "Completed"),
        MosStatus::CompletedWithErrors => (Tone::Warning, "Completed with errors"),
        MosStatus::Failed => (Tone::Bad, "Failed"),
        MosStatus::Cancelled => (Tone::Plain, "Cancelled"),
    };
    badge(tone, word)
}

/// How bad a line of the log is.
pub fn level(level: LogLevel) -> Markup {
    match level {
        LogLevel::Info => badge(Tone::Plain, "Info"),
        LogLevel::Warning => badge(Tone::Warning, "Warning"),
        LogLevel::Error => badge(Tone::Bad, "Error"),
    }
}

/// Sandbox or production.
pub fn org_kind(is_sandbox: bool) -> Markup {
    if is_sandbox {
        badge(Tone::Warning, "Sandbox")
    } else {
        badge(Tone::Plain, "Production")
    }
}
