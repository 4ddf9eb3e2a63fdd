//! The way in for the commands of the same machine: while a process holds an embedded folder, the
//! others reach its stores through its API. The process leaves its address and a token of its own
//! in the folder, in a file that only its own user can read. Whoever can read that file can read
//! the database beside it, so it gives nothing away.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file's name in the folder.
pub const FILE: &str = "console.json";

/// Where a process answers, and what it wants to hear.
#[derive(Clone, Serialize, Deserialize)]
pub struct Access {
    /// Its address.
    pub address: SocketAddr,
    /// Its token for the commands of this machine.
    pub token: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// The file, taken away when the process ends in order. One that was killed leaves it behind, and
/// then the folder is free, so nobody reads it.
#[derive(Debug)]
pub struct AccessFile(PathBuf);

impl AccessFile {
    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(folder: &Path, access: &Access) -> std::io::Result<Self> {
        let path = folder.join(FILE);
        let new = folder.join(format!("{FILE}.new"));
        // Made anew, so that it has these rights from its first byte on.
        match std::fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(access)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        Ok(Self(path))
    }
}

impl Drop for AccessFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "the access file was gone already");
        }
    }
}

/// Reads the file of a folder in use; `None` when there is none, or it is not whole.
#[must_use]
pub fn read(folder: &Path) -> Option<Access> {
    let text = std::fs::read(folder.join(FILE)).ok()?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_its_own_user_can_read_it_and_it_goes_with_the_process() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).is_none());
        let path = folder.path().join(FILE);
        // Left behind by a killed process, and open to everybody.
        std::fs::write(&path, "{").unwrap();
        std::fs::write(folder.path().join("console.json.new"), "{").unwrap();
        let access = Access {
            address: ([127, 0, 0, 1], 8090).into(),
            token: "t".to_owned(),
        };
        let file = AccessFile::write(folder.path(), &access).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let found = read(folder.path()).unwrap();
        assert!(!format!("{found:?}").contains("token"));
        assert_eq!((found.address, found.token), (access.address, access.token));
        drop(file);
        assert!(!path.exists());
    }
}
