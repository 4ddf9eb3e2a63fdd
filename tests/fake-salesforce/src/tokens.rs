//! Access tokens handed out by the sign-in doors.
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::commit::Clock;
use crate::faults::Faults;

/// How long a token lives after its last use.
const LIFE_MICROS: i64 = 2 * 3600 * 1_000_000;

/// The tokens in force.
pub struct Tokens {
    org_id: String,
    clock: Clock,
    faults: Arc<Faults>,
    inner: Mutex<Inner>,
}

struct Inner {
    random: StdRng,
    access: BTreeMap<String, Grant>,
    refresh: BTreeMap<String, String>,
}

struct Grant {
    user: String,
    last_used: i64,
    epoch: u64,
    /// The refresh token that it came with or of.
    refresh: Option<String>,
}

/// What is known of a valid access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The user's 18-character id.
    pub user: String,
    /// When it ends without further use, microseconds since the epoch.
    pub expires_micros: i64,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

impl Tokens {
    /// An empty set of tokens of this org.
    pub fn new(org_id: &str, clock: Clock, faults: Arc<Faults>, seed: u64) -> Self {
        Tokens {
            org_id: org_id.to_owned(),
            clock,
            faults,
            inner: Mutex::new(Inner {
                random: StdRng::seed_from_u64(seed ^ 0x746f_6b65_6e73),
                access: BTreeMap::new(),
                refresh: BTreeMap::new(),
            }),
        }
    }

    /// A new access token for a user.
    pub fn issue(&self, user: &str) -> String {
        self.issue_with(user, None)
    }

    /// The same, which ends with this refresh token.
    pub(crate) fn issue_with(&self, user: &str, refresh: Option<&str>) -> String {
        let mut inner = self.inner();
        let body = random_text(&mut inner.random, 96);
        let token = format!("{}!{body}", self.org_id.get(..15).unwrap_or(&self.org_id));
        let grant = Grant {
            user: user.to_owned(),
            last_used: (self.clock)(),
            epoch: self.faults.token_epoch(),
            refresh: refresh.map(str::to_owned),
        };
        inner.access.insert(token.clone(), grant);
        token
    }

    /// A new refresh token for a user.
    pub fn issue_refresh(&self, user: &str) -> String {
        let mut inner = self.inner();
        let token = format!("5Aep861{}", random_text(&mut inner.random, 80));
        inner.refresh.insert(token.clone(), user.to_owned());
        token
    }

    /// Whose refresh token this is.
    pub fn refresh_user(&self, token: &str) -> Option<String> {
        self.inner().refresh.get(token).cloned()
    }

    /// Whether a token is valid now; if so its life begins anew.
    pub fn check(&self, token: &str) -> bool {
        self.session(token, true).is_some()
    }

    /// The session of a token valid now; `touch` begins its life anew.
    pub fn session(&self, token: &str, touch: bool) -> Option<Session> {
        let now = (self.clock)();
        let epoch = self.faults.token_epoch();
        let mut inner = self.inner();
        let grant = inner.access.get_mut(token)?;
        if grant.epoch != epoch || now - grant.last_used > LIFE_MICROS {
            inner.access.remove(token);
            return None;
        }
        if touch {
            grant.last_used = now;
        }
        Some(Session {
            user: grant.user.clone(),
            expires_micros: grant.last_used + LIFE_MICROS,
        })
    }

    /// Ends a token, access or refresh; whether there was one. With a refresh token end the access
    /// tokens that came of it.
    pub fn revoke(&self, token: &str) -> bool {
        if self.use_up(token) {
            let mut inner = self.inner();
            let access = &mut inner.access;
            access.retain(|_, grant| grant.refresh.as_deref() != Some(token));
            return true;
        }
        self.inner().access.remove(token).is_some()
    }

    /// Ends a refresh token alone; whether there was one.
    pub(crate) fn use_up(&self, refresh: &str) -> bool {
        self.inner().refresh.remove(refresh).is_some()
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn random_text(random: &mut StdRng, length: usize) -> String {
    std::iter::repeat_with(|| char::from(random.sample(rand::distr::Alphanumeric)))
        .take(length)
        .collect()
}
