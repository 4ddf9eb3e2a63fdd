//! The pictures in `docs/screenshots`: every page that the tour looks at has one, the pages about the
//! console show each, and there are no others.

use std::collections::BTreeSet;
use std::path::Path;

use browser::tour::{EMPTY, FAILING, FULL};

#[test]
fn every_page_has_its_picture_and_the_documentation_shows_it() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let sights = [EMPTY, FULL, FAILING].concat();
    let pictures = sights.iter().flat_map(|sight| sight.pictures());
    let expected: BTreeSet<String> = pictures.map(|(_, file)| file).collect();
    let folder = std::fs::read_dir(docs.join("screenshots")).unwrap();
    let files: BTreeSet<String> = folder
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, expected, "docs/screenshots.sh makes them anew");
    let page = std::fs::read_to_string(docs.join("console.md")).unwrap();
    for file in &expected {
        assert!(
            page.contains(&format!("(screenshots/{file})")),
            "docs/console.md does not show {file}"
        );
    }
    for link in page.split("(screenshots/").skip(1) {
        let file = link.split(')').next().unwrap();
        assert!(
            expected.contains(file),
            "docs/console.md shows {file}, which is not there"
        );
    }
}
