//! Date literals: each is a range of days.
use jiff::Span;
use jiff::civil::Date;

/// Days, from the first to the one after the last.
pub(crate) type Days = (Date, Date);

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    FiscalQuarter,
    FiscalYear,
}

const UNITS: [(&str, Unit); 7] = [
    ("DAY", Unit::Day),
    ("WEEK", Unit::Week),
    ("MONTH", Unit::Month),
    ("QUARTER", Unit::Quarter),
    ("YEAR", Unit::Year),
    ("FISCAL_QUARTER", Unit::FiscalQuarter),
    ("FISCAL_YEAR", Unit::FiscalYear),
];

/// What literals are counted by.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    /// The day that it is for the running user.
    pub(crate) today: Date,
    /// The first day of the week in the user's locale, 0 for Sunday.
    pub(crate) first_weekday: i8,
    /// The first month of the fiscal year.
    pub(crate) fiscal_start: i64,
    /// The years and quarters of custom fiscal years, in order.
    pub(crate) custom: Option<Custom>,
}

/// What an administrator defined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Custom {
    pub(crate) years: Vec<Days>,
    pub(crate) quarters: Vec<Days>,
}

/// Countries where weeks begin on Sunday or Saturday; elsewhere on Monday.
const SUNDAY: [&str; 12] = [
    "US", "CA", "MX", "BR", "JP", "KR", "IN", "IL", "TH", "TW", "HK", "SG",
];
const SATURDAY: [&str; 6] = ["EG", "AE", "KW", "QA", "JO", "IQ"];

/// The first day of the week of a locale such as `en_US`, 0 for Sunday.
pub(crate) fn first_weekday(locale: &str) -> i8 {
    let country = locale.split('_').nth(1).unwrap_or("US");
    if SUNDAY.contains(&country) {
        0
    } else if SATURDAY.contains(&country) {
        6
    } else {
        1
    }
}

impl Calendar {
    /// The days that a literal names; `None` where it names none.
    pub(crate) fn days(&self, name: &str, number: Option<i64>) -> Option<Days> {
        match number {
            None => self.fixed(name),
            Some(number) => self.counted(name, number),
        }
    }

    fn fixed(&self, name: &str) -> Option<Days> {
        match name {
            "YESTERDAY" => return self.units(Unit::Day, -1, 1),
            "TODAY" => return self.units(Unit::Day, 0, 1),
            "TOMORROW" => return self.units(Unit::Day, 1, 1),
            "LAST_90_DAYS" => return self.units(Unit::Day, -90, 91),
            "NEXT_90_DAYS" => return self.units(Unit::Day, 1, 90),
            _ => {}
        }
        let (which, unit) = name.split_once('_')?;
        let unit = unit_of(unit).filter(|unit| !matches!(unit, Unit::Day))?;
        match which {
            "LAST" => self.units(unit, -1, 1),
            "THIS" => self.units(unit, 0, 1),
            "NEXT" => self.units(unit, 1, 1),
            _ => None,
        }
    }

    fn counted(&self, name: &str, number: i64) -> Option<Days> {
        if let Some(unit) = name.strip_prefix("LAST_N_") {
            let unit = unit_of(unit.strip_suffix('S')?)?;
            // Of days, today is counted in beside the ones before.
            let today = i64::from(matches!(unit, Unit::Day));
            return self.units(unit, -number, number.checked_add(today)?);
        }
        if let Some(unit) = name.strip_prefix("NEXT_N_") {
            return self.units(unit_of(unit.strip_suffix('S')?)?, 1, number);
        }
        let unit = name.strip_prefix("N_")?.strip_suffix("S_AGO")?;
        self.units(unit_of(unit)?, -number, 1)
    }

    /// `count` units beginning with the one `from` units after the current one.
    fn units(&self, unit: Unit, from: i64, count: i64) -> Option<Days> {
        if let (Some(custom), Unit::FiscalQuarter | Unit::FiscalYear) = (&self.custom, unit) {
            let periods = if matches!(unit, Unit::FiscalYear) {
                &custom.years
            } else {
                &custom.quarters
            };
            let current = periods
                .iter()
                .position(|(start, end)| *start <= self.today && self.today < *end)?;
            let place = |after: i64| {
                let place = i64::try_from(current).ok()?.checked_add(after)?;
                periods.get(usize::try_from(place).ok()?)
            };
            return Some((place(from)?.0, place(from.checked_add(count)? - 1)?.1));
        }
        let current = self.start(unit)?;
        let first = plus(current, unit, from)?;
        Some((first, plus(current, unit, from.checked_add(count)?)?))
    }

    /// The first day of the current unit.
    fn start(&self, unit: Unit) -> Option<Date> {
        let today = self.today;
        let month_back = |months: i64| plus(today.first_of_month(), Unit::Month, -months);
        let month = i64::from(today.month());
        match unit {
            Unit::Day => Some(today),
            Unit::Week => plus(
                today,
                Unit::Day,
                -i64::from(
                    (today.weekday().to_sunday_zero_offset() - self.first_weekday).rem_euclid(7),
                ),
            ),
            Unit::Month => Some(today.first_of_month()),
            Unit::Quarter => month_back((month - 1) % 3),
            Unit::Year => month_back(month - 1),
            Unit::FiscalQuarter => month_back((month - self.fiscal_start).rem_euclid(3)),
            Unit::FiscalYear => month_back((month - self.fiscal_start).rem_euclid(12)),
        }
    }
}

