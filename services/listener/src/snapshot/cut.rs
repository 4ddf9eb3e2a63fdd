//! Cuts rows into units: 200 rows or 1 MiB, whichever comes first. What a unit holds depends on the
//! rows and their order alone, so that a reader that begins anew in the middle of the same rows
//! cuts the same units.

use domain::ObjectKind;
use domain::Row;
use domain::unit::{Cause, MAX_RECORDS, MAX_ROW_BYTES, UnitRecord};
use ports::source::SourceError;

use crate::publish;

/// The unit that is being filled.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    unit: Vec<UnitRecord>,
    bytes: usize,
}

impl Cutter {
    /// Adds a record; answers the unit that it fills.
    pub(super) fn push(&mut self, record: UnitRecord) -> Option<Vec<UnitRecord>> {
        self.bytes += record.row.as_ref().map_or(0, |row| row.get().len());
        self.unit.push(record);
        (self.unit.len() == MAX_RECORDS || self.bytes >= MAX_ROW_BYTES).then(|| self.take())
    }

    /// What is left when there are no more rows.
    pub(super) fn rest(&mut self) -> Option<Vec<UnitRecord>> {
        (!self.unit.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Vec<UnitRecord> {
        self.bytes = 0;
        std::mem::take(&mut self.unit)
    }
}

/// A row as a record of a unit.
///
/// # Errors
/// [`SourceError::Garbled`] for a row without an id.
pub(super) fn record(
    object: ObjectKind,
    row: Row,
    cause: &Cause,
) -> Result<UnitRecord, SourceError> {
    let id = row.fields().ok().and_then(|fields| fields.id("Id"));
    let id =
        id.ok_or_else(|| SourceError::Garbled(format!("a row of {object} came without its id")))?;
    Ok(UnitRecord {
        row: Some(row),
        ..publish::record(object, id, cause.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::SalesforceId;

    fn row(number: usize, bytes: usize) -> UnitRecord {
        let id = SalesforceId::parse(&format!("006{number:012}")).unwrap();
        let row = Row::of(&serde_json::json!({ "Id": id.as_str(), "Name": "x".repeat(bytes) }));
        record(ObjectKind::Opportunity, row.unwrap(), &Cause::FullLoad).unwrap()
    }

    fn cut(rows: impl Iterator<Item = UnitRecord>) -> Vec<Vec<UnitRecord>> {
        let mut cutter = Cutter::default();
        let mut units = rows.filter_map(|row| cutter.push(row)).collect::<Vec<_>>();
        units.extend(cutter.rest());
        units
    }

    #[test]
    fn a_unit_has_two_hundred_rows_or_a_mebibyte() {
        let small = cut((0..401).map(|number| row(number, 10)));
        assert_eq!(
            small.iter().map(Vec::len).collect::<Vec<_>>(),
            [200, 200, 1]
        );
        let large = cut((0..5).map(|number| row(number, MAX_ROW_BYTES / 2)));
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        assert!(cut(std::iter::empty()).is_empty());
    }

    #[test]
    fn beginning_anew_at_a_unit_s_first_row_cuts_the_same_units() {
        let rows = || (0..900).map(|number| row(number, number * 37 % 20_000));
        let all = cut(rows());
        let mut begun = 0;
        for (index, unit) in all.iter().enumerate() {
            assert_eq!(cut(rows().skip(begun)), all[index..]);
            begun += unit.len();
        }
    }

    #[test]
    fn a_row_without_its_id_is_garbage() {
        let row = Row::of(&serde_json::json!({ "Name": "x" })).unwrap();
        let fault = record(ObjectKind::Account, row, &Cause::FullLoad);
        assert!(matches!(fault, Err(SourceError::Garbled(_))));
    }
}
