//! Which records the integration user may see.
//!
//! Everybody signs in as the integration user, so there is one answer for all reads. Events tell of
//! hidden records all the same: Change Data Capture passes over sharing.
use std::sync::Arc;

use crate::error::ApiError;
use crate::org::{Org, State};
use crate::record::Record;
use crate::table::Key;

impl Org {
    /// Hides a record from whoever signs in, or shows it again: no query, no read by id finds it,
    /// and a reference to it leads nowhere. The roles of a hidden opportunity are hidden with it. An
    /// account stays visible as long as one of its opportunities or contacts is (implicit sharing).
    ///
    /// # Errors
    /// No such record.
    pub fn hide_record(&self, record_id: &str, hidden: bool) -> Result<(), ApiError> {
        let writer = self.writer();
        let state = self.state();
        let whole = crate::id::to_18(record_id).filter(|whole| state.by_id(whole).is_some());
        let Some(whole) = whole else {
            return Err(ApiError::new(
                "INVALID_CROSS_REFERENCE_KEY",
                format!("there is no record {record_id}"),
            ));
        };
        self.alter(|state| {
            let all = Arc::make_mut(&mut state.hidden);
            if hidden {
                all.insert(Key::of(&whole));
            } else {
                all.remove(&Key::of(&whole));
            }
        });
        drop(writer);
        Ok(())
    }
}

impl State {
    /// Whether the integration user may see the record, deleted or not.
    pub(crate) fn is_visible(&self, record: &Record) -> bool {
        if self.hidden.is_empty() {
            return true;
        }
        let hidden = |id: &str| self.hidden.contains(&Key::of(id));
        match record.entity().name {
            "OpportunityContactRole" => {
                !hidden(record.id()) && !record.text("OpportunityId").is_some_and(hidden)
            }
            "Account" if hidden(record.id()) => ["Opportunity", "Contact"]
                .into_iter()
                .any(|child| self.has_visible_child(child, record.id())),
            _ => !hidden(record.id()),
        }
    }

    fn has_visible_child(&self, child: &str, account: &str) -> bool {
        let position = self
            .entity(child)
            .and_then(|child| child.position("AccountId"));
        let children = position
            .zip(self.table(child))
            .and_then(|(position, table)| table.referring(position, account));
        let mut children = children.into_iter().flatten();
        children
            .any(|child| !child.flag("IsDeleted") && !self.hidden.contains(&Key::of(child.id())))
    }
}
