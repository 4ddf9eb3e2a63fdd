//! Mails as files, where there is no server to take them: any mail program opens them.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use domain::notification::{Notice, Settled};

use crate::Letter;

/// So many are kept; the oldest go first.
const MOST: usize = 1_000;
const ENDING: &str = ".eml";
/// No mail of ours is longer, in bytes.
const LONGEST: u64 = 1_000_000;

/// A folder of mails.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Writes the mail, whole or not at all. The same mail is the same file.
    pub(crate) fn put(&self, notice: &Notice, letter: &Letter) -> Settled {
        let name = name_of(notice);
        match self.write(&name, letter) {
            Ok(()) => Settled::Sent(format!("written to {name}")),
            Err(error) => Settled::Later(format!(
                "{name} cannot be written into {} ({error}); make room, or correct the folder's rights or notify.folder",
                self.0.display()
            )),
        }
    }

    /// The mail of this notice, with the name of its file, where it lies here.
    ///
    /// # Errors
    /// A sentence, when it cannot be read.
    pub(crate) fn get(&self, notice: &Notice) -> Result<Option<(String, Vec<u8>)>, String> {
        let name = name_of(notice);
        let file = match std::fs::File::open(self.0.join(&name)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&name, &error)),
        };
        let mut bytes = Vec::new();
        match file.take(LONGEST).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some((name, bytes))),
            Err(error) => Err(unreadable(&name, &error)),
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

/// Names sort by time. An id that is none of ours is cut to what a name may hold, so that it leads
/// nowhere else.
fn name_of(notice: &Notice) -> String {
    let time = notice.at.to_string().replace([':', '.'], "");
    let is_plain = |char: &char| char.is_ascii_alphanumeric() || *char == '-';
    let id: String = notice.id.chars().filter(is_plain).collect();
    format!("{time}-{id}{ENDING}")
}

fn unreadable(name: &str, error: &std::io::Error) -> String {
    format!(
        "the mail {name} cannot be read ({error}); correct the rights of the folder of mails (notify.folder)"
    )
}
