//! Rows as a body: streamed from disk, compressed where the client takes it.
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;

use super::super::reply::Reply;
use super::super::{App, Incoming};
use crate::bulk::{Page, PageFault, Results};

const CSV: &str = "text/csv;charset=UTF-8";

/// Pieces of a body that wait for the client.
const PIECES: usize = 4;
const PIECE: usize = 64 * 1024;

/// How often a late body looks whether anybody still waits for it.
const GLANCE: Duration = Duration::from_millis(20);

/// A page of a query job's results.
pub(super) fn reply(app: &App, incoming: &Incoming, page: Page, fault: Option<PageFault>) -> Reply {
    if let Some(fault) = &fault {
        app.counters.add(match fault {
            PageFault::Truncated { .. } => "fault.bulk_page_truncated",
            PageFault::Short { .. } => "fault.bulk_page_short",
            PageFault::Garbage => "fault.bulk_page_garbage",
            PageFault::Header => "fault.bulk_page_header",
            PageFault::Slow { .. } => "fault.bulk_page_slow",
            PageFault::Expired | PageFault::ServerError { .. } => "fault.bulk_page",
        });
    }
    let delay = match &fault {
        Some(PageFault::Slow { delay }) => *delay,
        _ => Duration::ZERO,
    };
    stream(app, incoming, delay, move |to| {
        send(&page, fault.as_ref(), to)
    })
}

/// All rows of an ingest job's results.
pub(super) fn whole(app: &App, incoming: &Incoming, results: Arc<Results>) -> Reply {
    stream(app, incoming, Duration::ZERO, move |to| {
        to.write_all(&results.header)?;
        results.spool.copy(0, results.spool.bytes(), to)?;
        Ok(End::Whole)
    })
}

/// An ingest job's data as it was uploaded.
pub(super) fn raw(data: &Bytes) -> Reply {
    Reply::text(200, CSV, data.to_vec())
}

/// How a body ends.
enum End {
    Whole,
    /// Cut off; `clean` where the client can not tell by the connection.
    Cut {
        clean: bool,
    },
}

fn stream(
    app: &App,
    incoming: &Incoming,
    delay: Duration,
    body: impl FnOnce(&mut dyn Write) -> io::Result<End> + Send + 'static,
) -> Reply {
    let gzip = incoming
        .header("accept-encoding")
        .is_some_and(|accepted| accepted.contains("gzip"));
    let (sender, receiver) = mpsc::channel(PIECES);
    app.jobs.work(move || {
        let due = Instant::now() + delay;
        while Instant::now() < due && !sender.is_closed() {
            std::thread::sleep(GLANCE);
        }
        // A client that went away is nobody's error.
        drop(produce(sender, gzip, body));
    });
    let reply = Reply::stream(CSV, Body::from_stream(ReceiverStream::new(receiver)));
    if gzip {
        reply.header("content-encoding", "gzip")
    } else {
        reply
    }
}

type Piece = io::Result<Bytes>;

fn produce(
    sender: mpsc::Sender<Piece>,
    gzip: bool,
    body: impl FnOnce(&mut dyn Write) -> io::Result<End>,
) -> io::Result<()> {
    let mut pieces = Pieces {
        sender,
        held: Vec::with_capacity(PIECE),
    };
    let end = if gzip {
        let mut encoder = GzEncoder::new(&mut pieces, Compression::new(1));
        let end = body(&mut encoder)?;
        encoder.finish()?;
        if matches!(end, End::Cut { .. }) {
            // Without its last bytes the stream has no checksum and no end.
            pieces.shorten();
        }
        end
    } else {
        body(&mut pieces)?
    };
    pieces.flush()?;
    if let End::Cut { clean: false } = end {
        pieces.wait_until_sent();
        let broken = io::Error::new(io::ErrorKind::ConnectionReset, "cut off as asked for");
        pieces.send(Err(broken))?;
    }
    Ok(())
}

/// Writes in pieces to the task that answers the client.
struct Pieces {
    sender: mpsc::Sender<Piece>,
    held: Vec<u8>,
}

impl Pieces {
    fn send(&self, piece: Piece) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::BrokenPipe, "the client went away");
        self.sender.blocking_send(piece).or(Err(gone()))
    }

    /// An error takes with it what the server still holds, the head included: what came before must
    /// be on the wire. The server flushes when it has taken every piece and finds no other.
    fn wait_until_sent(&self) {
        while self.sender.capacity() < PIECES && !self.sender.is_closed() {
            std::thread::sleep(GLANCE);
        }
        std::thread::sleep(GLANCE);
    }

    /// Takes back the last bytes that were not sent yet: the checksum and some.
    fn shorten(&mut self) {
        let kept = self.held.len().saturating_sub(12);
        self.held.truncate(kept);
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend_from_slice(bytes);
        // The last bytes stay here, so that they can be taken back.
        if self.held.len() >= PIECE + 64 {
            let rest = self.held.split_off(PIECE);
            let full = std::mem::replace(&mut self.held, rest);
            self.send(Ok(Bytes::from(full)))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = std::mem::take(&mut self.held);
        self.send(Ok(Bytes::from(held)))
    }
}

/// Writes a page as its fault wants it.
fn send(page: &Page, fault: Option<&PageFault>, to: &mut dyn Write) -> io::Result<End> {
    let spool = &page.results.spool;
    let header = &page.results.header;
    let start = spool.offset(page.first)?;
    let end = spool.offset(page.first + page.rows)?;
    match fault {
        Some(PageFault::Truncated { clean }) => {
            let row = page.first + page.rows / 2;
            let (row, next) = (spool.offset(row)?, spool.offset(row + 1)?);
            to.write_all(header)?;
            spool.copy(start, row + (next - row) / 2, to)?;
            return Ok(End::Cut { clean: *clean });
        }
        Some(PageFault::Short { missing }) => {
            let rows = page.rows.saturating_sub(*missing);
            to.write_all(header)?;
            spool.copy(start, spool.offset(page.first + rows)?, to)?;
            return Ok(End::Whole);
        }
        Some(PageFault::Garbage) => {
            to.write_all(header)?;
            to.write_all(b"\"\xff\xfe\0<html>\n\"no\",CSV \"at\" all,\",\n\"\"\"")?;
            return Ok(End::Whole);
        }
        Some(PageFault::Header) => to.write_all(&renamed(header))?,
        Some(PageFault::Slow { .. } | PageFault::Expired | PageFault::ServerError { .. })
        | None => {
            to.write_all(header)?;
        }
    }
    spool.copy(start, end, to)?;
    Ok(End::Whole)
}

/// The header with another name for its last column.
fn renamed(header: &[u8]) -> Vec<u8> {
    let quote = header.iter().rposition(|byte| *byte == b'"');
    let (before, after) = header.split_at(quote.unwrap_or(header.len()));
    [before, b"_Renamed", after].concat()
}
