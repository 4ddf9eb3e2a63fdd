//! Scripted misbehaviour. A fault without a count lasts until it is cleared.

use serde::{Deserialize, Serialize};

use crate::ledger::RejectCode;
use crate::schema::RecordType;

/// One thing that goes wrong. Counts are upsert requests, for `reject` records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// Waits before it applies the request. A caller that hangs up meanwhile does not stop it.
    /// (In process nobody waits: the simulation's clock is its own.)
    Slow {
        /// Milliseconds.
        ms: u64,
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Answers with this status and applies nothing: 429, or 500 to 599.
    Status {
        /// The status.
        status: u16,
        /// The `Retry-After` header, in seconds.
        #[serde(default)]
        retry_after_s: Option<u64>,
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Takes the request, applies nothing, never answers.
    Hang {
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Applies the request, then closes the connection without an answer.
    ApplyThenLoseAnswer {
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Rejects records inside a 200.
    Reject {
        /// The code to reject with.
        code: RejectCode,
        /// The field to name.
        #[serde(default)]
        field: Option<String>,
        /// The share of matching records, 0 to 1; all of them when absent.
        #[serde(default)]
        probability: Option<f64>,
        /// Only records with these external ids; any when empty.
        #[serde(default)]
        ids: Vec<String>,
        /// How many records.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Applies the request and answers 200 with a body that is no JSON.
    Garbage {
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Applies the request and closes the connection in the middle of the answer.
    Truncated {
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Applies the request and answers in another order, which the contract allows.
    Shuffled {
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Applies the request and leaves the last result out, which the contract forbids.
    Short {
        /// How many requests.
        #[serde(default)]
        count: Option<u64>,
    },
    /// Answers 500 to every request that holds one of these records, and applies nothing of it.
    FailOver {
        /// Their external ids.
        ids: Vec<String>,
    },
    /// Everything but `/admin` is out of order until cleared.
    Down {
        /// Close each connection without a word, instead of a 503.
        #[serde(default)]
        refuse: bool,
    },
    /// An mOS admin removes a record (and what hangs on it), once, now.
    DeletedInMos {
        /// The record's type.
        #[serde(rename = "type")]
        kind: RecordType,
        /// The record's id.
        external_id: String,
    },
    /// Ends all faults.
    Clear,
}

impl Fault {
    fn count(&self) -> Option<u64> {
        match self {
            Self::Slow { count, .. }
            | Self::Status { count, .. }
            | Self::Hang { count }
            | Self::ApplyThenLoseAnswer { count }
            | Self::Reject { count, .. }
            | Self::Garbage { count }
            | Self::Truncated { count }
            | Self::Shuffled { count }
            | Self::Short { count } => *count,
            Self::FailOver { .. } | Self::Down { .. } | Self::DeletedInMos { .. } | Self::Clear => {
                None
            }
        }
    }
}

/// A fault that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FaultError {
    /// Only what the contract knows can be scripted.
    #[error("status {0} cannot be scripted; use 429 or 500 to 599")]
    Status(u16),
    /// A probability is a share.
    #[error("a probability is a number from 0 to 1")]
    Probability,
}

/// How one request is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Treatment {
    Proceed,
    Status {
        status: u16,
        retry_after_s: Option<u64>,
    },
    Down {
        refuse: bool,
    },
    Hang,
    Lose,
    Garbage,
    Truncated,
    Shuffled,
    Short,
}

/// The plan for one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) delay_ms: u64,
    pub(crate) treatment: Treatment,
}

#[derive(Debug)]
struct Active {
    fault: Fault,
    left: Option<u64>,
}

impl Active {
    fn spend(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    fn over(&self) -> bool {
        self.left == Some(0)
    }
}

/// The faults in force, in the order in which they were asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<Active>,
    draws: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> Result<(), FaultError> {
        if let Fault::Status { status, .. } = &fault
            && *status != 429
            && !(500..600).contains(status)
        {
            return Err(FaultError::Status(*status));
        }
        if let Fault::Reject {
            probability: Some(share),
            ..
        } = &fault
            && !(0.0..=1.0).contains(share)
        {
            return Err(FaultError::Probability);
        }
        let left = fault.count();
        self.active.push(Active { fault, left });
        Ok(())
    }

    pub(crate) fn left(&self) -> usize {
        self.active.len()
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// Whether everything is out of order, and how.
    pub(crate) fn down(&self) -> Option<bool> {
        self.active.iter().find_map(|active| {
            if let Fault::Down { refuse } = active.fault {
                Some(refuse)
            } else {
                None
            }
        })
    }

    /// Spends one count of the first fault that decides over a whole request, and of every delay
    /// before it.
    pub(crate) fn plan(&mut self) -> Plan {
        let mut plan = Plan {
            delay_ms: 0,
            treatment: Treatment::Proceed,
        };
        if let Some(refuse) = self.down() {
            plan.treatment = Treatment::Down { refuse };
            return plan;
        }
        for active in &mut self.active {
            if active.over() {
                continue;
            }
            plan.treatment = match &active.fault {
                Fault::Slow { ms, .. } => {
                    plan.delay_ms = plan.delay_ms.saturating_add(*ms);
                    active.spend();
                    continue;
                }
                Fault::Reject { .. }
                | Fault::FailOver { .. }
                | Fault::Down { .. }
                | Fault::DeletedInMos { .. }
                | Fault::Clear => continue,
                Fault::Status {
                    status,
                    retry_after_s,
                    ..
                } => Treatment::Status {
                    status: *status,
                    retry_after_s: *retry_after_s,
                },
                Fault::Hang { .. } => Treatment::Hang,
                Fault::ApplyThenLoseAnswer { .. } => Treatment::Lose,
                Fault::Garbage { .. } => Treatment::Garbage,
                Fault::Truncated { .. } => Treatment::Truncated,
                Fault::Shuffled { .. } => Treatment::Shuffled,
                Fault::Short { .. } => Treatment::Short,
            };
            active.spend();
            break;
        }
        self.active.retain(|active| !active.over());
        plan
    }

    /// Whether mOS fails over this record.
    pub(crate) fn fails_over(&self, external_id: &str) -> bool {
        self.active.iter().any(|active| {
            matches!(&active.fault, Fault::FailOver { ids } if ids.iter().any(|id| id == external_id))
        })
    }

    /// The scripted rejection of one record, if there is one.
    pub(crate) fn rejection(&mut self, external_id: &str) -> Option<(RejectCode, Option<String>)> {
        let draws = &mut self.draws;
        self.active.iter_mut().find_map(|active| {
            let Fault::Reject {
                code,
                field,
                probability,
                ids,
                ..
            } = &active.fault
            else {
                return None;
            };
            let named = ids.is_empty() || ids.iter().any(|id| id == external_id);
            let hit =
                named && !active.over() && probability.is_none_or(|share| draw(draws) < share);
            if !hit {
                return None;
            }
            let rejection = (*code, field.clone());
            active.spend();
            Some(rejection)
        })
    }
}

/// The next number in [0, 1) of a fixed sequence (splitmix64), so that a run can be repeated.
fn draw(draws: &mut u64) -> f64 {
    *draws = draws.wrapping_add(1);
    let mut z = draws.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^= z >> 31;
    (z >> 11) as f64 / (1_u64 << 53) as f64
}
