//! Mails as files, where there is no server to take them: any mail program opens them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use domain::notification::{Notice, Settled};

use crate::Letter;

/// So many are kept; the oldest go first.
const MOST: usize = 1_000;
const ENDING: &str = ".eml";

/// A folder of mails.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes the mail, whole or not at all. The same mail is the same file.
    pub(crate) fn put(&self, notice: &Notice, letter: &Letter) -> Settled {
        // Names sort by time.
        let time = notice.at.to_string().replace([':', '.'], "");
        let name = format!("{time}-{}{ENDING}", notice.id);
        match self.write(&name, letter) {
            Ok(()) => Settled::Sent(format!("written to {name}")),
            Err(error) => Settled::Later(format!(
                "{name} cannot be written into {} ({error}); make room, or correct the folder's rights or notify.folder",
                self.0.display()
            )),
        }
    }

    fn write(&self, name: &str, letter: &Letter) -> std::io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)?;
        let new = self.0.join(format!("{name}.new"));
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&letter.bytes)?;
        file.sync_all()?;
        std::fs::rename(&new, self.0.join(name))?;
        self.keep_the_newest()
    }

    fn keep_the_newest(&self) -> std::io::Result<()> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            if name.ends_with(ENDING) {
                names.push(name);
            }
        }
        names.sort_unstable();
        let too_many = names.len().saturating_sub(MOST);
        for name in names.into_iter().take(too_many) {
            std::fs::remove_file(self.0.join(name))?;
        }
        Ok(())
    }
}
