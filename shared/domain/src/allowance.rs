//! The org's API allowance: how much of it mosync takes, and what is left to the customer.

use serde::{Deserialize, Serialize};

/// What mosync may take of the org's API requests per 24 hours, as percentages of the whole
/// allowance.
///
/// Bulk reading (full loads, backfills, refreshes) stops when mosync has used `percent` within 24
/// hours, or when less than twice the reserve is left of the org's allowance. Live changes go on
/// until no more than the reserve is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct ApiShare {
    percent: u8,
    reserve: u8,
}

#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Raw {
    percent: u8,
    reserve: u8,
}

/// A share that nobody can keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShareFault {
    /// `percent` is not 1 to 100.
    #[error("api_share.percent is {0}; write a number from 1 to 100")]
    Percent(u8),
    /// `reserve` is more than 50.
    #[error("api_share.reserve is {0}; write a number from 0 to 50")]
    Reserve(u8),
}

impl Default for ApiShare {
    /// Half of the allowance, with a tenth of it in reserve.
    fn default() -> Self {
        Self {
            percent: 50,
            reserve: 10,
        }
    }
}

impl Default for Raw {
    fn default() -> Self {
        ApiShare::default().into()
    }
}

impl From<ApiShare> for Raw {
    fn from(share: ApiShare) -> Self {
        let ApiShare { percent, reserve } = share;
        Self { percent, reserve }
    }
}

impl TryFrom<Raw> for ApiShare {
    type Error = ShareFault;

    fn try_from(raw: Raw) -> Result<Self, ShareFault> {
        Self::new(raw.percent, raw.reserve)
    }
}

/// How the org's allowance stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// What the org may use in 24 hours.
    pub max: u64,
    /// What all its clients together have used.
    pub used: u64,
    /// What mosync has used of that, by its own count.
    pub ours: u64,
}

/// What may still be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Room {
    /// Everything.
    #[default]
    All,
    /// Live changes only, for this reason.
    LiveOnly(Shortage),
    /// Nothing, for this reason.
    Nothing(Shortage),
}

/// What there is too little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// mosync has used its share.
    Share {
        /// By its own count.
        ours: u64,
        /// What it may.
        share: u64,
    },
    /// Little is left of the org's allowance.
    Reserve {
        /// What is left.
        left: u64,
        /// What must be left.
        bound: u64,
    },
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Share { ours, share } => write!(
                f,
                "mosync has made {ours} API requests in 24 h, its share is {share}"
            ),
            Self::Reserve { left, bound } => write!(
                f,
                "{left} API requests are left to the org, {bound} are kept back"
            ),
        }
    }
}

impl ApiShare {
    /// A share in percent, and a reserve.
    ///
    /// # Errors
    /// [`ShareFault`] names the number that is out of range.
    pub const fn new(percent: u8, reserve: u8) -> Result<Self, ShareFault> {
        if percent == 0 || percent > 100 {
            return Err(ShareFault::Percent(percent));
        }
        if reserve > 50 {
            return Err(ShareFault::Reserve(reserve));
        }
        Ok(Self { percent, reserve })
    }

    /// The requests in 24 hours after which bulk reading stops.
    #[must_use]
    pub fn share_of(self, max: u64) -> u64 {
        part(max, self.percent)
    }

    /// The requests that live changes leave to the customer.
    #[must_use]
    pub fn reserve_of(self, max: u64) -> u64 {
        part(max, self.reserve)
    }

    /// What may be read while usage is this.
    #[must_use]
    pub fn room(self, usage: Usage) -> Room {
        let Usage { max, used, ours } = usage;
        let left = max.saturating_sub(used);
        let (reserve, share) = (self.reserve_of(max), self.share_of(max));
        let short_of = |bound| Shortage::Reserve { left, bound };
        if left <= reserve {
            Room::Nothing(short_of(reserve))
        } else if left <= reserve * 2 {
            Room::LiveOnly(short_of(reserve * 2))
        } else if ours >= share {
            Room::LiveOnly(Shortage::Share { ours, share })
        } else {
            Room::All
        }
    }
}

const fn part(max: u64, percent: u8) -> u64 {
    max / 100 * percent as u64 + max % 100 * percent as u64 / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_stops_before_live() {
        let share = ApiShare::default();
        let room = |used, ours| {
            share.room(Usage {
                max: 10_000,
                used,
                ours,
            })
        };
        assert_eq!(room(7_999, 4_999), Room::All);
        assert_eq!(
            room(7_999, 5_000),
            Room::LiveOnly(Shortage::Share {
                ours: 5_000,
                share: 5_000
            })
        );
        let short = |left, bound| Shortage::Reserve { left, bound };
        assert_eq!(room(8_000, 0), Room::LiveOnly(short(2_000, 2_000)));
        assert_eq!(room(8_999, 9_000), Room::LiveOnly(short(1_001, 2_000)));
        assert_eq!(room(9_000, 0), Room::Nothing(short(1_000, 1_000)));
        assert_eq!(room(12_000, 0), Room::Nothing(short(0, 1_000)));
        let greedy = ApiShare::new(100, 0).unwrap().room(Usage {
            max: 10_000,
            used: 10_000,
            ours: 1,
        });
        assert_eq!(greedy, Room::Nothing(short(0, 0)));
    }

    #[test]
    fn a_share_is_checked_where_it_is_read() {
        let read = |text| serde_json::from_str::<ApiShare>(text);
        assert_eq!(read("{}").unwrap(), ApiShare::default());
        assert_eq!(
            read(r#"{"percent": 30}"#).unwrap(),
            ApiShare::new(30, 10).unwrap()
        );
        for (text, fault) in [
            (r#"{"percent": 0}"#, "write a number from 1 to 100"),
            (r#"{"percent": 101}"#, "write a number from 1 to 100"),
            (r#"{"reserve": 51}"#, "write a number from 0 to 50"),
            (r#"{"share": 5}"#, "unknown field"),
        ] {
            let told = read(text).unwrap_err().to_string();
            assert!(told.contains(fault), "{told}");
        }
        let written = serde_json::to_string(&ApiShare::default()).unwrap();
        assert_eq!(written, r#"{"percent":50,"reserve":10}"#);
    }
}
