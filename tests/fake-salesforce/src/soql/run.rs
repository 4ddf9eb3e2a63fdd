//! Queries answered.
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::commit::Row;
use crate::error::ApiError;
use crate::org::{Org, State};
use crate::record::CellRef;
use crate::schema::Entity;
use crate::soql::dates::{Calendar, Custom, first_weekday};
use crate::soql::group::Groups;
use crate::soql::lexer::malformed;
use crate::soql::parser::{self, Function, Item, Names};
use crate::soql::path::Scope;
use crate::soql::plan::Plan;
use crate::soql::shape::Shape;
use crate::time;

/// How a query ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `SELECT COUNT()`: a number and no rows.
    Count(usize),
    /// Every row went to the receiver.
    Rows,
}

impl Org {
    /// Answers a query. Parents are nested objects or null; aggregate rows have their aliases or
    /// `expr0`, `expr1`, ... as names; `SELECT COUNT()` answers one row with `expr0`. With
    /// `all_rows`, deleted records are visible.
    ///
    /// # Errors
    /// What Salesforce would answer: `MALFORMED_QUERY`, `INVALID_FIELD`, `INVALID_TYPE` and so on.
    pub fn query(&self, soql: &str, all_rows: bool) -> Result<Vec<Row>, ApiError> {
        let mut rows = Vec::new();
        let answer = self.run(soql, all_rows, None, &mut |row| rows.push(row))?;
        if let Answer::Count(count) = answer {
            let mut row = Row::new();
            row.insert("expr0".to_owned(), json!(count));
            rows.push(row);
        }
        Ok(rows)
    }

    /// The named fields of records by id, in the order of the ids; `None` for one that is missing
    /// or deleted.
    ///
    /// # Errors
    /// An unknown object or field, or an id that is none.
    pub fn retrieve(
        &self,
        entity: &str,
        ids: &[String],
        fields: &[String],
    ) -> Result<Vec<Option<Row>>, ApiError> {
        self.retrieve_as(entity, ids, fields, None)
    }

    /// The same with `attributes`, where an API version is given.
    pub(crate) fn retrieve_as(
        &self,
        entity: &str,
        ids: &[String],
        fields: &[String],
        version: Option<&str>,
    ) -> Result<Vec<Option<Row>>, ApiError> {
        let state = self.state();
        let root = known_entity(&state, entity)?;
        let scope = self.scope(&state, "", false);
        let mut shape = Shape::default();
        for field in fields {
            let parts = field.split('.').map(str::to_owned).collect();
            let names = Names { parts, column: 1 };
            shape.add(&scope, root, None, &names)?;
        }
        ids.iter()
            .map(|given| {
                let whole = crate::id::to_18(given).ok_or_else(|| {
                    ApiError::new("MALFORMED_ID", format!("malformed id {given}"))
                })?;
                let record = state.table(root.name).and_then(|table| table.get(&whole));
                let alive =
                    record.filter(|record| !record.flag("IsDeleted") && state.is_visible(record));
                Ok(alive.map(|record| shape.row(&scope, record, version)))
            })
            .collect()
    }

    /// Answers a query row by row. With an API version, rows carry `attributes`.
    pub(crate) fn run(
        &self,
        soql: &str,
        all_rows: bool,
        version: Option<&str>,
        receiver: &mut dyn FnMut(Row),
    ) -> Result<Answer, ApiError> {
        let query = parser::parse(soql)?;
        let state = self.state();
        let scope = self.scope(&state, soql, all_rows);
        let plan = Plan::new(&scope, &query, false)?;
        let count = |item: &Item| matches!(item, Item::Aggregate(Function::Count, None));
        if let [(item, None)] = query.select.as_slice()
            && count(item)
            && query.group_by.is_empty()
        {
            if !query.order_by.is_empty() {
                return Err(malformed("COUNT() can not be sorted"));
            }
            let limit = query.limit.unwrap_or(usize::MAX);
            let count = plan.matching(&scope).skip(query.offset).take(limit).count();
            return Ok(Answer::Count(count));
        }
        let aggregated = |item: &Item| matches!(item, Item::Aggregate(..) | Item::Grouping(_));
        if !query.group_by.is_empty() || query.select.iter().any(|(item, _)| aggregated(item)) {
            if query.select.iter().any(|(item, _)| count(item)) {
                return Err(malformed("COUNT() must be the only thing that is selected"));
            }
            let groups = Groups::new(&scope, &plan, &query)?;
            groups.answer(&scope, &plan, &query, version, receiver)?;
            return Ok(Answer::Rows);
        }
        let shape = Shape::of(&scope, plan.root, &query)?;
        plan.sorted(&scope, &query, &mut |record| {
            receiver(shape.row(&scope, record, version));
        })?;
        Ok(Answer::Rows)
    }

    pub(crate) fn scope<'a>(&self, state: &'a State, soql: &'a str, all_rows: bool) -> Scope<'a> {
        let now_ms = self.now_micros().div_euclid(1000);
        let user = state.by_id(self.admin_id());
        let zone = user
            .and_then(|user| user.text("TimeZoneSidKey"))
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or(TimeZone::UTC);
        let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let fiscal_start = match state
            .by_id(self.org_id())
            .map(|org| org.cell("FiscalYearStartMonth"))
        {
            Some(CellRef::Int(month)) => month,
            _ => 1,
        };
        let locale = user.and_then(|user| user.text("LocaleSidKey"));
        let calendar = Calendar {
            today: now.to_zoned(zone.clone()).date(),
            first_weekday: first_weekday(locale.unwrap_or_default()),
            fiscal_start,
            custom: custom_years(state),
        };
        Scope {
            state,
            soql,
            now: time::datetime_text(now_ms),
            all_rows,
            zone,
            calendar,
        }
    }
}

/// The custom fiscal years, where an administrator has defined any.
fn custom_years(state: &State) -> Option<Custom> {
    let settings = state.table("FiscalYearSettings")?;
    settings.all().find(|year| !year.flag("IsStandardYear"))?;
    let mut custom = Custom::default();
    for period in state.table("Period")?.all() {
        let day = |field: &str| period.text(field)?.parse::<Date>().ok();
        let (Some(start), Some(end)) = (day("StartDate"), day("EndDate")) else {
            continue;
        };
        let days = (start, end.tomorrow().ok()?);
        match period.text("Type") {
            Some("Year") => custom.years.push(days),
            Some("Quarter") => custom.quarters.push(days),
            _ => {}
        }
    }
    custom.years.sort_unstable();
    custom.quarters.sort_unstable();
    Some(custom)
}

/// An object by its name in any case.
pub(crate) fn known_entity(state: &State, name: &str) -> Result<&'static Entity, ApiError> {
    state.entity(name).ok_or_else(|| {
        ApiError::new(
            "INVALID_TYPE",
            format!(
                "sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names."
            ),
        )
    })
}
