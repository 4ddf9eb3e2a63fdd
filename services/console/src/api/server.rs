//! The API and the pages on a socket, with bounds on what anybody may hold: connections, the time to
//! send a request, and its size (see [`crate::entry`]).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use runtime::config::Network;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::outside;
use crate::entry::Console;

/// How long nothing is taken in after the system has refused a connection, such as for want of file
/// descriptors.
const PAUSE: Duration = Duration::from_millis(500);

/// Why the API is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The port is taken or not allowed, or the address is not this machine's.
    #[error("cannot listen on {address} for the API; set console.listen to a free address")]
    Bind {
        /// As configured.
        address: SocketAddr,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
}

/// What callers may hold at most. What is beyond it is closed, so that those who are in are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at a time. Fewer than the file descriptors that a process has where nothing else is
    /// configured (1,024): stores and broker need some.
    pub connections: usize,
    /// Connections of one address at a time; those of trusted proxies are for many.
    pub of_one_address: usize,
    /// From a connection's beginning, or the end of the request before, to the end of a request's
    /// headers.
    pub headers: Duration,
    /// From there to the end of its body.
    pub body: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 800,
            of_one_address: 400,
            headers: Duration::from_secs(30),
            body: Duration::from_secs(15),
        }
    }
}

/// A bound, not yet running server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    bounds: Bounds,
}

impl Server {
    /// Takes the port, so that a taken one is noticed at the start.
    ///
    /// # Errors
    /// [`ServeError::Bind`].
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let bind = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let bounds = Bounds::default();
        Ok(Self {
            listener,
            address,
            bounds,
        })
    }

    /// Within other bounds.
    #[must_use]
    pub const fn within(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// Where it listens; with the real port when port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`. Requests in progress are dropped then: every order is one step in a
    /// store, done or not, and can be repeated.
    pub async fn run(self, console: Console, stop: CancellationToken) {
        let room = Room::new(self.bounds, Arc::clone(&console.proxies));
        let served = outside(&console, self.bounds.body);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(_ended) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        if let Some(place) = room.enter(from.ip()) {
                            let served = served.clone();
                            connections.spawn(answer(stream, from, served, self.bounds, place));
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the system refuses a connection to the console");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }
}

/// Answers on a connection until it ends; its place is free then.
async fn answer(
    stream: TcpStream,
    from: SocketAddr,
    served: Router,
    bounds: Bounds,
    _place: Place,
) {
    let answers = service_fn(move |request: http::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(from));
        let served = served.clone();
        async move {
            Ok::<_, Infallible>(
                served
                    .oneshot(request)
                    .await
                    .unwrap_or_else(|never| match never {}),
            )
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.headers)
        .serve_connection(TokioIo::new(stream), answers);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the console broke");
    }
}

/// Who is connected.
#[derive(Debug)]
struct Room {
    bounds: Bounds,
    proxies: Arc<[Network]>,
    taken: Mutex<BTreeMap<IpAddr, usize>>,
}

impl Room {
    fn new(bounds: Bounds, proxies: Arc<[Network]>) -> Arc<Self> {
        let taken = Mutex::default();
        Arc::new(Self {
            bounds,
            proxies,
            taken,
        })
    }

    /// A place for one more, where there is one.
    fn enter(self: &Arc<Self>, from: IpAddr) -> Option<Place> {
        let from = from.to_canonical();
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_all: usize = taken.values().sum();
        let of_one = taken.get(&from).copied().unwrap_or_default();
        let is_proxy = self.proxies.iter().any(|proxy| proxy.contains(from));
        if of_all >= self.bounds.connections || (of_one >= self.bounds.of_one_address && !is_proxy)
        {
            return None;
        }
        taken.insert(from, of_one + 1);
        let room = Arc::clone(self);
        Some(Place { room, from })
    }
}

/// One connection's; free when this is dropped.
#[derive(Debug)]
struct Place {
    room: Arc<Room>,
    from: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.room.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.from) {
            Some(of_one) if *of_one > 1 => *of_one -= 1,
            _ => {
                taken.remove(&self.from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places_but_a_trusted_proxy() {
        let bounds = Bounds {
            connections: 5,
            of_one_address: 2,
            ..Bounds::default()
        };
        let proxies: Arc<[Network]> = ["10.0.0.1".parse().unwrap()].into();
        let room = Room::new(bounds, proxies);
        let enter = |from: &str| room.enter(from.parse().unwrap());
        let mut held = vec![
            enter("192.0.2.1").unwrap(),
            enter("::ffff:192.0.2.1").unwrap(),
        ];
        assert!(enter("192.0.2.1").is_none(), "it has two");
        held.extend((0..3).map(|_| enter("10.0.0.1").unwrap()));
        assert!(enter("192.0.2.2").is_none(), "all are taken");
        drop(held.remove(0));
        drop(enter("192.0.2.2").unwrap());
        drop(enter("192.0.2.1").unwrap());
        held.clear();
        assert!(room.taken.lock().unwrap().is_empty());
    }
}