fn unit_of(name: &str) -> Option<Unit> {
    UNITS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, unit)| *unit)
}

fn plus(date: Date, unit: Unit, count: i64) -> Option<Date> {
    let span = Span::new();
    let span = match unit {
        Unit::Day => span.try_days(count),
        Unit::Week => span.try_weeks(count),
        Unit::Month => span.try_months(count),
        Unit::Quarter | Unit::FiscalQuarter => span.try_months(count.checked_mul(3)?),
        Unit::Year | Unit::FiscalYear => span.try_years(count),
    };
    date.checked_add(span.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Wednesday in the third calendar quarter.
    const TODAY: Date = Date::constant(2026, 8, 12);

    fn calendar() -> Calendar {
        Calendar {
            today: TODAY,
            first_weekday: 0,
            fiscal_start: 2,
            custom: None,
        }
    }

    fn check(name: &str, number: Option<i64>, first: &str, last: &str) {
        let (from, to) = calendar().days(name, number).unwrap();
        assert_eq!(from.to_string(), first, "{name}");
        assert_eq!(to.yesterday().unwrap().to_string(), last, "{name}");
    }

    #[test]
    fn ranges_worked_out_by_hand() {
        check("TODAY", None, "2026-08-12", "2026-08-12");
        check("YESTERDAY", None, "2026-08-11", "2026-08-11");
        check("THIS_WEEK", None, "2026-08-09", "2026-08-15");
        check("LAST_WEEK", None, "2026-08-02", "2026-08-08");
        check("NEXT_MONTH", None, "2026-09-01", "2026-09-30");
        check("LAST_MONTH", None, "2026-07-01", "2026-07-31");
        check("THIS_QUARTER", None, "2026-07-01", "2026-09-30");
        check("LAST_QUARTER", None, "2026-04-01", "2026-06-30");
        check("NEXT_YEAR", None, "2027-01-01", "2027-12-31");
        check("LAST_90_DAYS", None, "2026-05-14", "2026-08-12");
        check("NEXT_90_DAYS", None, "2026-08-13", "2026-11-10");
        check("LAST_N_DAYS", Some(7), "2026-08-05", "2026-08-12");
        check("NEXT_N_DAYS", Some(7), "2026-08-13", "2026-08-19");
        check("N_DAYS_AGO", Some(3), "2026-08-09", "2026-08-09");
        check("LAST_N_WEEKS", Some(2), "2026-07-26", "2026-08-08");
        check("NEXT_N_MONTHS", Some(2), "2026-09-01", "2026-10-31");
        check("N_MONTHS_AGO", Some(1), "2026-07-01", "2026-07-31");
        check("LAST_N_QUARTERS", Some(2), "2026-01-01", "2026-06-30");
        check("LAST_N_YEARS", Some(1), "2025-01-01", "2025-12-31");
        // The fiscal year begins in February.
        check("THIS_FISCAL_QUARTER", None, "2026-08-01", "2026-10-31");
        check("LAST_FISCAL_QUARTER", None, "2026-05-01", "2026-07-31");
        check("THIS_FISCAL_YEAR", None, "2026-02-01", "2027-01-31");
        check("N_FISCAL_YEARS_AGO", Some(1), "2025-02-01", "2026-01-31");
    }

    #[test]
    fn what_is_no_literal() {
        for (name, number) in [
            ("SOMEDAY", None),
            ("LAST_N_DAYS", None),
            ("LAST_DAY", None),
            ("LAST_N_DAYS", Some(i64::MAX)),
        ] {
            assert_eq!(calendar().days(name, number), None, "{name}");
        }
    }

    #[test]
    fn weeks_begin_by_locale_and_custom_years_where_defined() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let calendar = Calendar {
            first_weekday: first_weekday("de_DE"),
            custom: Some(Custom {
                years: vec![(day("2026-02-01"), day("2027-02-07"))],
                quarters: vec![(day("2026-08-02"), day("2026-11-01"))],
            }),
            ..calendar()
        };
        let days = |name| calendar.days(name, None);
        assert_eq!(
            days("THIS_WEEK"),
            Some((day("2026-08-10"), day("2026-08-17")))
        );
        assert_eq!(
            days("THIS_FISCAL_YEAR"),
            Some((day("2026-02-01"), day("2027-02-07")))
        );
        assert_eq!(
            days("THIS_FISCAL_QUARTER"),
            Some((day("2026-08-02"), day("2026-11-01")))
        );
        assert_eq!(days("LAST_FISCAL_YEAR"), None);
        assert_eq!(days("NEXT_FISCAL_QUARTER"), None);
        assert_eq!((first_weekday("en_US"), first_weekday("ar_EG")), (0, 6));
    }
}
