//! Values that Salesforce computes when a record is saved.
use crate::record::{Cell, CellRef, Record};
use crate::schema::Entity;
use crate::value;

/// What an opportunity takes from its stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stage {
    pub(crate) closed: bool,
    pub(crate) won: bool,
    pub(crate) category: Cell,
    pub(crate) category_name: Cell,
    pub(crate) probability: Cell,
}

impl Stage {
    /// What a row of `OpportunityStage` says.
    pub(crate) fn of(row: &Record) -> Self {
        Stage {
            closed: row.flag("IsClosed"),
            won: row.flag("IsWon"),
            category: row.cell("ForecastCategory").owned(),
            category_name: row.cell("ForecastCategoryName").owned(),
            probability: row.cell("DefaultProbability").owned(),
        }
    }
}

/// A record's cells while they are being put together.
pub(crate) struct Draft {
    pub(crate) entity: &'static Entity,
    pub(crate) cells: Vec<Cell>,
}

impl Draft {
    pub(crate) fn get(&self, field: &str) -> &Cell {
        self.entity
            .position(field)
            .and_then(|position| self.cells.get(position))
            .unwrap_or(&Cell::Null)
    }

    pub(crate) fn set(&mut self, field: &str, cell: Cell) {
        if let Some(position) = self.entity.position(field) {
            self.put(position, cell);
        }
    }

    pub(crate) fn put(&mut self, position: usize, cell: Cell) {
        if let Some(place) = self.cells.get_mut(position) {
            *place = cell;
        }
    }

    pub(crate) fn set_if_null(&mut self, field: &str, cell: Cell) {
        if self.get(field).is_null() {
            self.set(field, cell);
        }
    }

    pub(crate) fn finish(self) -> Record {
        Record::new(self.entity, &self.cells)
    }
}

/// `Name` of a person: first and last name.
pub(crate) fn person_name(draft: &mut Draft) {
    let first = draft.get("FirstName").text().unwrap_or_default();
    let last = draft.get("LastName").text().unwrap_or_default();
    let name = format!("{first} {last}");
    draft.set("Name", Cell::from(name.trim()));
}

/// `IsClosed`, `IsWon` and the forecast category from the stage. `given_category` where the writer
/// chose the category, `given_probability` where the writer chose the probability.
pub(crate) fn from_stage(
    draft: &mut Draft,
    stage: &Stage,
    given_category: bool,
    given_probability: bool,
) {
    draft.set("IsClosed", Cell::Bool(stage.closed));
    draft.set("IsWon", Cell::Bool(stage.won));
    if given_category {
        let name = draft.get("ForecastCategoryName").text().unwrap_or_default();
        let category = category_of(name);
        draft.set("ForecastCategory", Cell::from(category));
    } else {
        draft.set("ForecastCategory", stage.category.clone());
        draft.set("ForecastCategoryName", stage.category_name.clone());
    }
    if !given_probability {
        draft.set("Probability", stage.probability.clone());
    }
}

/// The forecast category behind its label.
pub(crate) fn category_of(name: &str) -> &'static str {
    match name {
        "Omitted" => "Omitted",
        "Best Case" => "BestCase",
        "Most Likely" => "MostLikely",
        "Commit" => "Forecast",
        "Closed" => "Closed",
        _ => "Pipeline",
    }
}

/// `ExpectedRevenue` and the fiscal fields. `fiscal_start` is the first month of the fiscal year.
pub(crate) fn opportunity_sums(draft: &mut Draft, fiscal_start: i64) {
    let expected = match (
        as_number(draft.get("Amount")),
        as_number(draft.get("Probability")),
    ) {
        (Some(amount), Some(percent)) => Cell::Num(value::rounded(amount * percent / 100.0, 2)),
        (Some(_), None) => Cell::Num(0.0),
        (None, _) => Cell::Null,
    };
    draft.set("ExpectedRevenue", expected);
    let Some((year, month)) = year_month(draft.get("CloseDate").view()) else {
        return;
    };
    let since_start = (month - fiscal_start).rem_euclid(12);
    // A fiscal year is named after the calendar year it ends in.
    let fiscal_year = if fiscal_start > 1 && month >= fiscal_start {
        year + 1
    } else {
        year
    };
    let quarter = since_start / 3 + 1;
    draft.set("FiscalYear", Cell::Int(fiscal_year));
    draft.set("FiscalQuarter", Cell::Int(quarter));
    draft.set(
        "Fiscal",
        Cell::from(format!("{fiscal_year} {quarter}").as_str()),
    );
}

/// Whether a close date moved into a later month.
pub(crate) fn pushed(before: CellRef<'_>, after: CellRef<'_>) -> bool {
    matches!((year_month(before), year_month(after)), (Some(old), Some(new)) if new > old)
}

fn as_number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Num(number) => Some(*number),
        #[expect(clippy::cast_precision_loss, reason = "whole numbers here are small")]
        Cell::Int(number) => Some(*number as f64),
        Cell::Null | Cell::Bool(_) | Cell::Text(_) => None,
    }
}

fn year_month(cell: CellRef<'_>) -> Option<(i64, i64)> {
    let text = cell.text()?;
    Some((text.get(..4)?.parse().ok()?, text.get(5..7)?.parse().ok()?))
}
