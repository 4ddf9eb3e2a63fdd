//! Makes the pictures of every page anew; `docs/screenshots.sh` runs it. It is no test.
#![expect(clippy::unwrap_used, reason = "a tool of the tests")]

use std::path::{Path, PathBuf};

use browser::Browser;
use browser::tour::{self, Sight};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_mosync");
/// No picture is higher: what lies below looks like what is seen.
const HIGHEST: u32 = 2_400;

async fn picture(folder: &Path, browser: &Browser, sight: Sight) {
    for (width, file) in sight.pictures() {
        let picture = browser.picture(width, HIGHEST).await;
        std::fs::write(folder.join(file), picture).unwrap();
    }
    browser.size(1440, 900).await;
}

#[tokio::main]
async fn main() {
    let folder = std::env::vars_os().find(|(name, _)| name == "MOSYNC_SCREENSHOTS");
    let folder = folder.map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots"),
        |(_, folder)| PathBuf::from(folder),
    );
    std::fs::create_dir_all(&folder).unwrap();
    let look = async |browser: &Browser, sight: Sight| picture(&folder, browser, sight).await;
    tour::empty(EXECUTABLE, look).await;
    tour::full(EXECUTABLE, look).await;
    tour::failing(EXECUTABLE, look).await;
}
