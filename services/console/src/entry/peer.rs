//! Where a request came from.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;
use http::{Extensions, HeaderMap};
use runtime::config::Network;

use super::Console;

/// What proxies write down.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address that a request came from, in words.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) String);

impl Peer {
    pub(super) fn of(console: &Console, extensions: &Extensions, headers: &HeaderMap) -> Self {
        let socket = extensions.get::<ConnectInfo<SocketAddr>>();
        let socket = socket.map(|ConnectInfo(address)| address.ip());
        let address = socket.map(|socket| behind(&console.proxies, socket, headers));
        Self(address.map_or_else(|| "nobody".to_owned(), |address| address.to_string()))
    }
}

impl FromRequestParts<Console> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Console,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::of(console, &parts.extensions, &parts.headers))
    }
}

/// The right-most address that is not a proxy's of ours. What stands left of it anybody may have
/// written, so nobody can choose where they come from.
fn behind(proxies: &[Network], socket: IpAddr, headers: &HeaderMap) -> IpAddr {
    let lines = headers.get_all(FORWARDED_FOR).iter();
    let hops: Vec<&str> = lines
        .flat_map(|line| line.to_str().unwrap_or("?").split(','))
        .collect();
    let mut address = socket.to_canonical();
    for hop in hops.iter().rev() {
        if !proxies.iter().any(|proxy| proxy.contains(address)) {
            break;
        }
        let Some(before) = read(hop.trim()) else {
            break;
        };
        address = before.to_canonical();
    }
    address
}

/// An address, as some proxies write it with its port.
fn read(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    let with_port = || hop.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(proxies: &[&str], socket: &str, lines: &[&str]) -> String {
        let proxies: Vec<Network> = proxies.iter().map(|it| it.parse().unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        behind(&proxies, socket.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_say_where_somebody_comes_from() {
        let own = ["10.0.0.0/8", "fd00::/8"];
        for (socket, lines, from) in [
            ("203.0.113.9", &["192.0.2.1"][..], "203.0.113.9"),
            ("10.1.2.3", &["192.0.2.1"], "192.0.2.1"),
            ("::ffff:10.1.2.3", &["192.0.2.1"], "192.0.2.1"),
            // Whatever is left of it, the client has written.
            ("10.1.2.3", &["198.51.100.7, 192.0.2.1"], "192.0.2.1"),
            ("10.1.2.3", &["198.51.100.7", "192.0.2.1"], "192.0.2.1"),
            ("10.1.2.3", &["10.9.9.9, 192.0.2.1, 10.4.4.4"], "192.0.2.1"),
            ("10.1.2.3", &["192.0.2.1:4711"], "192.0.2.1"),
            ("fd00::1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("fd00::1", &["2001:db8::7"], "2001:db8::7"),
            // What is no address is not passed over.
            ("10.1.2.3", &["192.0.2.1, unknown"], "10.1.2.3"),
            ("10.1.2.3", &["192.0.2.1,"], "10.1.2.3"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["10.4.4.4"], "10.4.4.4"),
        ] {
            assert_eq!(seen(&own, socket, lines), from, "{socket} {lines:?}");
        }
        assert_eq!(seen(&[], "10.1.2.3", &["192.0.2.1"]), "10.1.2.3");
    }
}
