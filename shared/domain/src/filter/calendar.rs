//! Calendars: when a day begins, and which days a literal names.

use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::date::{DateValue, Days, Stretch};
use super::literal::{CalendarUnit, Literal};
use crate::org::{Fiscal, Period, PeriodKind, Weekday};
use crate::time::Timestamp;

/// A zone, where weeks begin in it, and its fiscal years.
#[derive(Debug, Clone)]
pub(super) struct Calendar {
    zone: TimeZone,
    first_weekday: Weekday,
    fiscal: FiscalYears,
}

#[derive(Debug, Clone)]
enum FiscalYears {
    /// The first month.
    Standard(i64),
    /// In order of their first days.
    Custom {
        years: Vec<Period>,
        quarters: Vec<Period>,
    },
}

impl Calendar {
    pub(super) fn new(zone: TimeZone, first_weekday: Weekday, fiscal: &Fiscal) -> Self {
        let fiscal = match fiscal {
            Fiscal::Standard { start_month } => {
                FiscalYears::Standard(i64::from(*start_month).clamp(1, 12))
            }
            Fiscal::Custom { periods } => {
                let of = |kind| {
                    let mut periods: Vec<Period> = periods
                        .iter()
                        .filter(|period| period.kind == kind)
                        .copied()
                        .collect();
                    periods.sort_unstable();
                    periods.dedup();
                    periods
                };
                FiscalYears::Custom {
                    years: of(PeriodKind::Year),
                    quarters: of(PeriodKind::Quarter),
                }
            }
        };
        Self {
            zone,
            first_weekday,
            fiscal,
        }
    }

    /// The moment at which a day begins: midnight, or, where the clocks skip midnight, the first
    /// moment after it. Where midnight comes twice, the first.
    pub(super) fn start_of(&self, day: Date) -> Timestamp {
        let end_of_time = || if day.year() < 0 { i64::MIN } else { i64::MAX };
        let start = day.to_zoned(self.zone.clone());
        Timestamp::from_micros(start.map_or_else(
            |_beyond| end_of_time(),
            |start| start.timestamp().as_microsecond(),
        ))
    }

    /// The day that it is at a moment: the last one that has begun.
    pub(super) fn day_of(&self, at: Timestamp) -> Date {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
        let shown = self.zone.to_datetime(instant).date();
        // Where clocks are set over midnight, the date they show may be another for a while.
        if self.start_of(shown) > at {
            return shown.yesterday().unwrap_or(shown);
        }
        match shown.tomorrow() {
            Ok(next) if self.start_of(next) <= at => next,
            _ => shown,
        }
    }

    /// The days that a value names at a moment; `None` where a literal names none then, because a
    /// fiscal year that it needs is not defined. A moment is no day.
    pub(super) fn days(&self, value: &DateValue, at: Timestamp) -> Option<Days> {
        match value {
            DateValue::Day(day) => Some(Days {
                first: *day,
                last: *day,
            }),
            DateValue::Instant(_) => None,
            DateValue::Relative(literal) => self.named(*literal, self.day_of(at)),
        }
    }

    /// The same as a stretch of time.
    pub(super) fn stretch(&self, value: &DateValue, at: Timestamp) -> Option<Stretch> {
        if let DateValue::Instant(moment) = value {
            return Some(Stretch {
                start: *moment,
                end: Timestamp::from_micros(moment.as_micros().saturating_add(1)),
            });
        }
        let days = self.days(value, at)?;
        let after = days.last.tomorrow();
        Some(Stretch {
            start: self.start_of(days.first),
            end: after.map_or(Timestamp::from_micros(i64::MAX), |after| {
                self.start_of(after)
            }),
        })
    }

    /// The next moment after `at` at which the current one of these units is another.
    pub(super) fn next_turn(&self, unit: CalendarUnit, at: Timestamp) -> Option<Timestamp> {
        let today = self.day_of(at);
        let next = match (self.periods(unit), self.units(unit, today, 1, 1)) {
            (Some(periods), _) => periods
                .iter()
                .flat_map(|period| [Some(period.start), period.end.tomorrow().ok()])
                .flatten()
                .filter(|day| *day > today)
                .min()?,
            (None, next) => next?.first,
        };
        Some(self.start_of(next))
    }

    fn named(&self, literal: Literal, today: Date) -> Option<Days> {
        let Literal { unit, from, count } = literal;
        self.units(unit, today, from, count)
    }

    /// `count` units, the first of them `from` units after the one that has today.
    fn units(&self, unit: CalendarUnit, today: Date, from: i64, count: i64) -> Option<Days> {
        if let Some(periods) = self.periods(unit) {
            return defined(periods, today, from, count);
        }
        let current = self.first_of(unit, today)?;
        let after = plus(current, unit, from.checked_add(count)?)?;
        Some(Days {
            first: plus(current, unit, from)?,
            last: after.yesterday().ok()?,
        })
    }

    /// The defined periods, for fiscal units of custom fiscal years.
    fn periods(&self, unit: CalendarUnit) -> Option<&[Period]> {
        match (&self.fiscal, unit) {
            (FiscalYears::Custom { years, .. }, CalendarUnit::FiscalYear) => Some(years),
            (FiscalYears::Custom { quarters, .. }, CalendarUnit::FiscalQuarter) => Some(quarters),
            _ => None,
        }
    }

    /// The first day of the unit that has today.
    fn first_of(&self, unit: CalendarUnit, today: Date) -> Option<Date> {
        let month = i64::from(today.month());
        let start_month = match self.fiscal {
            FiscalYears::Standard(month) => month,
            FiscalYears::Custom { .. } => 1,
        };
        let months_back = |count: i64| plus(today.first_of_month(), CalendarUnit::Month, -count);
        match unit {
            CalendarUnit::Day => Some(today),
            CalendarUnit::Week => {
                let today_after_monday = today.weekday().to_monday_zero_offset();
                let back = (today_after_monday - self.first_weekday.after_monday()).rem_euclid(7);
                plus(today, CalendarUnit::Day, -i64::from(back))
            }
            CalendarUnit::Month => Some(today.first_of_month()),
            CalendarUnit::Quarter => months_back((month - 1).rem_euclid(3)),
            CalendarUnit::Year => months_back(month - 1),
            CalendarUnit::FiscalQuarter => months_back((month - start_month).rem_euclid(3)),
            CalendarUnit::FiscalYear => months_back((month - start_month).rem_euclid(12)),
        }
    }
}

/// Of periods that an administrator has defined, those counted from the one that has today.
fn defined(periods: &[Period], today: Date, from: i64, count: i64) -> Option<Days> {
    let current = periods
        .iter()
        .position(|period| period.start <= today && today <= period.end)?;
    let place = |after: i64| {
        let place = i64::try_from(current).ok()?.checked_add(after)?;
        periods.get(usize::try_from(place).ok()?)
    };
    Some(Days {
        first: place(from)?.start,
        last: place(from + count - 1)?.end,
    })
}

fn plus(day: Date, unit: CalendarUnit, count: i64) -> Option<Date> {
    let span = Span::new();
    let span = match unit {
        CalendarUnit::Day => span.try_days(count),
        CalendarUnit::Week => span.try_weeks(count),
        CalendarUnit::Month => span.try_months(count),
        CalendarUnit::Quarter | CalendarUnit::FiscalQuarter => {
            span.try_months(count.checked_mul(3)?)
        }
        CalendarUnit::Year | CalendarUnit::FiscalYear => span.try_years(count),
    };
    day.checked_add(span.ok()?).ok()
}

#[cfg(test)]
mod tests;
