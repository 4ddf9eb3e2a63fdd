//! Date functions: a number made of a date or datetime.
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::record::Cell;
use crate::schema::FieldType;

/// A date function, and whether its field is converted to the user's zone first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DateFunction {
    part: Part,
    pub(crate) converted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    CalendarMonth,
    CalendarQuarter,
    CalendarYear,
    DayInMonth,
    DayInWeek,
    DayInYear,
    DayOnly,
    FiscalMonth,
    FiscalQuarter,
    FiscalYear,
    HourInDay,
    WeekInMonth,
    WeekInYear,
}

const NAMES: [(&str, Part); 13] = [
    ("CALENDAR_MONTH", Part::CalendarMonth),
    ("CALENDAR_QUARTER", Part::CalendarQuarter),
    ("CALENDAR_YEAR", Part::CalendarYear),
    ("DAY_IN_MONTH", Part::DayInMonth),
    ("DAY_IN_WEEK", Part::DayInWeek),
    ("DAY_IN_YEAR", Part::DayInYear),
    ("DAY_ONLY", Part::DayOnly),
    ("FISCAL_MONTH", Part::FiscalMonth),
    ("FISCAL_QUARTER", Part::FiscalQuarter),
    ("FISCAL_YEAR", Part::FiscalYear),
    ("HOUR_IN_DAY", Part::HourInDay),
    ("WEEK_IN_MONTH", Part::WeekInMonth),
    ("WEEK_IN_YEAR", Part::WeekInYear),
];

impl DateFunction {
    /// The function of this name in capitals.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let (_, part) = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(DateFunction {
            part: *part,
            converted: false,
        })
    }

    /// The type of its results.
    pub(crate) fn kind(self) -> FieldType {
        if self.part == Part::DayOnly {
            FieldType::Date
        } else {
            FieldType::Int
        }
    }

    /// Whether it takes datetimes only.
    pub(crate) fn needs_time(self) -> bool {
        matches!(self.part, Part::DayOnly | Part::HourInDay) || self.converted
    }

    /// Its result; null of null.
    pub(crate) fn of(self, cell: &Cell, zone: &TimeZone, fiscal_start: i64) -> Cell {
        let Some(text) = cell.text() else {
            return Cell::Null;
        };
        let zone = if self.converted {
            zone.clone()
        } else {
            TimeZone::UTC
        };
        match moment(text, zone) {
            Some((date, hour)) => self.value(date, hour, fiscal_start),
            None => Cell::Null,
        }
    }

    fn value(self, date: Date, hour: i8, fiscal_start: i64) -> Cell {
        let month = i64::from(date.month());
        let year = i64::from(date.year());
        let since_start = (month - fiscal_start).rem_euclid(12);
        Cell::Int(match self.part {
            Part::CalendarMonth => month,
            Part::CalendarQuarter => (month - 1) / 3 + 1,
            Part::CalendarYear => year,
            Part::DayInMonth => i64::from(date.day()),
            Part::DayInWeek => i64::from(date.weekday().to_sunday_one_offset()),
            Part::DayInYear => i64::from(date.day_of_year()),
            Part::DayOnly => return Cell::from(date.to_string().as_str()),
            Part::FiscalMonth => since_start + 1,
            Part::FiscalQuarter => since_start / 3 + 1,
            // A fiscal year is named after the calendar year it ends in.
            Part::FiscalYear if fiscal_start > 1 && month >= fiscal_start => year + 1,
            Part::FiscalYear => year,
            Part::HourInDay => i64::from(hour),
            Part::WeekInMonth => (i64::from(date.day()) - 1) / 7 + 1,
            Part::WeekInYear => (i64::from(date.day_of_year()) - 1) / 7 + 1,
        })
    }
}

/// The date and hour of a date or datetime in the stored form.
fn moment(text: &str, zone: TimeZone) -> Option<(Date, i8)> {
    let date: Date = text.get(..10)?.parse().ok()?;
    if text.len() == 10 {
        return Some((date, 0));
    }
    if zone == TimeZone::UTC {
        return Some((date, text.get(11..13)?.parse().ok()?));
    }
    let instant: Timestamp = format!("{}Z", text.get(..23)?).parse().ok()?;
    let there = instant.to_zoned(zone);
    Some((there.date(), there.hour()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_day_worked_out_by_hand() {
        let cell = Cell::from("2026-08-30T23:15:00.000+0000");
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let number = |name: &str, converted: bool| {
            let mut function = DateFunction::named(name).unwrap();
            function.converted = converted;
            function.of(&cell, &berlin, 2)
        };
        for (name, there, here) in [
            ("CALENDAR_YEAR", 2026, 2026),
            ("CALENDAR_QUARTER", 3, 3),
            ("CALENDAR_MONTH", 8, 8),
            ("DAY_IN_MONTH", 30, 31),
            // A Sunday, and the Monday after.
            ("DAY_IN_WEEK", 1, 2),
            ("DAY_IN_YEAR", 242, 243),
            ("FISCAL_MONTH", 7, 7),
            ("FISCAL_QUARTER", 3, 3),
            ("FISCAL_YEAR", 2027, 2027),
            ("HOUR_IN_DAY", 23, 1),
            ("WEEK_IN_MONTH", 5, 5),
            ("WEEK_IN_YEAR", 35, 35),
        ] {
            assert_eq!(number(name, false), Cell::Int(there), "{name}");
            assert_eq!(number(name, true), Cell::Int(here), "{name}");
        }
        assert_eq!(number("DAY_ONLY", true), Cell::from("2026-08-31"));
    }
}
