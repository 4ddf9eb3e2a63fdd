//! Writes change events as raw Avro binary: no container, no marker, no fingerprint.
use serde_json::Value;

use super::schema::Scalar;

/// A value that may be absent.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum {
    /// Absent.
    Null,
    /// Avro string.
    Text(String),
    /// Avro boolean.
    Boolean(bool),
    /// Avro int or long; both are written alike.
    Integer(i64),
    /// Avro double.
    Double(f64),
    /// Avro array of strings.
    Texts(Vec<String>),
    /// Avro record, every part of it optional.
    Record(Vec<Datum>),
    /// The name of a person account: a record as the third branch of its union.
    Person(Vec<Datum>),
}

/// A row's value does not fit the event's type for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value does not fit the event schema's type {0:?}; a gap event stands in for it")]
pub struct Misfit(pub Scalar);

/// Turns a value of the REST API into one of the event; an empty text is absent, as in a row.
///
/// # Errors
/// [`Misfit`] where the value is of another kind, no date, or out of range.
pub fn datum(scalar: Scalar, value: &Value) -> Result<Datum, Misfit> {
    let fits = match (scalar, value) {
        (_, Value::Null) => Some(Datum::Null),
        (Scalar::Text, Value::String(text)) if text.is_empty() => Some(Datum::Null),
        (Scalar::Text, Value::String(text)) => Some(Datum::Text(text.clone())),
        (Scalar::Boolean, Value::Bool(on)) => Some(Datum::Boolean(*on)),
        (Scalar::Integer, Value::Number(number)) => integer(number).map(Datum::Integer),
        (Scalar::Double, Value::Number(number)) => number.as_f64().map(Datum::Double),
        (Scalar::DateTime, Value::String(text)) => datetime_ms(text).map(Datum::Integer),
        (Scalar::DateOnly, Value::String(text)) => date_ms(text).map(Datum::Integer),
        _ => None,
    };
    fits.ok_or(Misfit(scalar))
}

/// A number that is an Avro int; `80381.0` is one too.
fn integer(number: &serde_json::Number) -> Option<i64> {
    let whole = number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "only taken when the fraction is zero; the range is checked below"
        )]
        (float.fract() == 0.0).then_some(float as i64)
    })?;
    i32::try_from(whole).ok().map(i64::from)
}

/// `2026-01-01T00:00:00.000+0000`, or with `Z`, in milliseconds since the epoch.
fn datetime_ms(text: &str) -> Option<i64> {
    let stamp: jiff::Timestamp = text.parse().ok()?;
    Some(stamp.as_millisecond())
}

/// `2026-01-01` in milliseconds since the epoch at 00:00 UTC.
fn date_ms(text: &str) -> Option<i64> {
    let date: jiff::civil::Date = text.parse().ok()?;
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp().as_millisecond())
}

/// Writes Avro binary.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// An int or a long: zig-zag, seven bits a byte, least significant first.
    pub fn integer(&mut self, value: i64) {
        let mut rest = value.cast_unsigned() << 1 ^ (value >> 63).cast_unsigned();
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.out.push(low & 0x7f);
                return;
            }
            self.out.push(low | 0x80);
        }
    }

    /// A string: its length in bytes, its bytes.
    pub fn text(&mut self, text: &str) {
        self.length(text.len());
        self.out.extend_from_slice(text.as_bytes());
    }

    /// An array of strings: one block unless it is empty, then the empty block that ends it.
    pub fn texts(&mut self, texts: &[String]) {
        if !texts.is_empty() {
            self.length(texts.len());
            texts.iter().for_each(|text| self.text(text));
        }
        self.integer(0);
    }

    /// An optional value: the branch of its union, then the value.
    ///
    /// Every union here has null first and the branch in use second, but for a person account's
    /// name: there the record is third, after the string of business accounts.
    pub fn optional(&mut self, datum: &Datum) {
        let branch = match datum {
            Datum::Null => 0,
            Datum::Person(_) => 2,
            Datum::Text(_)
            | Datum::Boolean(_)
            | Datum::Integer(_)
            | Datum::Double(_)
            | Datum::Texts(_)
            | Datum::Record(_) => 1,
        };
        self.integer(branch);
        match datum {
            Datum::Null => {}
            Datum::Text(text) => self.text(text),
            Datum::Boolean(on) => self.out.push(u8::from(*on)),
            Datum::Integer(value) => self.integer(*value),
            Datum::Double(value) => self.out.extend_from_slice(&value.to_le_bytes()),
            Datum::Texts(texts) => self.texts(texts),
            Datum::Record(parts) | Datum::Person(parts) => {
                parts.iter().for_each(|part| self.optional(part))
            }
        }
    }

    fn length(&mut self, length: usize) {
        self.integer(i64::try_from(length).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(datum: &Datum) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.optional(datum);
        writer.into_bytes()
    }

    #[test]
    fn integers_are_zig_zag() {
        let cases: [(i64, &[u8]); 7] = [
            (0, &[0]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7f]),
            (64, &[0x80, 0x01]),
            (1_767_225_600_000, &[0x80, 0xa0, 0xd5, 0xed, 0xee, 0x66]),
            (
                i64::MIN,
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            ),
        ];
        for (value, bytes) in cases {
            let mut writer = Writer::default();
            writer.integer(value);
            assert_eq!(writer.into_bytes(), bytes, "{value}");
        }
    }

    #[test]
    fn optional_values_name_their_branch() {
        assert_eq!(written(&Datum::Null), [0]);
        assert_eq!(written(&Datum::Boolean(true)), [2, 1]);
        assert_eq!(written(&Datum::Text("ä".to_owned())), [2, 4, 0xc3, 0xa4]);
        assert_eq!(written(&Datum::Double(0.0)), [2, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(written(&Datum::Texts(Vec::new())), [2, 0]);
        let record = Datum::Record(vec![Datum::Null, Datum::Text("a".to_owned())]);
        assert_eq!(written(&record), [2, 0, 2, 2, b'a']);
    }

    #[test]
    fn values_of_a_row_become_values_of_an_event() {
        let cases = [
            (Scalar::Text, json!("a"), Datum::Text("a".to_owned())),
            (Scalar::Text, json!(""), Datum::Null),
            (Scalar::Integer, json!(80381.0), Datum::Integer(80_381)),
            (Scalar::Double, json!(75), Datum::Double(75.0)),
            (
                Scalar::DateOnly,
                json!("2022-05-31"),
                Datum::Integer(1_653_955_200_000),
            ),
            (
                Scalar::DateTime,
                json!("2026-01-01T00:00:00.000+0000"),
                Datum::Integer(1_767_225_600_000),
            ),
            (
                Scalar::DateTime,
                json!("2026-01-01T00:00:00Z"),
                Datum::Integer(1_767_225_600_000),
            ),
            (Scalar::Boolean, json!(null), Datum::Null),
        ];
        for (scalar, value, expected) in cases {
            assert_eq!(datum(scalar, &value), Ok(expected), "{value}");
        }
        let misfits = [
            (Scalar::Integer, json!(3_000_000_000_i64)),
            (Scalar::Integer, json!(1.5)),
            (Scalar::Double, json!("1")),
            (Scalar::DateOnly, json!("yesterday")),
            (Scalar::Text, json!(1)),
        ];
        for (scalar, value) in misfits {
            assert_eq!(datum(scalar, &value), Err(Misfit(scalar)), "{value}");
        }
    }
}
