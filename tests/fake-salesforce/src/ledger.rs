//! The ledger of transactions: a file that grows, and where in it each commit begins.
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::commit::{ChangeKind, Commit, RowChange};
use crate::record::{Reader, Record, push_number, push_signed};
use crate::schema;

/// A file that is only appended to. Without a folder it has no name and goes with the process,
/// however that ends.
pub(crate) struct Appended {
    file: File,
    end: Mutex<u64>,
}

impl Appended {
    /// An empty file `name` in the folder, or one in the system's folder for temporary files.
    pub(crate) fn new(folder: Option<&Path>, name: &str) -> io::Result<Self> {
        let file = match folder {
            Some(folder) => {
                std::fs::create_dir_all(folder)?;
                let mut options = File::options();
                let options = options.read(true).write(true).create(true).truncate(true);
                options.open(folder.join(name))?
            }
            None => tempfile::tempfile()?,
        };
        Ok(Appended {
            file,
            end: Mutex::new(0),
        })
    }

    /// Writes at the end and says where that was.
    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let start = *end;
        self.file.write_all_at(bytes, start)?;
        *end += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Ok(start)
    }

    pub(crate) fn read(&self, start: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, start)?;
        Ok(bytes)
    }

    pub(crate) fn end(&self) -> u64 {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transactions of an org, on disk. In memory are eight bytes for each.
pub(crate) struct Ledger {
    file: Appended,
    starts: Mutex<Vec<u64>>,
}

impl Ledger {
    pub(crate) fn new(folder: Option<&Path>) -> io::Result<Self> {
        Ok(Ledger {
            file: Appended::new(folder, "commits")?,
            starts: Mutex::default(),
        })
    }

    pub(crate) fn push(&self, commit: &Commit) -> io::Result<()> {
        let start = self.file.append(&written(commit))?;
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        starts.push(start);
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        let starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        starts.len()
    }

    /// The commit at an index; `None` where there is none yet.
    pub(crate) fn get(&self, index: usize) -> Option<Commit> {
        let (start, end) = {
            let starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            let end = starts.get(index + 1).copied();
            (*starts.get(index)?, end)
        };
        let end = end.unwrap_or_else(|| self.file.end());
        let length = usize::try_from(end.checked_sub(start)?).ok()?;
        let bytes = self.file.read(start, length);
        let read = bytes.ok().and_then(|bytes| read(&bytes));
        if read.is_none() {
            tracing::error!(index, "a commit of the ledger can not be read back");
        }
        read
    }
}

fn written(commit: &Commit) -> Vec<u8> {
    let mut bytes = Vec::new();
    push_signed(&mut bytes, commit.number);
    push_text(&mut bytes, &commit.transaction_key);
    push_signed(&mut bytes, commit.at_micros);
    push_signed(&mut bytes, commit.stamp_ms);
    push_text(&mut bytes, &commit.user);
    push_text(&mut bytes, &commit.origin);
    for changes in [&commit.changes, &commit.silent] {
        push_length(&mut bytes, changes.len());
        changes
            .iter()
            .for_each(|change| push_change(&mut bytes, change));
    }
    bytes
}

fn read(bytes: &[u8]) -> Option<Commit> {
    let mut reader = Reader {
        packed: bytes,
        place: 0,
    };
    Some(Commit {
        number: reader.signed()?,
        transaction_key: reader.text()?.to_owned(),
        at_micros: reader.signed()?,
        stamp_ms: reader.signed()?,
        user: reader.text()?.to_owned(),
        origin: reader.text()?.to_owned(),
        changes: changes(&mut reader)?,
        silent: changes(&mut reader)?,
    })
}

fn changes(reader: &mut Reader<'_>) -> Option<Vec<RowChange>> {
    let count = reader.length()?;
    (0..count).map(|_| change(reader)).collect()
}

fn push_change(bytes: &mut Vec<u8>, change: &RowChange) {
    bytes.push(match change.kind {
        ChangeKind::Create => 0,
        ChangeKind::Update => 1,
        ChangeKind::Delete => 2,
        ChangeKind::Undelete => 3,
    });
    push_record(bytes, &change.after);
    match &change.before {
        Some(before) => {
            bytes.push(1);
            push_record(bytes, before);
        }
        None => bytes.push(0),
    }
    push_length(bytes, change.changed.len());
    for field in &change.changed {
        let position = change.after.entity().position(field);
        push_length(bytes, position.unwrap_or(usize::MAX));
    }
}

fn change(reader: &mut Reader<'_>) -> Option<RowChange> {
    let kind = match reader.byte()? {
        0 => ChangeKind::Create,
        1 => ChangeKind::Update,
        2 => ChangeKind::Delete,
        _ => ChangeKind::Undelete,
    };
    let after = record(reader)?;
    let before = match reader.byte()? {
        0 => None,
        _ => Some(record(reader)?),
    };
    let count = reader.length()?;
    let changed = (0..count)
        .map(|_| {
            let position = reader.length()?;
            let field = after.entity().fields.get(position);
            Some(field.map(|field| field.name.to_owned()).unwrap_or_default())
        })
        .collect::<Option<_>>()?;
    Some(RowChange {
        entity: after.entity().name.to_owned(),
        id: after.id().to_owned(),
        kind,
        before,
        after,
        changed,
    })
}

fn push_record(bytes: &mut Vec<u8>, record: &Record) {
    push_length(bytes, record.entity().version());
    push_length(bytes, record.packed().len());
    bytes.extend(record.packed());
}

fn record(reader: &mut Reader<'_>) -> Option<Record> {
    let entity = schema::by_version(reader.length()?)?;
    let length = reader.length()?;
    Some(Record::from_packed(entity, reader.bytes(length)?))
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    push_length(bytes, text.len());
    bytes.extend(text.as_bytes());
}

fn push_length(bytes: &mut Vec<u8>, length: usize) {
    push_number(bytes, u64::try_from(length).unwrap_or(u64::MAX));
}

/// A range of the ledger, read commit by commit.
pub struct History {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) next: usize,
    pub(crate) end: usize,
}

impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("History")
            .field("next", &self.next)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl Iterator for History {
    type Item = Commit;

    fn next(&mut self) -> Option<Commit> {
        if self.next >= self.end {
            return None;
        }
        self.next += 1;
        self.ledger.get(self.next - 1)
    }
}
