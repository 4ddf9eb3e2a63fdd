//! Date literals: `LAST_N_DAYS:30`, `THIS_FISCAL_QUARTER` and the others of SOQL, also as list views
//! spell them (`LAST 30 DAYS`, `THIS FISCAL QUARTER`, `3 MONTHS AGO`), in any case.
//!
//! Each names a row of days, weeks, months, ... counted from the current one. `LAST n DAYS` ends
//! with today and `NEXT n DAYS` begins with tomorrow; `LAST n` and `NEXT n` of everything else leave
//! out the current one (SOQL reference, date literals).

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CalendarUnit {
    Day,
    Week,
    Month,
    Quarter,
    Year,
    FiscalQuarter,
    FiscalYear,
}

impl CalendarUnit {
    fn parse(name: &str) -> Option<Self> {
        Some(match name.strip_suffix('S').unwrap_or(name) {
            "DAY" => Self::Day,
            "WEEK" => Self::Week,
            "MONTH" => Self::Month,
            "QUARTER" => Self::Quarter,
            "YEAR" => Self::Year,
            "FISCAL_QUARTER" => Self::FiscalQuarter,
            "FISCAL_YEAR" => Self::FiscalYear,
            _ => return None,
        })
    }

    /// The most that a literal may count: a hundred years, so that no range leaves the years that
    /// SOQL can name.
    const fn most(self) -> u32 {
        match self {
            Self::Day => 36_500,
            Self::Week => 5_200,
            Self::Month => 1_200,
            Self::Quarter | Self::FiscalQuarter => 400,
            Self::Year | Self::FiscalYear => 100,
        }
    }
}

/// `count` units, the first of them `from` units after the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    pub(super) unit: CalendarUnit,
    pub(super) from: i64,
    pub(super) count: i64,
}

/// A literal whose number is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CountFault {
    pub(super) least: u32,
    pub(super) most: u32,
}

impl Literal {
    /// Reads a literal; `None` where the text is none.
    pub(super) fn parse(text: &str) -> Option<Result<Self, CountFault>> {
        let spelled = spelled(text);
        let name = spelled.as_str();
        let one = |unit, from| {
            let count = 1;
            Some(Ok(Self { unit, from, count }))
        };
        match name {
            "YESTERDAY" => return one(CalendarUnit::Day, -1),
            "TODAY" => return one(CalendarUnit::Day, 0),
            "TOMORROW" => return one(CalendarUnit::Day, 1),
            _ => {}
        }
        if let Some((which, unit)) = name.split_once('_')
            && let Some(unit) = CalendarUnit::parse(unit)
            && unit != CalendarUnit::Day
            && !name.ends_with('S')
        {
            match which {
                "LAST" => return one(unit, -1),
                "THIS" => return one(unit, 0),
                "NEXT" => return one(unit, 1),
                _ => {}
            }
        }
        Self::counted(name)
    }

