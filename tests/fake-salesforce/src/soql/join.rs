//! Semi-joins: which ids a sub-select finds.
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::ApiError;
use crate::record::Cell;
use crate::schema::Entity;
use crate::soql::lexer::malformed;
use crate::soql::parser::{Item, Query};
use crate::soql::path::{Path, Scope};
use crate::soql::plan::Plan;
use crate::table::Key;

/// Up to this many records a sub-select is carried out at once; beyond, id by id.
const FEW: usize = 5_000;

/// The ids that a sub-select finds.
#[derive(Debug)]
pub(crate) enum Join {
    /// All of them.
    Known(BTreeSet<String>),
    /// Too many to collect: each id asked for is looked up by the index of the field that the
    /// sub-select selects, and remembered.
    Asked(Box<Asked>),
}

#[derive(Debug)]
pub(crate) struct Asked {
    plan: Plan,
    path: Path,
    answers: RefCell<BTreeMap<Key, bool>>,
}

impl Join {
    /// What the sub-select finds of what `left`, a field of `outer`, refers to.
    ///
    /// # Errors
    /// What is wrong with any query, and a sub-select that only other query languages have.
    pub(crate) fn new(
        scope: &Scope<'_>,
        outer: &Entity,
        left: &Path,
        query: &Query,
    ) -> Result<Self, ApiError> {
        let bare = query.group_by.is_empty()
            && query.order_by.is_empty()
            && query.limit.is_none()
            && query.offset == 0;
        if !bare {
            return Err(malformed(
                "semi join sub-selects have no GROUP BY, ORDER BY, LIMIT and OFFSET",
            ));
        }
        let plan = Plan::new(scope, query, true)?;
        if plan.root == outer {
            return Err(malformed(
                "The inner and outer selects should not be on the same object type",
            ));
        }
        let [(Item::Field(names), None)] = query.select.as_slice() else {
            return Err(malformed(
                "semi join sub-selects can only query one id field",
            ));
        };
        let path = scope.resolve(plan.root, plan.alias.as_deref(), names)?;
        if !path.field.kind.is_id() || !path.is_own() {
            return Err(malformed(format!(
                "The selected field in the semi join sub-select should be an id field, cannot use: '{}'",
                names.parts.join(".")
            )));
        }
        if target(plan.root, &path) != target(outer, left) {
            return Err(malformed(format!(
                "'{}' and the selected field '{}' of the semi join sub-select do not refer to the same object",
                left.field.name, path.field.name
            )));
        }
        let indexed = scope
            .state
            .table(plan.root.name)
            .is_some_and(|table| path.position == 0 || table.is_indexed(path.position));
        if indexed && plan.cost(scope) > FEW {
            return Ok(Join::Asked(Box::new(Asked {
                plan,
                path,
                answers: RefCell::default(),
            })));
        }
        let mut ids = BTreeSet::new();
        plan.sorted(scope, query, &mut |record| {
            if let Cell::Text(id) = scope.value(record, &path) {
                ids.insert(id.as_ref().to_owned());
            }
        })?;
        Ok(Join::Known(ids))
    }

    pub(crate) fn contains(&self, scope: &Scope<'_>, id: &str) -> bool {
        match self {
            Join::Known(ids) => ids.contains(id),
            Join::Asked(asked) => asked.contains(scope, id),
        }
    }
}

/// The object whose ids an id field of this object holds.
fn target<'e>(entity: &'e Entity, path: &Path) -> &'e str {
    let reference = path.field.reference;
    reference.map_or(entity.name, |(target, _)| target)
}

impl Asked {
    fn contains(&self, scope: &Scope<'_>, id: &str) -> bool {
        let key = Key::of(id);
        if let Some(answer) = self.answers.borrow().get(&key) {
            return *answer;
        }
        let Some(table) = scope.state.table(self.plan.root.name) else {
            return false;
        };
        let found = if self.path.position == 0 {
            let record = table.get(id);
            record.is_some_and(|record| self.plan.finds(scope, record))
        } else {
            let mut referring = table
                .referring(self.path.position, id)
                .into_iter()
                .flatten();
            referring.any(|record| self.plan.finds(scope, record))
        };
        self.answers.borrow_mut().insert(key, found);
        found
    }
}
