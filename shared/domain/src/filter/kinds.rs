//! Field types, operators, and which of them go together.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a filter needs to know of a field's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Texts of all kinds: string, text area, phone, email, URL, combo box, encrypted, auto-number.
    Text,
    /// One value of a list, as its API value.
    Picklist,
    /// Several values of a list, `a;b;c`.
    MultiPicklist,
    /// A checkbox.
    Boolean,
    /// Whole and floating numbers.
    Number,
    /// An amount in the record's currency.
    Currency,
    /// 75 % is 75.
    Percent,
    /// A calendar day.
    Date,
    /// A point in time.
    DateTime,
    /// A time of day.
    Time,
    /// The record's own id.
    Id,
    /// Another record's id.
    Reference,
}

impl FieldType {
    /// From the `type` of a describe result; `None` for types that cannot be filtered by (compound
    /// addresses and locations, base64, any type).
    #[must_use]
    pub fn of_describe(describe_type: &str) -> Option<Self> {
        Some(match describe_type {
            "string" | "textarea" | "phone" | "email" | "url" | "combobox" | "encryptedstring" => {
                Self::Text
            }
            "picklist" => Self::Picklist,
            "multipicklist" => Self::MultiPicklist,
            "boolean" => Self::Boolean,
            "int" | "long" | "double" => Self::Number,
            "currency" => Self::Currency,
            "percent" => Self::Percent,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "time" => Self::Time,
            "id" => Self::Id,
            "reference" => Self::Reference,
            _ => return None,
        })
    }

    /// The operators that list views offer for the type.
    #[must_use]
    pub const fn operators(self) -> &'static [Operator] {
        use Operator::{
            Contains, Equals, Excludes, GreaterOrEqual, GreaterThan, Includes, LessOrEqual,
            LessThan, NotContain, NotEqual, StartsWith,
        };
        match self {
            Self::Text | Self::Picklist => &[
                Equals,
                NotEqual,
                StartsWith,
                Contains,
                NotContain,
                LessThan,
                GreaterThan,
                LessOrEqual,
                GreaterOrEqual,
            ],
            Self::MultiPicklist => &[Equals, NotEqual, Includes, Excludes],
            Self::Boolean => &[Equals, NotEqual],
            Self::Number
            | Self::Currency
            | Self::Percent
            | Self::Date
            | Self::DateTime
            | Self::Time => &[
                Equals,
                NotEqual,
                LessThan,
                GreaterThan,
                LessOrEqual,
                GreaterOrEqual,
            ],
            Self::Id | Self::Reference => &[Equals, NotEqual, StartsWith],
        }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Text => "text",
            Self::Picklist => "picklist",
            Self::MultiPicklist => "multi-select picklist",
            Self::Boolean => "checkbox",
            Self::Number => "number",
            Self::Currency => "currency",
            Self::Percent => "percent",
            Self::Date => "date",
            Self::DateTime => "date/time",
            Self::Time => "time",
            Self::Id => "id",
            Self::Reference => "lookup",
        })
    }
}

/// The operators that list views offer for a field: those of its type, but for a record type, which
/// is one or is not.
#[must_use]
pub fn operators(field: &str, field_type: FieldType) -> &'static [Operator] {
    let last = field.rsplit_once('.').map_or(field, |(_, last)| last);
    let of_record_type = field.starts_with("RecordType.") || field.contains(".RecordType.");
    if last == "RecordTypeId" || of_record_type {
        return &[Operator::Equals, Operator::NotEqual];
    }
    field_type.operators()
}

/// How a field is compared with the values of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// Is one of the values.
    Equals,
    /// Is none of the values.
    NotEqual,
    /// Begins with one of the values.
    StartsWith,
    /// Has one of the values somewhere inside.
    Contains,
    /// Has none of the values inside.
    NotContain,
    /// Is less, or earlier.
    LessThan,
    /// Is greater, or later.
    GreaterThan,
    /// Is not greater.
    LessOrEqual,
    /// Is not less.
    GreaterOrEqual,
    /// Has all items of one of the values selected.
    Includes,
    /// Has all items of none of the values selected.
    Excludes,
}