    /// `LAST_N_DAYS:30`, `LAST_30_DAYS`, `N_DAYS_AGO:30`, `30_DAYS_AGO`, ...
    fn counted(name: &str) -> Option<Result<Self, CountFault>> {
        let (name, given) = match name.split_once(':') {
            Some((name, number)) => (name, Some(number.trim_matches('_'))),
            None => (name, None),
        };
        let (direction, counted) = if let Some(counted) = name.strip_suffix("_AGO") {
            (Direction::Ago, counted)
        } else if let Some(counted) = name.strip_prefix("LAST_") {
            (Direction::Last, counted)
        } else {
            (Direction::Next, name.strip_prefix("NEXT_")?)
        };
        let (number, unit) = counted.split_once('_')?;
        let number = match (number, given) {
            ("N", Some(given)) => given,
            (number, None) => number,
            (_, Some(_)) => return None,
        };
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let unit = CalendarUnit::parse(unit)?;
        let to_today = direction == Direction::Last && unit == CalendarUnit::Day;
        // Of none of them there is a day only where today is counted in, or where it is a single one.
        let least = u32::from(!to_today && direction != Direction::Ago);
        let most = unit.most();
        // Only digits are left, so what does not parse is too large.
        let number = number.parse::<u32>().unwrap_or(u32::MAX);
        if !(least..=most).contains(&number) {
            return Some(Err(CountFault { least, most }));
        }
        let number = i64::from(number);
        let (from, count) = match direction {
            Direction::Last => (-number, number + i64::from(to_today)),
            Direction::Next => (1, number),
            Direction::Ago => (-number, 1),
        };
        Some(Ok(Self { unit, from, count }))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Last,
    Next,
    Ago,
}

/// In capitals, words joined by single underscores.
fn spelled(text: &str) -> String {
    text.to_ascii_uppercase()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(CalendarUnit, i64, i64)> {
        let literal = Literal::parse(text)?.unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
        Some((literal.unit, literal.from, literal.count))
    }

    #[test]
    fn both_spellings_are_read() {
        use CalendarUnit::*;
        for (spellings, expected) in [
            (&["TODAY", "today", " Today "][..], (Day, 0, 1)),
            (&["YESTERDAY"], (Day, -1, 1)),
            (&["Tomorrow"], (Day, 1, 1)),
            (&["THIS_WEEK", "this week"], (Week, 0, 1)),
            (&["LAST_MONTH", "Last  Month"], (Month, -1, 1)),
            (&["THIS QUARTER"], (Quarter, 0, 1)),
            (&["NEXT_YEAR"], (Year, 1, 1)),
            (
                &["NEXT_FISCAL_QUARTER", "NEXT FISCAL QUARTER"],
                (FiscalQuarter, 1, 1),
            ),
            (&["LAST_FISCAL_YEAR"], (FiscalYear, -1, 1)),
            (
                &["LAST_90_DAYS", "LAST 90 DAYS", "LAST_N_DAYS:90"],
                (Day, -90, 91),
            ),
            (
                &["NEXT_90_DAYS", "NEXT 90 DAYS", "next_n_days:90"],
                (Day, 1, 90),
            ),
            (&["LAST_N_DAYS:0"], (Day, 0, 1)),
            (&["LAST 1 DAY", "LAST_N_DAYS: 1"], (Day, -1, 2)),
            (&["N_DAYS_AGO:7", "7 DAYS AGO"], (Day, -7, 1)),
            (&["N_DAYS_AGO:0"], (Day, 0, 1)),
            (&["LAST_N_WEEKS:3", "LAST 3 WEEKS"], (Week, -3, 3)),
            (&["NEXT_N_WEEKS:3", "NEXT 3 WEEKS"], (Week, 1, 3)),
            (&["N_WEEKS_AGO:3"], (Week, -3, 1)),
            (&["LAST_N_MONTHS:12"], (Month, -12, 12)),
            (&["N_MONTHS_AGO:3", "3 MONTHS AGO"], (Month, -3, 1)),
            (&["LAST_N_QUARTERS:2"], (Quarter, -2, 2)),
            (&["N_QUARTERS_AGO:2"], (Quarter, -2, 1)),
            (&["NEXT_N_YEARS:100"], (Year, 1, 100)),
            (&["N_YEARS_AGO:1"], (Year, -1, 1)),
            (&["LAST_N_FISCAL_QUARTERS:6"], (FiscalQuarter, -6, 6)),
            (&["NEXT_N_FISCAL_YEARS:2"], (FiscalYear, 1, 2)),
            (&["N_FISCAL_QUARTERS_AGO:1"], (FiscalQuarter, -1, 1)),
            (&["N_FISCAL_YEARS_AGO:4"], (FiscalYear, -4, 1)),
        ] {
            for text in spellings {
                assert_eq!(read(text), Some(expected), "{text}");
            }
        }
    }

    #[test]
    fn other_texts_are_no_literals() {
        for text in [
            "",
            "2026-01-31",
            "LAST_N_DAYS",
            "LAST_N_DAYS:",
            "LAST_N_DAYS:x",
            "LAST_N_DAYS:-3",
            "LAST_N_DAYS:3:4",
            "LAST_7_DAYS:7",
            "LAST_DAY",
            "THIS_DAYS",
            "THIS_WEEKS",
            "THIS_N_WEEKS:2",
            "SOME_DAY",
            "THIS_CENTURY",
            "N_AGO",
            "_AGO",
            "N_DAYS:3",
        ] {
            assert_eq!(Literal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn counts_have_bounds() {
        for (text, least, most) in [
            ("NEXT_N_DAYS:0", 1, 36_500),
            ("LAST_N_DAYS:36501", 0, 36_500),
            ("LAST_N_WEEKS:0", 1, 5_200),
            ("N_MONTHS_AGO:1201", 0, 1_200),
            ("NEXT_N_FISCAL_YEARS:101", 1, 100),
            ("LAST_N_QUARTERS:99999999999999999999", 1, 400),
        ] {
            assert_eq!(
                Literal::parse(text),
                Some(Err(CountFault { least, most })),
                "{text}"
            );
        }
    }
}
