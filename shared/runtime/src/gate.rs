//! Gates: whether a stage may take units at all, and why not.

use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::reasons::{Reason, Reasons};

/// Whether a stage may take units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open,
    /// It may not, for these reasons.
    Closed(Reasons),
}

impl Gate {
    /// Why it is closed; none where it is open.
    #[must_use]
    pub fn reasons(&self) -> Reasons {
        match self {
            Self::Open => Reasons::default(),
            Self::Closed(reasons) => reasons.clone(),
        }
    }
}

/// A gate that several parties can close, each for a reason of its own. It is open when none does.
#[derive(Debug)]
pub struct Gates {
    reasons: Mutex<Reasons>,
    sender: watch::Sender<Gate>,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            reasons: Mutex::default(),
            sender: watch::Sender::new(Gate::Open),
        }
    }
}

impl Gates {
    /// What workers watch.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Gate> {
        self.sender.subscribe()
    }

    /// `who` closes the gate, for a new reason if it did already. The name is what the reason is
    /// about, see [`Reasons`].
    pub fn close(&self, who: &'static str, why: impl Into<Reason>) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.insert(who, why);
        self.tell(&reasons);
    }

    /// `who` no longer minds.
    pub fn open(&self, who: &'static str) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.remove(who);
        self.tell(&reasons);
    }

    /// Whether `who` has closed it.
    #[must_use]
    pub fn is_closed_by(&self, who: &str) -> bool {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons.contains(who)
    }

    fn tell(&self, reasons: &Reasons) {
        let gate = if reasons.is_empty() {
            Gate::Open
        } else {
            Gate::Closed(reasons.clone())
        };
        self.sender.send_if_modified(|current| {
            let changed = *current != gate;
            *current = gate;
            changed
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_opens_when_the_last_reason_is_gone() {
        let gates = Gates::default();
        let watch = gates.watch();
        assert_eq!(*watch.borrow(), Gate::Open);
        gates.close("settings", "disabled");
        gates.close("mos", "mOS is down");
        let why = || watch.borrow().reasons().to_string();
        assert_eq!(why(), "mOS is down; disabled");
        gates.open("settings");
        assert_eq!(why(), "mOS is down");
        gates.open("mos");
        assert_eq!(*watch.borrow(), Gate::Open);
    }
}
