//! Days as numbers and the ranges that date literals name, counted on the fingers: nothing here but
//! the offset of a zone comes from a library.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::org::{Fiscal, Period};

/// Days since 1970-01-01.
pub(crate) type Day = i64;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// `2026-03-01`; `None` where there is no such day.
pub(crate) fn day(text: &str) -> Option<Day> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes.get(4) != Some(&b'-') || bytes.get(7) != Some(&b'-') {
        return None;
    }
    let digits = |range| {
        let part: &str = text.get(range)?;
        part.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| part.parse::<i64>().ok())
            .flatten()
    };
    let (year, month, of_month) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let month = (1..=12).contains(&month).then(|| year * 12 + month - 1)?;
    let first = first_of_month(month);
    (of_month >= 1 && first + of_month <= first_of_month(month + 1)).then(|| first + of_month - 1)
}

/// The first day of a month; months are counted from January of the year 0.
fn first_of_month(month: i64) -> Day {
    let (year, of_year) = (month.div_euclid(12), month.rem_euclid(12));
    // Leap days before the year's first of March, or before the year for January and February.
    let leap_until = if of_year < 2 { year - 1 } else { year };
    let leaps = leap_until.div_euclid(4) - leap_until.div_euclid(100) + leap_until.div_euclid(400);
    let before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let of_year = usize::try_from(of_year).unwrap_or_default();
    // 1970 is 1970 years of 365 days and 477 leap days after the year 0 began.
    (year - 1970) * 365 + leaps - 477 + before.get(of_year).copied().unwrap_or_default()
}

/// The month in which a day lies.
fn month_of(day: Day) -> i64 {
    // Months have 30.4 days: near enough to begin looking.
    let mut month = 1970 * 12 + day.div_euclid(31);
    while first_of_month(month + 1) <= day {
        month += 1;
    }
    while first_of_month(month) > day {
        month -= 1;
    }
    month
}

