//! What is live on pages: read once for everybody who looks, at most once a second, and not at all
//! while nobody looks. Whoever waits takes a turn at reading, and all others are told what came of it.
//!
//! Each part of a page has a number, which grows when the part changes. A page says what number it
//! has seen and gets every part that changed since, so nothing is missed by whoever was away.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::str::FromStr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::sent::Sent;
use super::sync_status::parts;
use super::{Desk, PageFault, Viewer};
use crate::OpsError;

/// Where it is.
pub(crate) const PATH: &str = "/events";

/// Nothing is read more often.
const EVERY: Duration = Duration::from_secs(1);
/// So that whoever is in between sees that somebody is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After so long the browser has to ask again, and whether it may is looked at again.
const LONGEST: Duration = Duration::from_secs(4 * 60);
/// Pages of one session that are told at a time.
const OF_ONE_SESSION: usize = 32;
/// How long the browser waits before it asks again.
const AGAIN: Duration = Duration::from_secs(2);

/// Names and contents of what is live.
pub(super) type Parts = Vec<(&'static str, String)>;

/// What is live, shared by all pages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// Tells this process's numbers from those of the one before.
    run: u64,
    number: u64,
    /// When a reading was last begun, whatever became of it.
    tried: Option<Instant>,
    /// When the reading was begun that the parts are of.
    read: Option<Instant>,
    parts: BTreeMap<&'static str, (u64, String)>,
    /// What changed with the number.
    newest: String,
}

/// How far a page has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    run: u64,
    number: u64,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.run, self.number)
    }
}

impl FromStr for Seen {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (run, number) = text.split_once('-').ok_or(())?;
        Ok(Self {
            run: u64::from_str_radix(run, 16).map_err(|_no_number| ())?,
            number: number.parse().map_err(|_no_number| ())?,
        })
    }
}

/// What a page is told.
#[derive(Debug, Clone)]
struct Told {
    seen: Seen,
    /// Parts by name, as a JSON object.
    parts: String,
}

impl Known {
    /// What has changed since.
    fn beyond(&self, seen: Option<Seen>) -> Option<Told> {
        let now = Seen {
            run: self.run,
            number: self.number,
        };
        if self.number == 0 || seen == Some(now) {
            return None;
        }
        // Of another process, or of the future: everything.
        let since = seen.filter(|seen| seen.run == self.run && seen.number < self.number);
        let since = since.map_or(0, |seen| seen.number);
        let parts = if since + 1 == self.number {
            self.newest.clone()
        } else {
            self.changed_since(since)
        };
        Some(Told { seen: now, parts })
    }

    fn changed_since(&self, number: u64) -> String {
        let changed = self.parts.iter().filter(|(_, (at, _))| *at > number);
        let changed: serde_json::Map<String, serde_json::Value> = changed
            .map(|(name, (_, content))| ((*name).to_owned(), content.as_str().into()))
            .collect();
        serde_json::Value::Object(changed).to_string()
    }

    fn take(&mut self, parts: Parts, begun: Instant) {
        self.read = Some(begun);
        let next = self.number + 1;
        let mut is_new = false;
        for (name, content) in parts {
            let known = self.parts.get(name).map(|(_, known)| known);
            if known != Some(&content) {
                self.parts.insert(name, (next, content));
                is_new = true;
            }
        }
        if is_new {
            self.number = next;
            self.newest = self.changed_since(next - 1);
        }
    }
}

impl Live {
    /// Waits until something has changed since. Whoever stops waiting in the middle of their turn
    /// leaves it to the next.
    async fn after<F>(&self, seen: Option<Seen>, run: u64, read: impl Fn() -> F) -> Told
    where
        F: Future<Output = Parts>,
    {
        let asked = Instant::now();
        loop {
            let mut known = self.0.lock().await;
            // A page that was just opened shows something newer than what was read before.
            let is_newer = known.read.is_some_and(|read| read >= asked);
            if let Some(told) = known.beyond(seen).filter(|_| is_newer) {
                return told;
            }
            if let Some(last) = known.tried {
                tokio::time::sleep_until(last + EVERY).await;
            }
            if known.run == 0 {
                known.run = run;
            }
            // Before it is read: a store that does not answer is not asked more often.
            let begun = Instant::now();
            known.tried = Some(begun);
            let parts = read().await;
            known.take(parts, begun);
        }
    }
}

