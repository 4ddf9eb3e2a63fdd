//! CSV as bulk results have it, record by record out of pieces cut anywhere. Strict where a
//! lenient reader would take damage for data: quotes out of place, and an end inside a value.

use memchr::{memchr, memchr3};

/// The longest record. All long texts of an object together have at most 1.6 million characters.
const MAX_RECORD: usize = 8 * 1024 * 1024;
/// More columns than a query can have.
const MAX_COLUMNS: usize = 4_096;

/// Reads one record at a time.
#[derive(Debug, Default)]
pub(super) struct Reader {
    state: State,
    /// The values of the record without separators and quotes.
    bytes: Vec<u8>,
    /// Where each value ends in `bytes`.
    ends: Vec<usize>,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// Before a record, or after a complete one.
    #[default]
    Between,
    /// At the beginning of a value that follows a comma.
    Start,
    Plain,
    Quoted,
    /// After a quote inside a quoted value: its end, or half of a doubled one.
    Quote,
    /// After a carriage return.
    Return,
}

/// What is wrong with the text; it quotes none of it.
pub(super) type Malformed = &'static str;

/// A complete record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'reader> {
    text: &'reader str,
    ends: &'reader [usize],
}

impl Reader {
    /// Reads on to the end of a record: how many bytes that took, and whether it was reached.
    pub(super) fn read(&mut self, input: &[u8]) -> Result<(usize, bool), Malformed> {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            rest = match (self.state, byte) {
                // Blank lines are no records: a record's empty values are quoted.
                (State::Between, b'\n' | b'\r') => after,
                (State::Between, _) => {
                    self.bytes.clear();
                    self.ends.clear();
                    self.state = State::Start;
                    rest
                }
                (State::Start, b'"') => {
                    self.state = State::Quoted;
                    after
                }
                (State::Start | State::Plain | State::Quote, b',') => {
                    self.end_value()?;
                    self.state = State::Start;
                    after
                }
                (State::Start | State::Plain | State::Quote, b'\n') => {
                    self.end_value()?;
                    self.state = State::Between;
                    return Ok((input.len() - after.len(), true));
                }
                (State::Start | State::Plain | State::Quote, b'\r') => {
                    self.end_value()?;
                    self.state = State::Return;
                    after
                }
                (State::Return, b'\n') => {
                    self.state = State::Between;
                    return Ok((input.len() - after.len(), true));
                }
                (State::Return, _) => return Err("a carriage return ends no line"),
                (State::Quoted, b'"') => {
                    self.state = State::Quote;
                    after
                }
                (State::Quoted, _) => self.take(rest, memchr(b'"', rest))?,
                (State::Quote, b'"') => {
                    self.bytes.push(b'"');
                    self.state = State::Quoted;
                    after
                }
                (State::Quote, _) => return Err("a value goes on after its closing quote"),
                (State::Plain, b'"') => return Err("a quote stands inside a value without quotes"),
                (State::Start | State::Plain, _) => {
                    self.state = State::Plain;
                    let end = memchr3(b',', b'\n', b'"', rest);
                    let line = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
                    self.take(rest, memchr(b'\r', line).or(end))?
                }
            };
        }
        Ok((input.len(), false))
    }

    /// The input has ended: whether a last record stands without a line end.
    pub(super) fn finish(&mut self) -> Result<bool, Malformed> {
        match std::mem::take(&mut self.state) {
            State::Between => Ok(false),
            State::Quoted => Err("it ends inside a value"),
            State::Return => Ok(true),
            State::Start | State::Plain | State::Quote => self.end_value().map(|()| true),
        }
    }

    /// The record that was just read to its end.
    pub(super) fn record(&self) -> Result<Record<'_>, Malformed> {
        Ok(Record {
            text: std::str::from_utf8(&self.bytes).map_err(|_place| "it is not UTF-8")?,
            ends: &self.ends,
        })
    }

    /// Takes the bytes up to `end`, or all of them; what is left.
    fn take<'input>(
        &mut self,
        rest: &'input [u8],
        end: Option<usize>,
    ) -> Result<&'input [u8], Malformed> {
        let (taken, left) = rest.split_at(end.unwrap_or(rest.len()));
        if self.bytes.len() + taken.len() > MAX_RECORD {
            return Err("a row is longer than 8 MiB");
        }
        self.bytes.extend_from_slice(taken);
        Ok(left)
    }

    fn end_value(&mut self) -> Result<(), Malformed> {
        if self.ends.len() == MAX_COLUMNS {
            return Err("a row has more than 4,096 values");
        }
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

impl<'reader> Record<'reader> {
    /// How many values.
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    /// A value; `None` beyond the last, and for one that begins or ends within a character.
    pub(super) fn get(&self, place: usize) -> Option<&'reader str> {
        let start = match place.checked_sub(1) {
            None => 0,
            Some(before) => *self.ends.get(before)?,
        };
        self.text.get(start..*self.ends.get(place)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records, from pieces of that size.
    fn records(text: &[u8], piece: usize) -> Result<Vec<Vec<String>>, Malformed> {
        let mut reader = Reader::default();
        let mut records = Vec::new();
        let mut keep = |reader: &Reader| -> Result<(), Malformed> {
            let record = reader.record()?;
            records.push(
                (0..record.len())
                    .map(|place| record.get(place).map(str::to_owned).ok_or("cut"))
                    .collect::<Result<_, _>>()?,
            );
            Ok(())
        };
        for mut piece in text.chunks(piece) {
            while !piece.is_empty() {
                let (used, complete) = reader.read(piece)?;
                piece = &piece[used..];
                if complete {
                    keep(&reader)?;
                }
            }
        }
        if reader.finish()? {
            keep(&reader)?;
        }
        Ok(records)
    }

    #[test]
    fn records_are_the_same_however_the_pieces_are_cut() {
        let text = "\"Id\",\"Name\"\r\n\"1\",\"a \"\"b\"\"\nc,é\"\n\n2,\n\"\",\"\"\n\"3\",\"end\"";
        let expected = [
            ["Id", "Name"],
            ["1", "a \"b\"\nc,é"],
            ["2", ""],
            ["", ""],
            ["3", "end"],
        ];
        for piece in 1..text.len() {
            assert_eq!(
                records(text.as_bytes(), piece).unwrap(),
                expected,
                "{piece}"
            );
        }
    }

    #[test]
    fn damage_is_not_taken_for_data() {
        for text in [
            &b"\"a\"b,c\n"[..],
            b"a\"b\n",
            b"\"a",
            b"\"a\"\n\"b,c\n",
            b"a\rb\n",
            b"\"\xff\"\n",
            // A character cut by a comma.
            b"\"\xc3\",\"\xa9\"\n",
        ] {
            assert!(records(text, 3).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_quote_that_never_ends_does_not_fill_the_memory() {
        let mut reader = Reader::default();
        assert!(reader.read(b"\"").is_ok());
        let piece = vec![b'x'; 1024 * 1024];
        assert!((0..9).any(|_| reader.read(&piece).is_err()));
        assert!(Reader::default().read(&[b','; 5_000]).is_err());
    }
}
