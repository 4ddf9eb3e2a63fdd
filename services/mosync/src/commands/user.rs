//! Who runs a command.

/// The name of the operating system's user, whatever the environment says; `uid N` where the system
/// has no name for it.
pub(super) fn name() -> Option<String> {
    let uid = rustix::process::getuid().as_raw();
    let known = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    Some(name_in(&known, uid).unwrap_or_else(|| format!("uid {uid}")))
}

/// The name in a table of users (passwd(5)): `name:password:uid:...`.
fn name_in(table: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    table.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next().filter(|name| !name.is_empty())?;
        (parts.nth(1) == Some(uid.as_str())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_its_number() {
        let table =
            "root:x:0:0:root:/root:/bin/sh\n:x:7:7::/:\nada:x:1000:1000::/var/ada:/bin/sh\n";
        assert_eq!(name_in(table, 1000).as_deref(), Some("ada"));
        assert_eq!(name_in(table, 0).as_deref(), Some("root"));
        assert_eq!(name_in(table, 7), None);
        assert_eq!(name_in(table, 100), None);
    }
}
