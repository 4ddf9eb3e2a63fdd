//! Topic names and what they carry.

/// A topic that can be subscribed to. Names are case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// `/data/ChangeEvents` or a custom channel `/data/<Name>__chn`: every captured object.
    All,
    /// `/data/<Entity>ChangeEvent`: one object.
    One(String),
}

impl Topic {
    /// The topic of this name; `captured` tells which objects have change events.
    pub(crate) fn parse(name: &str, captured: impl Fn(&str) -> bool) -> Option<Topic> {
        let name = name.strip_prefix("/data/")?;
        if name == "ChangeEvents" {
            return Some(Topic::All);
        }
        if let Some(channel) = name.strip_suffix("__chn") {
            return is_developer_name(channel).then_some(Topic::All);
        }
        let entity = name.strip_suffix("ChangeEvent")?;
        captured(entity).then(|| Topic::One(entity.to_owned()))
    }

    /// Whether events of this object are on the topic.
    pub(crate) fn carries(&self, entity: &str) -> bool {
        match self {
            Topic::All => true,
            Topic::One(only) => only == entity,
        }
    }
}

fn is_developer_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_to_the_letter() {
        let parse = |name: &str| Topic::parse(name, |entity| entity == "Account");
        assert_eq!(parse("/data/ChangeEvents"), Some(Topic::All));
        assert_eq!(parse("/data/Sales_mOS__chn"), Some(Topic::All));
        assert_eq!(
            parse("/data/AccountChangeEvent"),
            Some(Topic::One("Account".to_owned()))
        );
        for unknown in [
            "/data/changeevents",
            "/data/accountChangeEvent",
            "/data/LeadChangeEvent",
            "/data/__chn",
            "/data/a b__chn",
            "/event/Order__e",
            "ChangeEvents",
        ] {
            assert_eq!(parse(unknown), None, "{unknown}");
        }
    }
}
