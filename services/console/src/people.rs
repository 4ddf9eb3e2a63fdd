//! Who is who in the console.

use std::collections::BTreeSet;

use domain::permission::PermissionSnapshot;
use domain::{SalesforceId, Timestamp};

use crate::rights::Role;

/// Who may do what: administrators by their permission set in Salesforce, the others by name.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// The API name of the permission set mOS admin, with its namespace.
    pub admin_permission_set: String,
    /// Salesforce usernames in lower case.
    pub operators: BTreeSet<String>,
    /// Salesforce usernames in lower case.
    pub viewers: BTreeSet<String>,
}

impl People {
    /// Who somebody is by name; `None`: nobody here.
    #[must_use]
    pub fn named(&self, username: &str) -> Option<Role> {
        let username = username.to_lowercase();
        if self.operators.contains(&username) {
            Some(Role::Operator)
        } else {
            self.viewers.contains(&username).then_some(Role::Viewer)
        }
    }

    /// How many administrators there are.
    #[must_use]
    pub fn administrators(&self, snapshot: &PermissionSnapshot, now: Timestamp) -> usize {
        let holders = snapshot.holders.keys();
        holders
            .filter(|user| self.is_administrator(user, snapshot, now))
            .count()
    }

    /// Whether somebody is an administrator, by a snapshot of permissions.
    #[must_use]
    pub fn is_administrator(
        &self,
        user: &SalesforceId,
        snapshot: &PermissionSnapshot,
        now: Timestamp,
    ) -> bool {
        let grants = snapshot.holders.get(user).into_iter().flatten();
        grants.filter(|grant| grant.counts(now)).any(|grant| {
            grant
                .permission_set
                .eq_ignore_ascii_case(&self.admin_permission_set)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use domain::permission::Grant;

    use super::*;

    #[test]
    fn the_permission_set_makes_administrators_while_it_lasts_and_names_make_the_others() {
        let user = |number: u32| SalesforceId::parse(&format!("0050000000000{number:02}")).unwrap();
        let grant = |set: &str, expires: Option<i64>| Grant {
            permission_set: set.to_owned(),
            group: None,
            expires: expires.map(Timestamp::from_micros),
        };
        let snapshot = PermissionSnapshot {
            holders: BTreeMap::from([
                (user(1), [grant("mOS_Admin", Some(10))].into()),
                (user(2), [grant("mOS_User", None)].into()),
            ]),
            ..PermissionSnapshot::default()
        };
        let people = People {
            admin_permission_set: "mOS_Admin".to_owned(),
            operators: ["ben@example.com".to_owned()].into(),
            viewers: ["ben@example.com".to_owned(), "cleo@example.com".to_owned()].into(),
        };
        let administers = |number, now| {
            people.is_administrator(&user(number), &snapshot, Timestamp::from_micros(now))
        };
        assert!(administers(1, 9));
        assert!(!administers(1, 10), "it has run out");
        assert!(!administers(2, 9), "mOS user is not mOS admin");
        assert_eq!(people.named("Ben@Example.com"), Some(Role::Operator));
        assert_eq!(people.named("cleo@example.com"), Some(Role::Viewer));
        assert_eq!(people.named("dan@example.com"), None);
        assert_eq!(
            people.administrators(&snapshot, Timestamp::from_micros(9)),
            1
        );
        assert_eq!(
            people.administrators(&snapshot, Timestamp::from_micros(10)),
            0
        );
    }
}
