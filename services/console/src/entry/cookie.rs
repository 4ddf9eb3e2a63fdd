//! The console's cookies.
//!
//! `__Host-` ties a cookie to this very host and to https, so that no neighbour can plant one. Within a
//! frame of another site browsers only keep cookies that are `SameSite=None` and, increasingly,
//! `Partitioned`: of this site within that one.

use http::{HeaderMap, HeaderValue, header};

/// How cookies are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookies {
    /// Over https alone; not on plain http of this machine.
    pub(crate) secure: bool,
    /// Within a frame of another site.
    pub(crate) framed: bool,
}

/// Which cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// Who somebody is.
    Session,
    /// A sign-in that was begun in this browser.
    SignIn,
    /// A frame that waits for a sign-in in a window of its own.
    Frame,
}

impl Cookie {
    const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-mosync",
            (Self::Session, false) => "mosync",
            (Self::SignIn, true) => "__Host-mosync-sign-in",
            (Self::SignIn, false) => "mosync-sign-in",
            (Self::Frame, true) => "__Host-mosync-frame",
            (Self::Frame, false) => "mosync-frame",
        }
    }
}

impl Cookies {
    /// The session's id; what is not of its form is none.
    pub(crate) fn session(self, headers: &HeaderMap) -> Option<String> {
        let is_id = |id: &String| id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.get(Cookie::Session, headers).filter(is_id)
    }

    /// A cookie's value.
    pub(crate) fn get(self, cookie: Cookie, headers: &HeaderMap) -> Option<String> {
        let name = cookie.name(self.secure);
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.to_owned())
    }

    /// The header that sets a cookie until the browser ends. Its value has no characters that mean
    /// something to a header.
    pub(crate) fn set(self, cookie: Cookie, value: &str) -> Option<HeaderValue> {
        self.line(cookie, value, "")
    }

    /// The header that sets a cookie for so many seconds.
    pub(crate) fn set_for(self, cookie: Cookie, value: &str, seconds: u32) -> Option<HeaderValue> {
        self.line(cookie, value, &format!("; Max-Age={seconds}"))
    }

    /// The header that takes a cookie away.
    pub(crate) fn clear(self, cookie: Cookie) -> Option<HeaderValue> {
        self.line(cookie, "", "; Max-Age=0")
    }

    fn line(self, cookie: Cookie, value: &str, life: &str) -> Option<HeaderValue> {
        let site = match (self.secure, self.framed) {
            (_, true) => "; Secure; SameSite=None; Partitioned",
            (true, false) => "; Secure; SameSite=Lax",
            (false, false) => "; SameSite=Lax",
        };
        let name = cookie.name(self.secure);
        HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly{life}{site}")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_as_narrow_as_the_place_allows() {
        let line = |secure, framed| {
            let cookies = Cookies { secure, framed };
            let line = cookies.set(Cookie::Session, "x").unwrap();
            line.to_str().unwrap().to_owned()
        };
        assert_eq!(
            line(true, false),
            "__Host-mosync=x; Path=/; HttpOnly; Secure; SameSite=Lax"
        );
        assert_eq!(
            line(false, false),
            "mosync=x; Path=/; HttpOnly; SameSite=Lax"
        );
        assert_eq!(
            line(true, true),
            "__Host-mosync=x; Path=/; HttpOnly; Secure; SameSite=None; Partitioned"
        );
    }

    #[test]
    fn a_session_is_found_among_other_cookies_and_nothing_else_is_one() {
        let cookies = Cookies {
            secure: true,
            framed: false,
        };
        let id = "a".repeat(64);
        let found = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, HeaderValue::from_str(line).unwrap());
            cookies.session(&headers)
        };
        assert_eq!(
            found(&format!("a=b; __Host-mosync={id}; c=d")),
            Some(id.clone())
        );
        for line in [
            format!("mosync={id}"),
            format!("x__Host-mosync={id}"),
            format!("__Host-mosync={id}0"),
            "__Host-mosync=".to_owned(),
            format!("__Host-mosync={}", "g".repeat(64)),
        ] {
            assert_eq!(found(&line), None, "{line}");
        }
    }
}
