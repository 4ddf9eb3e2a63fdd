//! The API and the pages on a socket.

use std::future::IntoFuture as _;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::outside;
use crate::entry::Console;

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
    /// It listened, and then failed.
    #[error("the server of the API failed; restart mosync")]
    Serve(#[source] std::io::Error),
}

/// A bound, not yet running server.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
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
        Ok(Self { listener, address })
    }

    /// Where it listens; with the real port when port 0 was asked for.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`. Requests in progress are dropped then: every order is one step in a
    /// store, done or not, and can be repeated.
    ///
    /// # Errors
    /// [`ServeError::Serve`] when the system takes the listener away.
    pub async fn run(self, console: Console, stop: CancellationToken) -> Result<(), ServeError> {
        let served = outside(&console).into_make_service_with_connect_info::<SocketAddr>();
        let server = axum::serve(self.listener, served).into_future();
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = server => ended.map_err(ServeError::Serve),
        }
    }
}
