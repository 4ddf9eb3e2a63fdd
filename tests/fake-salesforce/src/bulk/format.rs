//! What a job's CSV looks like.
use serde::{Deserialize, Serialize};

use crate::soql::RowStyle;

/// Between two values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Delimiter {
    #[default]
    Comma,
    Tab,
    Semicolon,
    Pipe,
    Caret,
    Backquote,
}

/// Between two rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum LineEnding {
    #[default]
    Lf,
    Crlf,
}

/// Both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) delimiter: Delimiter,
    pub(crate) line_ending: LineEnding,
}

impl Delimiter {
    pub(crate) fn byte(self) -> u8 {
        match self {
            Delimiter::Comma => b',',
            Delimiter::Tab => b'\t',
            Delimiter::Semicolon => b';',
            Delimiter::Pipe => b'|',
            Delimiter::Caret => b'^',
            Delimiter::Backquote => b'`',
        }
    }
}

impl LineEnding {
    pub(crate) fn bytes(self) -> &'static [u8] {
        match self {
            LineEnding::Lf => b"\n",
            LineEnding::Crlf => b"\r\n",
        }
    }
}

impl Format {
    pub(crate) fn style(self) -> RowStyle {
        RowStyle {
            delimiter: self.delimiter.byte(),
            line_end: self.line_ending.bytes(),
        }
    }

    /// A row of texts, every one quoted.
    pub(crate) fn row<'t>(self, texts: impl IntoIterator<Item = &'t str>) -> Vec<u8> {
        let mut row = Vec::new();
        for (place, text) in texts.into_iter().enumerate() {
            if place > 0 {
                row.push(self.delimiter.byte());
            }
            row.push(b'"');
            row.extend_from_slice(text.replace('"', "\"\"").as_bytes());
            row.push(b'"');
        }
        row.extend_from_slice(self.line_ending.bytes());
        row
    }
}
