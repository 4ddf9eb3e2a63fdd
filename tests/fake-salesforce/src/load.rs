//! Records from a folder of CSV files, one an object.
use std::path::{Path, PathBuf};

use crate::commit::Row;
use crate::error::ApiError;
use crate::org::Org;
use crate::schema::{self, Entity};
use crate::transaction::Transaction;

/// The objects in the order in which their files are read: what is referred to comes first.
const ORDER: [&str; 15] = [
    "UserRole",
    "Profile",
    "User",
    "Account",
    "Contact",
    "Opportunity",
    "OpportunityContactRole",
    "PermissionSet",
    "PermissionSetGroup",
    "PermissionSetGroupComponent",
    "PermissionSetAssignment",
    "PermissionSetLicense",
    "PermissionSetLicenseAssign",
    "PackageLicense",
    "UserPackageLicense",
];

/// Why a folder could not be loaded; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The folder can not be read.
    #[error("cannot read the folder {path}: {source}; give a folder of CSV files")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no CSV.
    #[error("cannot read {path}: {source}; write it as CSV with a header line, in UTF-8")]
    File {
        /// The file.
        path: PathBuf,
        /// What the CSV reader said.
        source: csv::Error,
    },
    /// A file is not named after an object that can be loaded.
    #[error("{path} is not named after an object that can be loaded; rename or remove it")]
    Object {
        /// The file.
        path: PathBuf,
    },
    /// A record was refused.
    #[error("{path}, record {record}: {error}; correct the record")]
    Record {
        /// The file.
        path: PathBuf,
        /// Its number in the file, the first is 1.
        record: usize,
        /// Why.
        error: ApiError,
    },
}

impl Org {
    /// Loads every `<Object>.csv` of a folder in one transaction. Header: API field names; ids of
    /// 18 characters and audit fields are kept. `PermissionSetName` and `PermissionSetGroupName`
    /// stand for ids in the permission files, and name what is made when it is not there.
    ///
    /// # Errors
    /// The first file or record at fault; nothing is loaded then.
    pub fn load_dir(&self, dir: &Path) -> Result<(), LoadError> {
        let files = files(dir)?;
        let mut writer = self.writer();
        let at = self.now_micros();
        let written = {
            let state = self.state();
            let mut transaction = Transaction::trusted(&state, &mut writer, self.admin_id(), at);
            for (entity, path) in files {
                load_file(&mut transaction, entity, &path)?;
            }
            transaction.finish()
        };
        self.commit(&mut writer, at, self.admin_id(), "", written);
        Ok(())
    }
}

/// The folder's files in loading order.
fn files(dir: &Path) -> Result<Vec<(&'static Entity, PathBuf)>, LoadError> {
    let unreadable = |source| LoadError::Folder {
        path: dir.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_none_or(|extension| extension != "csv") {
            continue;
        }
        let name = path.file_stem().and_then(|stem| stem.to_str());
        let place = ORDER.iter().position(|known| Some(*known) == name);
        let entity = name.and_then(schema::entity);
        match (place, entity) {
            (Some(place), Some(entity)) => found.push((place, entity, path)),
            _ => return Err(LoadError::Object { path }),
        }
    }
    found.sort_by_key(|(place, _, _)| *place);
    let sorted = found.into_iter();
    Ok(sorted.map(|(_, entity, path)| (entity, path)).collect())
}

fn load_file(
    transaction: &mut Transaction<'_>,
    entity: &'static Entity,
    path: &Path,
) -> Result<(), LoadError> {
    let unreadable = |source| LoadError::File {
        path: path.to_owned(),
        source,
    };
    let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
    let header = reader.headers().map_err(unreadable)?.clone();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(unreadable)?;
        let fields = header.iter().zip(record.iter());
        load_record(transaction, entity, fields).map_err(|error| LoadError::Record {
            path: path.to_owned(),
            record: number + 1,
            error,
        })?;
    }
    Ok(())
}

fn load_record<'r>(
    transaction: &mut Transaction<'_>,
    entity: &'static Entity,
    fields: impl Iterator<Item = (&'r str, &'r str)>,
) -> Result<(), ApiError> {
    let mut row = Row::new();
    for (name, text) in fields {
        if text.is_empty() {
            continue;
        }
        let (name, text) = match name {
            "PermissionSetName" => ("PermissionSetId", transaction.permission_set(text)?),
            "PermissionSetGroupName" => (
                "PermissionSetGroupId",
                transaction.permission_set_group(text)?,
            ),
            _ => (name, text.to_owned()),
        };
        row.insert(name.to_owned(), text.into());
    }
    transaction.insert(entity, &row).map(|_| ())
}
