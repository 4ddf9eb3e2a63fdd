//! On which day weeks begin.

use serde::{Deserialize, Serialize};

/// A day of the week.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "days are days")]
pub enum Weekday {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    #[default]
    Sunday,
}

/// Where weeks begin on a Sunday (CLDR 38, `weekData.firstDay`).
const SUNDAY: &str = "AG AS AU BD BR BS BT BW BZ CA CN CO DM DO ET GT GU HK HN ID IL IN JM JP KE \
KH KR LA MH MM MO MT MX MZ NI NP PA PE PH PK PR PT PY SA SG SV TH TT TW UM US VE VI WS YE ZA ZW";
/// Where weeks begin on a Saturday.
const SATURDAY: &str = "AE AF BH DJ DZ EG IQ IR JO KW LY OM QA SD SY";
/// Where weeks begin on a Friday.
const FRIDAY: &str = "MV";

/// The territory of a language whose locale names none (CLDR, likely subtags), where weeks begin on
/// another day than Monday.
const LIKELY: [(&str, &str); 17] = [
    ("am", "ET"),
    ("ar", "EG"),
    ("bn", "BD"),
    ("dv", "MV"),
    ("en", "US"),
    ("fa", "IR"),
    ("he", "IL"),
    ("hi", "IN"),
    ("in", "ID"),
    ("id", "ID"),
    ("iw", "IL"),
    ("ja", "JP"),
    ("ko", "KR"),
    ("pt", "BR"),
    ("ta", "IN"),
    ("th", "TH"),
    ("zh", "CN"),
];

impl Weekday {
    /// The first day of the week in a locale such as `en_US`, `de_DE_EURO` or `zh_Hans_CN`
    /// (`LocaleSidKey`); Monday, as in most of the world, where nothing else is known of it.
    #[must_use]
    pub fn first_of_week(locale: &str) -> Self {
        let mut parts = locale.split(['_', '-']);
        let language = parts.next().unwrap_or_default().to_ascii_lowercase();
        let named = parts
            .find(|part| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
        let territory = match named {
            Some(territory) => territory.to_ascii_uppercase(),
            None => LIKELY
                .iter()
                .find(|(known, _)| *known == language)
                .map_or(String::new(), |(_, territory)| (*territory).to_owned()),
        };
        let among = |list: &str| list.split(' ').any(|known| known == territory);
        if among(SUNDAY) {
            Self::Sunday
        } else if among(SATURDAY) {
            Self::Saturday
        } else if among(FRIDAY) {
            Self::Friday
        } else {
            Self::Monday
        }
    }

    /// How many days after Monday.
    pub(crate) const fn after_monday(self) -> i8 {
        match self {
            Self::Monday => 0,
            Self::Tuesday => 1,
            Self::Wednesday => 2,
            Self::Thursday => 3,
            Self::Friday => 4,
            Self::Saturday => 5,
            Self::Sunday => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_says_on_which_day_weeks_begin() {
        for (locale, expected) in [
            ("en_US", Weekday::Sunday),
            ("en_GB", Weekday::Monday),
            ("en", Weekday::Sunday),
            ("de_DE", Weekday::Monday),
            ("de_DE_EURO", Weekday::Monday),
            ("pt_BR", Weekday::Sunday),
            ("ar_EG", Weekday::Saturday),
            ("ar_AE", Weekday::Saturday),
            ("ar_SA", Weekday::Sunday),
            ("fa_IR", Weekday::Saturday),
            ("dv_MV", Weekday::Friday),
            ("zh_Hans_CN", Weekday::Sunday),
            ("sr_Latn_RS", Weekday::Monday),
            ("ja-JP", Weekday::Sunday),
            ("iw_IL", Weekday::Sunday),
            ("ar", Weekday::Saturday),
            ("de", Weekday::Monday),
            ("", Weekday::Monday),
        ] {
            assert_eq!(Weekday::first_of_week(locale), expected, "{locale}");
        }
    }
}
