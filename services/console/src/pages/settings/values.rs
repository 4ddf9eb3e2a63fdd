//! The values of a condition in one line, as list views take them: commas between them, quotes
//! around one that has a comma in it.

/// The values of a line; none for an empty one.
pub(super) fn read(line: &str) -> Vec<String> {
    if line.trim().is_empty() {
        return Vec::new();
    }
    let mut values = Vec::new();
    let mut rest = line;
    loop {
        let (value, behind) = first(rest);
        values.push(value);
        match behind {
            Some(behind) => rest = behind,
            None => return values,
        }
    }
}

/// The first value, and what is behind its comma.
fn first(line: &str) -> (String, Option<&str>) {
    let line = line.trim_start();
    if let Some(quoted) = line.strip_prefix('"')
        && let Some((value, behind)) = unquoted(quoted)
    {
        return (value, behind);
    }
    match line.split_once(',') {
        Some((value, behind)) => (value.trim().to_owned(), Some(behind)),
        None => (line.trim().to_owned(), None),
    }
}

/// A value up to the quote that ends it, two quotes standing for one; `None` where no quote ends it,
/// or something else than a comma is behind.
fn unquoted(quoted: &str) -> Option<(String, Option<&str>)> {
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let (before, behind) = rest.split_once('"')?;
        value.push_str(before);
        if let Some(behind) = behind.strip_prefix('"') {
            value.push('"');
            rest = behind;
            continue;
        }
        let behind = behind.trim_start();
        return match behind.strip_prefix(',') {
            Some(behind) => Some((value, Some(behind))),
            None if behind.is_empty() => Some((value, None)),
            None => None,
        };
    }
}

/// The line that is read as these values.
pub(super) fn write(values: &[String]) -> String {
    let written = values.iter().map(|value| {
        let is_plain =
            !value.is_empty() && !value.contains(['"', ',']) && value.trim() == value.as_str();
        if is_plain {
            value.clone()
        } else {
            format!("\"{}\"", value.replace('"', "\"\""))
        }
    });
    written.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_part_and_quotes_hold_together() {
        for (line, values) in [
            ("", &[][..]),
            ("  ", &[]),
            ("Acme", &["Acme"]),
            ("Acme, Globex", &["Acme", "Globex"]),
            ("\"Acme, Inc.\", Globex", &["Acme, Inc.", "Globex"]),
            ("Globex,  \"a \"\"b\"\"\" ", &["Globex", "a \"b\""]),
            ("5\" pipe, x", &["5\" pipe", "x"]),
            ("\"not ended, x", &["\"not ended", "x"]),
            ("a,", &["a", ""]),
            ("\"\"", &[""]),
        ] {
            assert_eq!(read(line), values, "{line}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let parts = [
            "", " ", "a", "\"", ",", "a, b", "\"a\"", " x ", "\"\"", "ä\",",
        ];
        for one in parts {
            for other in parts {
                let values = vec![one.to_owned(), other.to_owned()];
                assert_eq!(read(&write(&values)), values, "{values:?}");
            }
            let alone = vec![one.to_owned()];
            assert_eq!(read(&write(&alone)), alone, "{alone:?}");
        }
    }
}