/// A time zone.
#[derive(Debug, Clone)]
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// By its name in the time zone database; a name that is not in it means UTC.
    pub(crate) fn named(name: &str) -> Self {
        Self(TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    fn offset_seconds(&self, at_seconds: i64) -> i64 {
        Timestamp::from_second(at_seconds).map_or(0, |at| i64::from(self.0.to_offset(at).seconds()))
    }

    /// The day it is there at a moment (microseconds since 1970).
    pub(crate) fn day_at(&self, micros: i64) -> Day {
        let seconds = micros.div_euclid(MICROS_PER_SECOND);
        (seconds + self.offset_seconds(seconds)).div_euclid(SECONDS_PER_DAY)
    }

    /// The moment a day begins there (microseconds since 1970): the first that carries its date.
    pub(crate) fn begins(&self, day: Day) -> i64 {
        let wall = day * SECONDS_PER_DAY;
        let (noon_before, noon) = (wall - SECONDS_PER_DAY / 2, wall + SECONDS_PER_DAY / 2);
        let offsets =
            [noon_before, noon].map(|noon| self.offset_seconds(noon - self.offset_seconds(noon)));
        let midnights = offsets.iter().map(|offset| wall - offset);
        let seconds = midnights
            .filter(|at| at + self.offset_seconds(*at) == wall)
            .min()
            .unwrap_or_else(|| self.gap_between(noon_before - offsets[0], noon - offsets[1]));
        seconds * MICROS_PER_SECOND
    }

    /// Where the clocks are put forward over midnight: the moment they are.
    fn gap_between(&self, mut before: i64, mut after: i64) -> i64 {
        let old = self.offset_seconds(before);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.offset_seconds(middle) == old {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }
}

/// When the next day begins in a zone after a moment (microseconds since 1970).
#[must_use]
pub fn midnight_after(zone: &str, micros: i64) -> i64 {
    let zone = Zone::named(zone);
    zone.begins(zone.day_at(micros) + 1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    FiscalQuarter,
    FiscalYear,
}

/// A date literal: `count` units, the first of which lies `from` units after the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Literal {
    unit: Unit,
    from: i64,
    count: i64,
}

impl Literal {
    /// `LAST_N_DAYS:30`, or as list views write it, `LAST 30 DAYS`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let upper = text.trim().to_ascii_uppercase();
        let mut words: Vec<&str> = upper.split([' ', '_', ':']).collect();
        // The colon form names its number last: put where `N` stands, both forms are one.
        if let (Some(place), Some((_, number))) = (
            words.iter().position(|word| *word == "N"),
            upper.split_once(':'),
        ) {
            words.pop();
            *words.get_mut(place)? = number;
        }
        let literal = |unit, from, count| Some(Self { unit, from, count });
        match words.as_slice() {
            ["YESTERDAY"] => literal(Unit::Day, -1, 1),
            ["TODAY"] => literal(Unit::Day, 0, 1),
            ["TOMORROW"] => literal(Unit::Day, 1, 1),
            [number, name @ .., "AGO"] => literal(units(name)?, -whole(number)?, 1),
            ["LAST", number, name @ ..] if whole(number).is_some() => {
                let (unit, number) = (units(name)?, whole(number)?);
                // The last days end today; the last weeks before the current one.
                literal(unit, -number, number + i64::from(unit == Unit::Day))
            }
            ["NEXT", number, name @ ..] if whole(number).is_some() => {
                literal(units(name)?, 1, whole(number)?)
            }
            [which, name @ ..] => {
                let unit = unit(name).filter(|unit| *unit != Unit::Day)?;
                let from = match *which {
                    "LAST" => -1,
                    "THIS" => 0,
                    "NEXT" => 1,
                    _ => return None,
                };
                literal(unit, from, 1)
            }
            [] => None,
        }
    }

    /// The days it names: the first, and the one after the last. `None` where a custom fiscal year
    /// is not defined. Weeks begin on `first_weekday`, 0 for Sunday.
    pub(crate) fn days(self, today: Day, first_weekday: u8, fiscal: &Fiscal) -> Option<(Day, Day)> {
        let months = |length: i64, anchor: i64| {
            let month = month_of(today) - anchor;
            let first = month.div_euclid(length) + self.from;
            (
                first_of_month(first * length + anchor),
                first_of_month((first + self.count) * length + anchor),
            )
        };
        Some(match (self.unit, fiscal) {
            (Unit::Day, _) => (today + self.from, today + self.from + self.count),
            (Unit::Week, _) => {
                // 1970-01-01 was a Thursday; Sunday is 0.
                let into = (today + 4 - i64::from(first_weekday)).rem_euclid(7);
                let first = today - into + 7 * self.from;
                (first, first + 7 * self.count)
            }
            (Unit::Month, _) => months(1, 0),
            (Unit::Quarter, _) => months(3, 0),
            (Unit::Year, _) => months(12, 0),
            (Unit::FiscalQuarter, Fiscal::Standard { start_month }) => {
                months(3, i64::from(*start_month) - 1)
            }
            (Unit::FiscalYear, Fiscal::Standard { start_month }) => {
                months(12, i64::from(*start_month) - 1)
            }
            (Unit::FiscalQuarter, Fiscal::Custom { quarters, .. }) => {
                self.among(quarters, today)?
            }
            (Unit::FiscalYear, Fiscal::Custom { years, .. }) => self.among(years, today)?,
        })
    }

    /// Whole periods, of which some may be longer than others.
    fn among(self, periods: &[Period], today: Day) -> Option<(Day, Day)> {
        let by_start: BTreeMap<Day, Day> = periods
            .iter()
            .filter_map(|period| Some((day(&period.start)?, day(&period.end)? + 1)))
            .collect();
        let ordered: Vec<(Day, Day)> = by_start.into_iter().collect();
        let current = ordered
            .iter()
            .position(|(start, end)| *start <= today && today < *end)?;
        let at = |steps: i64| {
            let place = i64::try_from(current).ok()? + steps;
            ordered.get(usize::try_from(place).ok()?).copied()
        };
        let (first, last) = (at(self.from)?, at(self.from + self.count - 1)?);
        Some((first.0, last.1))
    }
}

fn whole(word: &str) -> Option<i64> {
    let digits =
        !word.is_empty() && word.len() < 6 && word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

fn unit(name: &[&str]) -> Option<Unit> {
    Some(match name {
        ["DAY"] => Unit::Day,
        ["WEEK"] => Unit::Week,
        ["MONTH"] => Unit::Month,
        ["QUARTER"] => Unit::Quarter,
        ["YEAR"] => Unit::Year,
        ["FISCAL", "QUARTER"] => Unit::FiscalQuarter,
        ["FISCAL", "YEAR"] => Unit::FiscalYear,
        _ => return None,
    })
}

/// The plural.
fn units(name: &[&str]) -> Option<Unit> {
    let (last, before) = name.split_last()?;
    let mut singular = before.to_vec();
    singular.push(last.strip_suffix('S')?);
    unit(&singular)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::org::OrgProfile;
    use jiff::civil::Date;
    use jiff::{ToSpan as _, civil};
    use proptest::prelude::*;

    fn text(number: Day) -> String {
        (civil::date(1970, 1, 1) + number.days()).to_string()
    }

    fn range(literal: &str, today: &str, org: &OrgProfile) -> Option<(String, String)> {
        let (first, after) =
            Literal::parse(literal)?.days(day(today)?, org.first_weekday, &org.fiscal)?;
        Some((text(first), text(after - 1)))
    }

    /// The ranges as the documentation words them, worked out by hand. 2026-08-12 is a Wednesday.
    #[test]
    fn every_literal_names_the_days_that_the_documentation_says() {
        let org = OrgProfile {
            fiscal: Fiscal::Standard { start_month: 2 },
            ..OrgProfile::default()
        };
        for (literal, first, last) in [
            ("YESTERDAY", "2026-08-11", "2026-08-11"),
            ("TODAY", "2026-08-12", "2026-08-12"),
            ("TOMORROW", "2026-08-13", "2026-08-13"),
            ("LAST_WEEK", "2026-08-02", "2026-08-08"),
            ("THIS_WEEK", "2026-08-09", "2026-08-15"),
            ("NEXT_WEEK", "2026-08-16", "2026-08-22"),
            ("LAST_MONTH", "2026-07-01", "2026-07-31"),
            ("THIS_MONTH", "2026-08-01", "2026-08-31"),
            ("NEXT_MONTH", "2026-09-01", "2026-09-30"),
            ("LAST_QUARTER", "2026-04-01", "2026-06-30"),
            ("THIS_QUARTER", "2026-07-01", "2026-09-30"),
            ("NEXT_QUARTER", "2026-10-01", "2026-12-31"),
            ("LAST_YEAR", "2025-01-01", "2025-12-31"),
            ("THIS_YEAR", "2026-01-01", "2026-12-31"),
            ("NEXT_YEAR", "2027-01-01", "2027-12-31"),
            ("LAST_90_DAYS", "2026-05-14", "2026-08-12"),
            ("NEXT_90_DAYS", "2026-08-13", "2026-11-10"),
            ("LAST_N_DAYS:3", "2026-08-09", "2026-08-12"),
            ("NEXT_N_DAYS:3", "2026-08-13", "2026-08-15"),
            ("N_DAYS_AGO:3", "2026-08-09", "2026-08-09"),
            ("LAST_N_WEEKS:2", "2026-07-26", "2026-08-08"),
            ("NEXT_N_WEEKS:2", "2026-08-16", "2026-08-29"),
            ("N_WEEKS_AGO:2", "2026-07-26", "2026-08-01"),
            ("LAST_N_MONTHS:2", "2026-06-01", "2026-07-31"),
            ("NEXT_N_MONTHS:2", "2026-09-01", "2026-10-31"),
            ("N_MONTHS_AGO:6", "2026-02-01", "2026-02-28"),
            ("LAST_N_QUARTERS:2", "2026-01-01", "2026-06-30"),
            ("NEXT_N_QUARTERS:1", "2026-10-01", "2026-12-31"),
            ("N_QUARTERS_AGO:3", "2025-10-01", "2025-12-31"),
            ("LAST_N_YEARS:2", "2024-01-01", "2025-12-31"),
            ("NEXT_N_YEARS:2", "2027-01-01", "2028-12-31"),
            ("N_YEARS_AGO:2", "2024-01-01", "2024-12-31"),
            ("LAST_FISCAL_QUARTER", "2026-05-01", "2026-07-31"),
            ("THIS_FISCAL_QUARTER", "2026-08-01", "2026-10-31"),
            ("NEXT_FISCAL_QUARTER", "2026-11-01", "2027-01-31"),
            ("LAST_FISCAL_YEAR", "2025-02-01", "2026-01-31"),
            ("THIS_FISCAL_YEAR", "2026-02-01", "2027-01-31"),
            ("NEXT_FISCAL_YEAR", "2027-02-01", "2028-01-31"),
            ("LAST_N_FISCAL_QUARTERS:2", "2026-02-01", "2026-07-31"),
            ("NEXT_N_FISCAL_QUARTERS:2", "2026-11-01", "2027-04-30"),
            ("N_FISCAL_QUARTERS_AGO:3", "2025-11-01", "2026-01-31"),
            ("LAST_N_FISCAL_YEARS:2", "2024-02-01", "2026-01-31"),
            ("NEXT_N_FISCAL_YEARS:2", "2027-02-01", "2029-01-31"),
            ("N_FISCAL_YEARS_AGO:1", "2025-02-01", "2026-01-31"),
        ] {
            let expected = Some((first.to_owned(), last.to_owned()));
            assert_eq!(range(literal, "2026-08-12", &org), expected, "{literal}");
        }
    }

    #[test]
    fn list_views_write_literals_with_spaces() {
        let org = OrgProfile::default();
        for (spaced, other) in [
            ("this quarter", "THIS_QUARTER"),
            ("LAST 7 DAYS", "LAST_N_DAYS:7"),
            ("LAST 90 DAYS", "LAST_90_DAYS"),
            ("NEXT 2 FISCAL QUARTERS", "NEXT_N_FISCAL_QUARTERS:2"),
            ("3 MONTHS AGO", "N_MONTHS_AGO:3"),
            ("THIS FISCAL YEAR", "this_fiscal_year"),
        ] {
            let expected = range(other, "2026-08-12", &org);
            assert!(expected.is_some());
            assert_eq!(range(spaced, "2026-08-12", &org), expected, "{spaced}");
        }
        for wrong in [
            "",
            "SOON",
            "LAST_DAY",
            "THIS_DAYS",
            "LAST_N_DAYS",
            "LAST_N_DAYS:x",
            "N_DAYS_AGO",
            "LAST -3 DAYS",
            "THIS 3 DAYS",
            "2026-08-12",
            "AGO",
        ] {
            assert_eq!(Literal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn weeks_begin_where_the_locale_says_and_fiscal_years_where_their_periods_do() {
        let monday = OrgProfile {
            first_weekday: 1,
            ..OrgProfile::default()
        };
        let week = |today| range("THIS_WEEK", today, &monday);
        let expected = Some(("2026-08-10".to_owned(), "2026-08-16".to_owned()));
        assert_eq!(week("2026-08-10"), expected);
        assert_eq!(week("2026-08-16"), expected);
        let period = |start: &str, end: &str| Period {
            start: start.to_owned(),
            end: end.to_owned(),
        };
        // 4-4-5 weeks, last days of January.
        let custom = OrgProfile {
            fiscal: Fiscal::Custom {
                years: vec![
                    period("2026-02-01", "2027-01-30"),
                    period("2025-02-02", "2026-01-31"),
                ],
                quarters: vec![
                    period("2026-02-01", "2026-05-02"),
                    period("2026-05-03", "2026-08-01"),
                    period("2026-08-02", "2026-10-31"),
                ],
            },
            ..OrgProfile::default()
        };
        let range = |literal, today| range(literal, today, &custom);
        let days = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(
            range("LAST_FISCAL_QUARTER", "2026-08-02"),
            days("2026-05-03", "2026-08-01")
        );
        assert_eq!(
            range("LAST_N_FISCAL_QUARTERS:2", "2026-08-12"),
            days("2026-02-01", "2026-08-01")
        );
        assert_eq!(
            range("LAST_FISCAL_YEAR", "2026-02-01"),
            days("2025-02-02", "2026-01-31")
        );
        assert_eq!(range("NEXT_FISCAL_QUARTER", "2026-08-12"), None);
        assert_eq!(range("THIS_FISCAL_YEAR", "2028-08-12"), None);
        assert_eq!(
            range("THIS_QUARTER", "2026-08-12"),
            days("2026-07-01", "2026-09-30")
        );
    }

    #[test]
    fn a_day_begins_at_local_midnight_or_where_the_clocks_leave_it_out() {
        let begins = |zone: &str, date: &str| {
            let at = Zone::named(zone).begins(day(date).unwrap());
            Timestamp::from_microsecond(at).unwrap().to_string()
        };
        for (zone, date, expected) in [
            ("UTC", "2026-03-29", "2026-03-29T00:00:00Z"),
            ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
            ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
            ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00Z"),
            ("America/Los_Angeles", "2026-11-02", "2026-11-02T08:00:00Z"),
            ("Pacific/Kiritimati", "2026-06-15", "2026-06-14T10:00:00Z"),
            ("Asia/Kathmandu", "2026-06-15", "2026-06-14T18:15:00Z"),
            // No midnight: clocks go from 00:00 to 01:00.
            ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
            // Two midnights: clocks go from 01:00 back to 00:00.
            ("America/Havana", "2026-11-01", "2026-11-01T04:00:00Z"),
        ] {
            assert_eq!(begins(zone, date), expected, "{zone} {date}");
        }
    }

    proptest! {
        #[test]
        fn days_are_numbered_as_the_calendar_has_them(number in -800_000_i64..800_000) {
            let date: Date = civil::date(1970, 1, 1) + number.days();
            if date.year() > 0 {
                prop_assert_eq!(day(&date.to_string()), Some(number));
                let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
                prop_assert_eq!(month_of(number), month);
            }
        }

        #[test]
        fn a_day_begins_where_the_one_before_ends(number in 0_i64..40_000, zone in 0_usize..6) {
            let zone = ["Europe/Berlin", "America/Santiago", "Asia/Beirut", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo"][zone];
            let zone = Zone::named(zone);
            let begins = zone.begins(number);
            prop_assert_eq!(zone.day_at(begins), number);
            prop_assert_eq!(zone.day_at(begins - 1), number - 1);
        }
    }

    #[test]
    fn days_that_are_none_are_refused() {
        for wrong in [
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-4-310",
            "20260401-1",
            "2026-01-00",
            "+026-01-01",
        ] {
            assert_eq!(day(wrong), None, "{wrong}");
        }
        assert!(day("2028-02-29").is_some());
    }
}
