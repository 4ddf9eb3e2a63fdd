//! Ranges worked out by hand, and by arithmetic that shares nothing with the calendar's.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::org;

fn calendar(zone: &str, first_weekday: Weekday, fiscal: &Fiscal) -> Calendar {
    Calendar::new(org::zone(zone).unwrap(), first_weekday, fiscal)
}

fn plain(zone: &str) -> Calendar {
    calendar(zone, Weekday::Sunday, &Fiscal::default())
}

fn moment(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap_or_else(|| panic!("{text}"))
}

fn value(text: &str) -> DateValue {
    DateValue::parse(text, true).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

fn range(calendar: &Calendar, literal: &str, at: &str) -> Option<(String, String)> {
    let days = calendar.days(&value(literal), moment(at))?;
    Some((days.first.to_string(), days.last.to_string()))
}

fn check(calendar: &Calendar, at: &str, lines: &[(&str, &str, &str)]) {
    for (literal, first, last) in lines {
        let expected = Some(((*first).to_owned(), (*last).to_owned()));
        assert_eq!(range(calendar, literal, at), expected, "{literal} at {at}");
    }
}

#[test]
fn every_literal_on_a_wednesday() {
    let february = Fiscal::Standard { start_month: 2 };
    check(
        &calendar("UTC", Weekday::Sunday, &february),
        "2026-08-12T12:00:00Z",
        &[
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
            ("LAST_N_DAYS:7", "2026-08-05", "2026-08-12"),
            ("LAST 7 DAYS", "2026-08-05", "2026-08-12"),
            ("NEXT_N_DAYS:7", "2026-08-13", "2026-08-19"),
            ("N_DAYS_AGO:3", "2026-08-09", "2026-08-09"),
            ("LAST_N_WEEKS:2", "2026-07-26", "2026-08-08"),
            ("NEXT_N_WEEKS:2", "2026-08-16", "2026-08-29"),
            ("N_WEEKS_AGO:2", "2026-07-26", "2026-08-01"),
            ("LAST_N_MONTHS:6", "2026-02-01", "2026-07-31"),
            ("NEXT_N_MONTHS:6", "2026-09-01", "2027-02-28"),
            ("N_MONTHS_AGO:6", "2026-02-01", "2026-02-28"),
            ("LAST_N_QUARTERS:3", "2025-10-01", "2026-06-30"),
            ("NEXT_N_QUARTERS:3", "2026-10-01", "2027-06-30"),
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
            ("N_FISCAL_QUARTERS_AGO:2", "2026-02-01", "2026-04-30"),
            ("LAST_N_FISCAL_YEARS:2", "2024-02-01", "2026-01-31"),
            ("NEXT_N_FISCAL_YEARS:2", "2027-02-01", "2029-01-31"),
            ("N_FISCAL_YEARS_AGO:2", "2024-02-01", "2025-01-31"),
        ],
    );
}

#[test]
fn the_edges_of_months_and_years() {
    let utc = plain("UTC");
    check(
        &utc,
        "2024-02-29T23:59:59Z",
        &[
            ("TOMORROW", "2024-03-01", "2024-03-01"),
            ("N_YEARS_AGO:1", "2023-01-01", "2023-12-31"),
            ("THIS_MONTH", "2024-02-01", "2024-02-29"),
            ("LAST_N_DAYS:365", "2023-03-01", "2024-02-29"),
            ("NEXT_N_DAYS:366", "2024-03-01", "2025-03-01"),
        ],
    );
    check(
        &utc,
        "2026-03-31T00:00:00Z",
        &[
            ("LAST_MONTH", "2026-02-01", "2026-02-28"),
            ("NEXT_MONTH", "2026-04-01", "2026-04-30"),
            ("LAST_QUARTER", "2025-10-01", "2025-12-31"),
        ],
    );
    check(
        &utc,
        "2026-12-31T23:59:59.999Z",
        &[
            ("TOMORROW", "2027-01-01", "2027-01-01"),
            ("THIS_WEEK", "2026-12-27", "2027-01-02"),
            ("NEXT_QUARTER", "2027-01-01", "2027-03-31"),
        ],
    );
    // The year 2000 was a leap year, 1900 was none.
    check(
        &utc,
        "2000-02-29T12:00:00Z",
        &[("N_YEARS_AGO:100", "1900-01-01", "1900-12-31")],
    );
}

#[test]
fn weeks_begin_where_the_locale_says() {
    for (first, at, start, end) in [
        (
            Weekday::Sunday,
            "2026-08-15T12:00:00Z",
            "2026-08-09",
            "2026-08-15",
        ),
        (
            Weekday::Sunday,
            "2026-08-16T12:00:00Z",
            "2026-08-16",
            "2026-08-22",
        ),
        (
            Weekday::Monday,
            "2026-08-16T12:00:00Z",
            "2026-08-10",
            "2026-08-16",
        ),
        (
            Weekday::Monday,
            "2026-08-17T12:00:00Z",
            "2026-08-17",
            "2026-08-23",
        ),
        (
            Weekday::Saturday,
            "2026-08-14T12:00:00Z",
            "2026-08-08",
            "2026-08-14",
        ),
        (
            Weekday::Saturday,
            "2026-08-15T12:00:00Z",
            "2026-08-15",
            "2026-08-21",
        ),
        (
            Weekday::Friday,
            "2026-08-13T12:00:00Z",
            "2026-08-07",
            "2026-08-13",
        ),
    ] {
        let calendar = calendar("UTC", first, &Fiscal::default());
        check(&calendar, at, &[("THIS WEEK", start, end)]);
    }
}

#[test]
fn the_day_is_that_of_the_zone() {
    for (zone, at, today) in [
        ("America/New_York", "2026-08-12T03:59:59Z", "2026-08-11"),
        ("America/New_York", "2026-08-12T04:00:00Z", "2026-08-12"),
        ("America/New_York", "2026-01-12T04:59:59Z", "2026-01-11"),
        ("Asia/Kathmandu", "2026-01-01T18:14:59Z", "2026-01-01"),
        ("Asia/Kathmandu", "2026-01-01T18:15:00Z", "2026-01-02"),
        ("Pacific/Kiritimati", "2026-01-01T10:00:00Z", "2026-01-02"),
        ("Pacific/Pago_Pago", "2026-01-01T10:59:59Z", "2025-12-31"),
        // Clocks are set back over midnight: the day that has begun has begun.
        ("America/St_Johns", "2010-11-07T02:29:59Z", "2010-11-06"),
        ("America/St_Johns", "2010-11-07T02:30:00Z", "2010-11-07"),
        ("America/St_Johns", "2010-11-07T02:45:00Z", "2010-11-07"),
        // Midnight does not exist.
        ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04"),
        // A whole day does not exist.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31"),
    ] {
        check(&plain(zone), at, &[("TODAY", today, today)]);
    }
}

#[test]
fn days_begin_when_the_zone_says() {
    for (zone, day, start) in [
        ("UTC", "2026-03-08", "2026-03-08T00:00:00Z"),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00:00Z"),
        ("America/New_York", "2026-03-09", "2026-03-09T04:00:00Z"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00:00Z"),
        ("America/New_York", "2026-11-02", "2026-11-02T05:00:00Z"),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00:00Z"),
        ("Europe/Berlin", "2026-10-26", "2026-10-25T23:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-05", "2026-04-04T13:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-06", "2026-04-05T13:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-03T13:30:00Z"),
        ("Australia/Lord_Howe", "2026-10-05", "2026-10-04T13:00:00Z"),
        ("Asia/Kathmandu", "2026-01-01", "2025-12-31T18:15:00Z"),
        ("America/Sao_Paulo", "2018-11-03", "2018-11-03T03:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z"),
        ("America/Sao_Paulo", "2018-11-05", "2018-11-05T02:00:00Z"),
        ("America/Sao_Paulo", "2019-02-16", "2019-02-16T02:00:00Z"),
        ("America/Sao_Paulo", "2019-02-17", "2019-02-17T03:00:00Z"),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"),
        ("Africa/Cairo", "2026-04-25", "2026-04-24T21:00:00Z"),
        ("Africa/Cairo", "2026-10-29", "2026-10-28T21:00:00Z"),
        ("Africa/Cairo", "2026-10-30", "2026-10-29T22:00:00Z"),
        ("America/St_Johns", "2010-11-07", "2010-11-07T02:30:00Z"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z"),
    ] {
        let stretch = plain(zone)
            .stretch(&value(day), Timestamp::default())
            .unwrap();
        assert_eq!(stretch.start, moment(start), "{day} in {zone}");
        let next = day.parse::<Date>().unwrap().tomorrow().unwrap();
        assert_eq!(stretch.end, plain(zone).start_of(next), "{day} in {zone}");
    }
    let far = plain("UTC").stretch(&value("9999-12-31"), Timestamp::default());
    assert_eq!(far.unwrap().end, Timestamp::from_micros(i64::MAX));
}

/// Years of 52 and 53 weeks from a Sunday near February, quarters of 13 weeks and the rest.
fn retail() -> Fiscal {
    let mut periods = Vec::new();
    for (start, end) in [
        (date(2025, 2, 2), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2027, 2, 6)),
        (date(2027, 2, 7), date(2028, 2, 5)),
    ] {
        let after = |weeks: i64| start.checked_add(Span::new().weeks(weeks)).unwrap();
        for (from, to) in [(0, 13), (13, 26), (26, 39)] {
            periods.push(Period {
                kind: PeriodKind::Quarter,
                start: after(from),
                end: after(to).yesterday().unwrap(),
            });
        }
        let last = after(39);
        periods.push(Period {
            kind: PeriodKind::Quarter,
            start: last,
            end,
        });
        periods.push(Period {
            kind: PeriodKind::Year,
            start,
            end,
        });
    }
    // In no order.
    periods.reverse();
    Fiscal::Custom { periods }
}

#[test]
fn custom_fiscal_years_are_those_that_were_defined() {
    let calendar = calendar("UTC", Weekday::Sunday, &retail());
    check(
        &calendar,
        // In the 53rd week.
        "2027-02-03T12:00:00Z",
        &[
            ("THIS_FISCAL_YEAR", "2026-02-01", "2027-02-06"),
            ("LAST_FISCAL_YEAR", "2025-02-02", "2026-01-31"),
            ("NEXT_FISCAL_YEAR", "2027-02-07", "2028-02-05"),
            ("LAST_N_FISCAL_YEARS:1", "2025-02-02", "2026-01-31"),
            ("THIS_FISCAL_QUARTER", "2026-11-01", "2027-02-06"),
            ("NEXT_FISCAL_QUARTER", "2027-02-07", "2027-05-08"),
            ("N_FISCAL_QUARTERS_AGO:3", "2026-02-01", "2026-05-02"),
            ("LAST_N_FISCAL_QUARTERS:5", "2025-08-03", "2026-10-31"),
            // Calendar units stay as they are.
            ("THIS_QUARTER", "2027-01-01", "2027-03-31"),
            ("THIS_YEAR", "2027-01-01", "2027-12-31"),
        ],
    );
    for (literal, at) in [
        ("LAST_N_FISCAL_YEARS:2", "2027-02-03T12:00:00Z"),
        ("NEXT_N_FISCAL_YEARS:2", "2027-02-03T12:00:00Z"),
        ("NEXT_FISCAL_QUARTER", "2028-02-05T12:00:00Z"),
        ("THIS_FISCAL_YEAR", "2028-02-06T00:00:00Z"),
        ("THIS_FISCAL_QUARTER", "2025-02-01T23:59:59Z"),
    ] {
        assert_eq!(range(&calendar, literal, at), None, "{literal} at {at}");
    }
}

#[test]
fn a_range_moves_when_its_unit_does() {
    let new_york = calendar("America/New_York", Weekday::Monday, &retail());
    for (literal, at, expected) in [
        (
            "TODAY",
            "2026-03-08T12:00:00Z",
            Some("2026-03-09T04:00:00Z"),
        ),
        (
            "LAST_N_DAYS:30",
            "2026-03-08T04:59:59Z",
            Some("2026-03-08T05:00:00Z"),
        ),
        (
            "LAST_N_DAYS:30",
            "2026-03-08T05:00:00Z",
            Some("2026-03-09T04:00:00Z"),
        ),
        (
            "THIS_WEEK",
            "2026-03-08T12:00:00Z",
            Some("2026-03-09T04:00:00Z"),
        ),
        (
            "LAST_WEEK",
            "2026-03-09T12:00:00Z",
            Some("2026-03-16T04:00:00Z"),
        ),
        (
            "NEXT_N_MONTHS:3",
            "2026-03-09T12:00:00Z",
            Some("2026-04-01T04:00:00Z"),
        ),
        (
            "THIS_QUARTER",
            "2026-12-09T12:00:00Z",
            Some("2027-01-01T05:00:00Z"),
        ),
        (
            "LAST_YEAR",
            "2026-12-09T12:00:00Z",
            Some("2027-01-01T05:00:00Z"),
        ),
        (
            "THIS_FISCAL_YEAR",
            "2026-12-09T12:00:00Z",
            Some("2027-02-07T05:00:00Z"),
        ),
        (
            "THIS_FISCAL_QUARTER",
            "2026-12-09T12:00:00Z",
            Some("2027-02-07T05:00:00Z"),
        ),
        // From being defined to not being, and the other way round.
        (
            "THIS_FISCAL_YEAR",
            "2028-01-01T12:00:00Z",
            Some("2028-02-06T05:00:00Z"),
        ),
        (
            "THIS_FISCAL_YEAR",
            "2024-12-01T12:00:00Z",
            Some("2025-02-02T05:00:00Z"),
        ),
        ("THIS_FISCAL_YEAR", "2028-12-01T12:00:00Z", None),
    ] {
        let literal = value(literal);
        let turn = new_york.next_turn(literal.literal().unwrap().unit, moment(at));
        assert_eq!(turn, expected.map(moment), "{literal:?} at {at}");
    }
}

/// Days since 0000-03-01, counted without any calendar but the rule of leap years.
fn day_number(day: Date) -> i64 {
    let (year, month) = if day.month() > 2 {
        (i64::from(day.year()), i64::from(day.month()) - 3)
    } else {
        (i64::from(day.year()) - 1, i64::from(day.month()) + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // March to February have 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 31 days.
    year * 365 + leap_days + (month * 153 + 2) / 5 + i64::from(day.day()) - 1
}

/// Months since the year 0.
fn month_number(day: Date) -> i64 {
    i64::from(day.year()) * 12 + i64::from(day.month()) - 1
}

fn units() -> impl Strategy<Value = (CalendarUnit, &'static str)> {
    prop::sample::select(vec![
        (CalendarUnit::Day, "DAYS"),
        (CalendarUnit::Week, "WEEKS"),
        (CalendarUnit::Month, "MONTHS"),
        (CalendarUnit::Quarter, "QUARTERS"),
        (CalendarUnit::Year, "YEARS"),
        (CalendarUnit::FiscalQuarter, "FISCAL_QUARTERS"),
        (CalendarUnit::FiscalYear, "FISCAL_YEARS"),
    ])
}

const WEEKDAYS: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

proptest! {
    /// Ranges have the length that their name says, and touch the current unit as it says.
    #[test]
    fn ranges_agree_with_counting(
        days in 0_i64..60_000,
        (unit, plural) in units(),
        n in 1_i64..=100,
        start_month in 1_u8..=12,
        first in 0_usize..7,
    ) {
        let today = date(1940, 1, 1).checked_add(Span::new().days(days)).unwrap();
        let calendar = calendar("UTC", WEEKDAYS[first], &Fiscal::Standard { start_month });
        let at = calendar.start_of(today);
        let days_of = |literal: String| calendar.days(&value(&literal), at).unwrap();
        let this = calendar.units(unit, today, 0, 1).unwrap();
        let ago = days_of(format!("N_{plural}_AGO:{n}"));
        let last = days_of(format!("LAST_N_{plural}:{n}"));
        let next = days_of(format!("NEXT_N_{plural}:{n}"));
        prop_assert!(this.first <= today && today <= this.last);
        prop_assert_eq!(day_number(next.first), day_number(this.last) + 1);
        prop_assert_eq!(last.first, ago.first);
        if unit == CalendarUnit::Day {
            prop_assert_eq!(last.last, today);
            prop_assert_eq!(day_number(ago.first), day_number(today) - n);
            prop_assert_eq!(day_number(next.last), day_number(today) + n);
        } else {
            prop_assert_eq!(day_number(last.last), day_number(this.first) - 1);
        }
        let months = match unit {
            CalendarUnit::Day => 0,
            CalendarUnit::Week => {
                // 1970-01-01 was a Thursday.
                let since = day_number(this.first) - day_number(date(1970, 1, 1));
                prop_assert_eq!((since + 3).rem_euclid(7), i64::try_from(first).unwrap());
                prop_assert_eq!(day_number(this.last) - day_number(this.first), 6);
                prop_assert_eq!(day_number(this.first) - day_number(ago.first), 7 * n);
                prop_assert_eq!(day_number(next.last) - day_number(this.last), 7 * n);
                0
            }
            CalendarUnit::Month => 1,
            CalendarUnit::Quarter | CalendarUnit::FiscalQuarter => 3,
            CalendarUnit::Year | CalendarUnit::FiscalYear => 12,
        };
        if months > 0 {
            let offset = if matches!(unit, CalendarUnit::FiscalQuarter | CalendarUnit::FiscalYear) {
                i64::from(start_month) - 1
            } else {
                0
            };
            for days in [this, ago, last, next] {
                prop_assert_eq!(days.first.day(), 1);
                prop_assert_eq!((month_number(days.first) - offset).rem_euclid(months), 0);
                prop_assert_eq!(days.last.tomorrow().unwrap().day(), 1);
            }
            let length = |days: Days| month_number(days.last) + 1 - month_number(days.first);
            prop_assert_eq!(length(this), months);
            prop_assert_eq!(length(ago), months);
            prop_assert_eq!(length(last), months * n);
            prop_assert_eq!(length(next), months * n);
            prop_assert_eq!(month_number(this.first) - month_number(ago.first), months * n);
        }
    }

    /// Wherever the clocks go: the day that it is has begun and the next one has not, a stretch is
    /// its days, and the next turn is the first moment of another day.
    #[test]
    fn days_follow_one_another_in_every_zone(
        zone in prop::sample::select(vec![
            "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu",
            "America/Sao_Paulo", "Africa/Cairo", "America/St_Johns", "Pacific/Apia",
            "Pacific/Chatham", "Asia/Gaza", "America/Havana", "UTC",
        ]),
        seconds in 0_i64..2_500_000_000,
        near_turn in any::<bool>(),
    ) {
        let calendar = plain(zone);
        let mut at = Timestamp::from_micros(seconds * 1_000_000);
        if near_turn {
            at = calendar.next_turn(CalendarUnit::Day, at).unwrap();
            at = Timestamp::from_micros(at.as_micros() - seconds % 2);
        }
        let today = calendar.day_of(at);
        let start = calendar.start_of(today);
        let next = calendar.start_of(today.tomorrow().unwrap());
        prop_assert!(start <= at && at < next, "{} {} {}", start, at, next);
        let turn = calendar.next_turn(CalendarUnit::Day, at).unwrap();
        prop_assert!(turn > at);
        prop_assert!(calendar.day_of(turn) > today);
        let before = Timestamp::from_micros(turn.as_micros() - 1);
        prop_assert_eq!(calendar.day_of(before), today);
        let stretch = calendar.stretch(&value("TODAY"), at).unwrap();
        prop_assert_eq!((stretch.start, stretch.end), (start, next));
    }
}
