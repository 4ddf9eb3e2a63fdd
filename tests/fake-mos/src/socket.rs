//! Connections that can be cut: without an answer, or in the middle of one.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// No cut ordered.
const NONE: usize = usize::MAX;

/// The scissors of one connection, in the hands of the request's handler.
#[derive(Debug, Clone)]
pub(crate) struct Scissors(Arc<AtomicUsize>);

impl Scissors {
    /// Leaves the last `bytes` of the next answer out and closes the connection.
    pub(crate) fn cut_tail(&self, bytes: usize) {
        self.0.store(bytes, Ordering::SeqCst);
    }

    /// Closes the connection instead of the next answer.
    pub(crate) fn cut_all(&self) {
        self.cut_tail(NONE - 1);
    }
}

/// A listener whose connections have scissors.
#[derive(Debug)]
pub(crate) struct CuttableListener(pub(crate) TcpListener);

impl Listener for CuttableListener {
    type Io = CuttableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (CuttableStream, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Answers are small and awaited; a stream that refuses the option works all the same.
        stream.set_nodelay(true).unwrap_or_default();
        let stream = CuttableStream {
            stream,
            scissors: Scissors(Arc::new(AtomicUsize::new(NONE))),
            left: None,
        };
        (stream, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct CuttableStream {
    stream: TcpStream,
    scissors: Scissors,
    /// Once a cut began: how many bytes still pass.
    left: Option<usize>,
}

impl Connected<IncomingStream<'_, CuttableListener>> for Scissors {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        stream.io().scissors.clone()
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let tail = this.scissors.0.load(Ordering::SeqCst);
        if tail == NONE {
            return Pin::new(&mut this.stream).poll_write(cx, buf);
        }
        // Writes are not vectored here, so the first one after the order holds the whole answer.
        let left = *this.left.get_or_insert(buf.len().saturating_sub(tail));
        let Some(part) = buf
            .get(..left.min(buf.len()))
            .filter(|part| !part.is_empty())
        else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let written = Pin::new(&mut this.stream).poll_write(cx, part);
        if let Poll::Ready(Ok(count)) = &written {
            this.left = Some(left.saturating_sub(*count));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