/// How many pages of each session are told what is live.
#[derive(Debug, Clone, Default)]
pub(crate) struct Streams(Arc<std::sync::Mutex<BTreeMap<String, usize>>>);

impl Streams {
    /// One more, where that is not too many.
    fn enter(&self, session: &str) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_session = open.entry(session.to_owned()).or_default();
        if *of_session >= OF_ONE_SESSION {
            return None;
        }
        *of_session += 1;
        let (streams, session) = (self.clone(), session.to_owned());
        Some(Place { streams, session })
    }
}

/// One page's; free when this is dropped.
#[derive(Debug)]
struct Place {
    streams: Streams,
    session: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = self.streams.0.lock();
        let mut open = open.unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.session) {
            Some(of_session) if *of_session > 1 => *of_session -= 1,
            _ => {
                open.remove(&self.session);
            }
        }
    }
}

/// The parts as server-sent events, from where the page has seen them.
pub(super) async fn events(
    State(desk): State<Desk>,
    Extension(viewer): Extension<Viewer>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    // The session is known by what its forms carry.
    let Some(place) = desk.streams.enter(&viewer.form_token) else {
        let error = OpsError::TooMany(format!(
            "{OF_ONE_SESSION} pages of this session are live already; close some of them"
        ));
        return PageFault::bare(error).into_response();
    };
    // A browser that lost the connection sends the header; a page that opens a new one asks.
    let sent = headers.get(HeaderName::from_static("last-event-id"));
    let sent = sent.and_then(|id| id.to_str().ok()).map(str::to_owned);
    let seen = sent.or_else(|| Sent::asked(query.as_deref()).get("after"));
    // What is no number of ours gets everything, as a new page does.
    let seen: Option<Seen> = seen.and_then(|text| text.parse().ok());
    let run = desk.operations.now().as_micros().unsigned_abs().max(1);
    let told = stream::unfold(seen, move |seen| {
        let desk = desk.clone();
        async move {
            let read = || async { parts(desk.operations.status().await) };
            let told = desk.live.after(seen, run, read).await;
            let event = Event::default()
                .event("parts")
                .id(told.seen.to_string())
                .data(told.parts);
            Some((event, Some(told.seen)))
        }
    });
    let hello = stream::iter([Event::default().retry(AGAIN).comment("live")]);
    let events = for_a_while(hello.chain(told)).map(move |event| {
        let _held = &place;
        Ok::<_, Infallible>(event)
    });
    let heartbeat = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let mut response = Sse::new(events).keep_alive(heartbeat).into_response();
    // A proxy in between hands on what comes at once.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// Until whoever listens has to show again that they may.
fn for_a_while<T>(told: impl Stream<Item = T>) -> impl Stream<Item = T> {
    told.take_until(tokio::time::sleep(LONGEST))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures::stream::FuturesUnordered;

    use super::*;

    fn content(told: &Told) -> serde_json::Value {
        serde_json::from_str(&told.parts).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_look_it_is_read_once_a_second_and_for_nobody_never() {
        let live = Live::default();
        let reads = AtomicU64::new(0);
        let read = || async {
            let number = reads.fetch_add(1, Ordering::SeqCst);
            // It changes with every third reading.
            vec![("a", (number / 3).to_string()), ("b", "same".to_owned())]
        };
        let mut waiting: FuturesUnordered<_> =
            (0..200).map(|_| live.after(None, 7, read)).collect();
        let began = Instant::now();
        let mut told = 0;
        while let Some(next) = waiting.next().await {
            told += 1;
            if began.elapsed() < Duration::from_secs(30) {
                waiting.push(live.after(Some(next.seen), 7, read));
            }
        }
        let seconds = began.elapsed().as_secs();
        let asked = reads.load(Ordering::SeqCst);
        assert!(asked <= seconds + 1, "{asked} readings in {seconds} s");
        assert!(asked >= 30, "{asked}");
        assert!(told >= 200 * 9, "{told}");
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(reads.load(Ordering::SeqCst), asked);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_away_gets_what_changed_and_strangers_get_everything() {
        let live = Live::default();
        let reads = AtomicU64::new(0);
        let read = || async {
            let number = reads.fetch_add(1, Ordering::SeqCst);
            vec![
                ("a", format!("a{}", number.min(1))),
                ("b", format!("b{}", number.min(2))),
                ("c", "c".to_owned()),
            ]
        };
        let all = live.after(None, 7, read).await;
        assert_eq!(
            content(&all),
            serde_json::json!({"a": "a0", "b": "b0", "c": "c"})
        );
        let next = live.after(Some(all.seen), 7, read).await;
        assert_eq!(content(&next), serde_json::json!({"a": "a1", "b": "b1"}));
        let last = live.after(Some(next.seen), 7, read).await;
        assert_eq!(content(&last), serde_json::json!({"b": "b2"}));
        let away = live.after(Some(all.seen), 7, read).await;
        assert_eq!(content(&away), serde_json::json!({"a": "a1", "b": "b2"}));
        let everything = serde_json::json!({"a": "a1", "b": "b2", "c": "c"});
        for strange in ["6-3", "7-9"] {
            let strange = strange.parse().ok();
            let told = live.after(strange, 7, read).await;
            assert_eq!(content(&told), everything);
            assert_eq!(told.seen.to_string(), "7-3");
        }
        assert!("x".parse::<Seen>().is_err() && "7-".parse::<Seen>().is_err());
        // Somebody who waits for more and leaves does not keep others from their turn.
        let left =
            tokio::time::timeout(Duration::from_secs(5), live.after(Some(last.seen), 7, read));
        assert!(left.await.is_err());
        assert_eq!(content(&live.after(None, 7, read).await), everything);
    }

    #[tokio::test(start_paused = true)]
    async fn a_page_is_never_told_what_was_read_before_it_was_opened() {
        let live = Live::default();
        let reads = AtomicU64::new(0);
        let read = || async {
            let number = reads.fetch_add(1, Ordering::SeqCst);
            vec![("a", number.to_string())]
        };
        for (pause, told) in [(0, "0"), (100, "1"), (3_600_000, "2")] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let new = live.after(None, 7, read).await;
            assert_eq!(content(&new), serde_json::json!({"a": told}));
        }
        // Nor when whoever was to read for it left in the middle.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let slow = || async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Vec::new()
        };
        let left = tokio::time::timeout(Duration::from_secs(5), live.after(None, 7, slow));
        let waiting = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            live.after(None, 7, read).await
        };
        let (left, told) = tokio::join!(left, waiting);
        assert!(left.is_err());
        assert_eq!(content(&told), serde_json::json!({"a": "3"}));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_listens_has_to_ask_again_after_a_while() {
        let began = Instant::now();
        let told = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(7)).await;
            Some(((), ()))
        });
        let heard = for_a_while(told).count().await;
        assert_eq!(began.elapsed(), LONGEST);
        assert_eq!(heard, 34);
    }

    #[test]
    fn a_session_has_so_many_places_and_gets_them_back() {
        let streams = Streams::default();
        let mut held: Vec<Place> = (0..OF_ONE_SESSION)
            .map(|_| streams.enter("anna").unwrap())
            .collect();
        assert!(streams.enter("anna").is_none());
        let other = streams.enter("otto");
        held.pop();
        assert!(streams.enter("anna").is_some());
        drop((held, other));
        assert!(streams.0.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_leaves_what_was_there() {
        let live = Live::default();
        let all = live.after(None, 7, || async {
            vec![("a", "1".to_owned()), ("trouble", String::new())]
        });
        let all = all.await;
        let trouble = live.after(Some(all.seen), 7, || async {
            vec![("trouble", "gone".to_owned())]
        });
        assert_eq!(
            content(&trouble.await),
            serde_json::json!({"trouble": "gone"})
        );
        let new = live.after(None, 7, || async { Vec::new() }).await;
        assert_eq!(
            content(&new),
            serde_json::json!({"a": "1", "trouble": "gone"})
        );
    }
}