impl Operator {
    /// All of them, in the order in which a settings page lists them.
    pub const ALL: [Self; 11] = [
        Self::Equals,
        Self::NotEqual,
        Self::StartsWith,
        Self::Contains,
        Self::NotContain,
        Self::LessThan,
        Self::GreaterThan,
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Includes,
        Self::Excludes,
    ];

    /// The name in settings documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::NotEqual => "not_equal",
            Self::StartsWith => "starts_with",
            Self::Contains => "contains",
            Self::NotContain => "not_contain",
            Self::LessThan => "less_than",
            Self::GreaterThan => "greater_than",
            Self::LessOrEqual => "less_or_equal",
            Self::GreaterOrEqual => "greater_or_equal",
            Self::Includes => "includes",
            Self::Excludes => "excludes",
        }
    }

    /// The operator that this one is the negation of, if it is one.
    pub(super) const fn negated(self) -> Option<Self> {
        match self {
            Self::NotEqual => Some(Self::Equals),
            Self::NotContain => Some(Self::Contains),
            Self::Excludes => Some(Self::Includes),
            Self::Equals
            | Self::StartsWith
            | Self::Contains
            | Self::LessThan
            | Self::GreaterThan
            | Self::LessOrEqual
            | Self::GreaterOrEqual
            | Self::Includes => None,
        }
    }

    /// Whether a blank value means something to it.
    pub(super) const fn takes_blank(self) -> bool {
        matches!(self, Self::Equals | Self::NotEqual)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describe_types_are_known() {
        for (describe, expected) in [
            ("string", Some(FieldType::Text)),
            ("textarea", Some(FieldType::Text)),
            ("phone", Some(FieldType::Text)),
            ("email", Some(FieldType::Text)),
            ("url", Some(FieldType::Text)),
            ("combobox", Some(FieldType::Text)),
            ("encryptedstring", Some(FieldType::Text)),
            ("picklist", Some(FieldType::Picklist)),
            ("multipicklist", Some(FieldType::MultiPicklist)),
            ("boolean", Some(FieldType::Boolean)),
            ("int", Some(FieldType::Number)),
            ("long", Some(FieldType::Number)),
            ("double", Some(FieldType::Number)),
            ("currency", Some(FieldType::Currency)),
            ("percent", Some(FieldType::Percent)),
            ("date", Some(FieldType::Date)),
            ("datetime", Some(FieldType::DateTime)),
            ("time", Some(FieldType::Time)),
            ("id", Some(FieldType::Id)),
            ("reference", Some(FieldType::Reference)),
            ("address", None),
            ("location", None),
            ("base64", None),
            ("anyType", None),
            ("String", None),
        ] {
            assert_eq!(FieldType::of_describe(describe), expected, "{describe}");
        }
    }

    #[test]
    fn names_on_the_wire_are_those_shown() {
        for operator in Operator::ALL {
            assert_eq!(
                serde_json::to_string(&operator).unwrap(),
                format!("\"{operator}\"")
            );
        }
        assert_eq!(
            serde_json::to_string(&FieldType::MultiPicklist).unwrap(),
            "\"multi_picklist\""
        );
        assert_eq!(
            serde_json::to_string(&FieldType::DateTime).unwrap(),
            "\"date_time\""
        );
    }

    #[test]
    fn negations_come_with_their_positive_form() {
        let every_type = [
            FieldType::Text,
            FieldType::Picklist,
            FieldType::MultiPicklist,
            FieldType::Boolean,
            FieldType::Number,
            FieldType::Currency,
            FieldType::Percent,
            FieldType::Date,
            FieldType::DateTime,
            FieldType::Time,
            FieldType::Id,
            FieldType::Reference,
        ];
        for field_type in every_type {
            for operator in field_type.operators() {
                if let Some(positive) = operator.negated() {
                    assert!(
                        field_type.operators().contains(&positive),
                        "{field_type} {operator}"
                    );
                }
            }
        }
    }
}
