//! Rows on disk: written once from front to back, read in any order.
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

/// The place of every so many-th row is remembered; those between are found by reading.
const ROWS_PER_MARK: u64 = 64;

/// Bytes read at once.
pub(crate) const CHUNK: usize = 64 * 1024;

/// A spool being written.
pub(crate) struct Writer {
    file: BufWriter<File>,
    marks: Vec<u64>,
    rows: u64,
    bytes: u64,
}

/// CSV rows in an unnamed file of the system's temporary folder: gone with the process, however
/// that ends.
pub(crate) struct Spool {
    file: File,
    marks: Vec<u64>,
    rows: u64,
    bytes: u64,
}

impl Writer {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Writer {
            file: BufWriter::with_capacity(CHUNK, tempfile::tempfile()?),
            marks: Vec::new(),
            rows: 0,
            bytes: 0,
        })
    }

    /// Takes one row with its line end.
    pub(crate) fn push(&mut self, row: &[u8]) -> io::Result<()> {
        if self.rows.is_multiple_of(ROWS_PER_MARK) {
            self.marks.push(self.bytes);
        }
        self.file.write_all(row)?;
        self.rows += 1;
        self.bytes += u64::try_from(row.len()).unwrap_or_default();
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<Spool> {
        let file = self.file.into_inner().map_err(|error| error.into_error())?;
        Ok(Spool {
            file,
            marks: self.marks,
            rows: self.rows,
            bytes: self.bytes,
        })
    }
}

impl Spool {
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where a row begins; for the number of rows and above, the end.
    pub(crate) fn offset(&self, row: u64) -> io::Result<u64> {
        if row >= self.rows {
            return Ok(self.bytes);
        }
        let mark = usize::try_from(row / ROWS_PER_MARK).unwrap_or(usize::MAX);
        let mut offset = self.marks.get(mark).copied().unwrap_or(self.bytes);
        let mut left = row % ROWS_PER_MARK;
        let mut buffer = vec![0; CHUNK];
        let mut quoted = false;
        while left > 0 {
            let read = self.file.read_at(&mut buffer, offset)?;
            if read == 0 {
                return Ok(self.bytes);
            }
            for byte in buffer.iter().take(read) {
                offset += 1;
                match byte {
                    b'"' => quoted = !quoted,
                    b'\n' if !quoted => left -= 1,
                    _ => {}
                }
                if left == 0 {
                    break;
                }
            }
        }
        Ok(offset)
    }

    /// Hands the bytes from `start` to `end` on, in pieces.
    pub(crate) fn copy(&self, start: u64, end: u64, to: &mut dyn Write) -> io::Result<()> {
        let mut buffer = vec![0; CHUNK];
        let mut offset = start;
        while offset < end {
            let wanted = usize::try_from(end - offset).unwrap_or(CHUNK).min(CHUNK);
            let piece = buffer.get_mut(..wanted).unwrap_or_default();
            self.file.read_exact_at(piece, offset)?;
            to.write_all(piece)?;
            offset += u64::try_from(wanted).unwrap_or_default();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_whatever_is_in_it() {
        let mut writer = Writer::new().unwrap();
        let rows: Vec<String> = (0..300)
            .map(|number| {
                let long = "x".repeat(if number % 90 == 7 { 70_000 } else { number });
                format!("\"{number}\",\"line\n\"\"two\"\"\r\n{long}\"\r\n")
            })
            .collect();
        for row in &rows {
            writer.push(row.as_bytes()).unwrap();
        }
        let spool = writer.finish().unwrap();
        assert_eq!(spool.rows(), 300);
        let mut expected = 0;
        for (number, row) in (0..).zip(&rows) {
            assert_eq!(spool.offset(number).unwrap(), expected);
            expected += u64::try_from(row.len()).unwrap();
        }
        assert_eq!(spool.offset(300).unwrap(), expected);
        assert_eq!(spool.bytes(), expected);
        let mut all = Vec::new();
        spool.copy(0, expected, &mut all).unwrap();
        assert_eq!(String::from_utf8(all).unwrap(), rows.concat());
    }
}
