//! Conditions joined by AND and OR.

/// A condition of SOQL without NOT above its leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    True,
    False,
    Leaf(String),
    All(Vec<Tree>),
    Any(Vec<Tree>),
}

impl Tree {
    pub(super) fn all(parts: Vec<Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::True => {}
                Self::False => return Self::False,
                Self::All(inner) => kept.extend(inner),
                part @ (Self::Leaf(_) | Self::Any(_)) => kept.push(part),
            }
        }
        Self::one_or(kept, Self::All, Self::True)
    }

    pub(super) fn any(parts: Vec<Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::False => {}
                Self::True => return Self::True,
                Self::Any(inner) => kept.extend(inner),
                part @ (Self::Leaf(_) | Self::All(_)) => kept.push(part),
            }
        }
        Self::one_or(kept, Self::Any, Self::False)
    }

    fn one_or(mut kept: Vec<Self>, many: fn(Vec<Self>) -> Self, none: Self) -> Self {
        match (kept.pop(), kept.is_empty()) {
            (None, _) => none,
            (Some(only), true) => only,
            (Some(last), false) => {
                kept.push(last);
                many(kept)
            }
        }
    }

    /// As it can stand beside an AND; `None` for what always holds.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        match self {
            Self::True => None,
            // No record is without an id.
            Self::False => Some(format!("{path}Id = null")),
            Self::Leaf(text) => Some(text.clone()),
            Self::All(parts) => Some(joined(parts, path, " AND ")),
            Self::Any(parts) => Some(format!("({})", joined(parts, path, " OR "))),
        }
    }
}

fn joined(parts: &[Tree], path: &str, word: &str) -> String {
    let part = |part: &Tree| match (part, part.text(path)) {
        (Tree::All(_), Some(text)) => Some(format!("({text})")),
        (_, text) => text,
    };
    parts.iter().filter_map(part).collect::<Vec<_>>().join(word)
}
