//! A message's properties and headers, ours and the broker's.

use domain::Timestamp;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use ports::queue::Message;

use crate::topology::DELIVERY_LIMIT;

const VERSION: &str = "version";
const ATTEMPT: &str = "attempt";
const NOT_BEFORE: &str = "not-before";
const REASON: &str = "reason";
const QUEUE: &str = "queue";
/// Dead messages of earlier versions have it, too.
const DEAD_SINCE: &str = "set-aside";

/// What we write into a message's headers besides its version. The broker's own (`x-death` and
/// the like) are never copied: older brokers read them as theirs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Headers {
    /// Deliveries before this publish.
    pub(crate) attempt: u32,
    /// It must not be shown earlier.
    pub(crate) not_before: Option<Timestamp>,
    /// Of a dead letter.
    pub(crate) death: Option<Death>,
}

/// How a message came to be dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    /// Why.
    pub(crate) reason: String,
    /// From which queue.
    pub(crate) queue: String,
    /// When, where it is known.
    pub(crate) at: Option<Timestamp>,
}

/// The properties of a publish.
pub(crate) fn properties(message: &Message, headers: &Headers) -> BasicProperties {
    let mut table = FieldTable::default();
    let mut put = |key: &str, value: AMQPValue| {
        table.insert(key.into(), value);
    };
    put(VERSION, AMQPValue::LongLongInt(message.version.into()));
    put(ATTEMPT, AMQPValue::LongLongInt(headers.attempt.into()));
    if let Some(at) = headers.not_before {
        put(NOT_BEFORE, AMQPValue::LongLongInt(at.as_micros()));
    }
    if let Some(Death { reason, queue, at }) = &headers.death {
        put(REASON, AMQPValue::LongString(reason.as_str().into()));
        put(QUEUE, AMQPValue::LongString(queue.as_str().into()));
        if let Some(at) = at {
            put(DEAD_SINCE, AMQPValue::LongLongInt(at.as_micros()));
        }
    }
    const PERSISTENT: u8 = 2;
    BasicProperties::default()
        .with_delivery_mode(PERSISTENT)
        .with_message_id(message.id.as_str().into())
        .with_type(message.kind.as_str().into())
        .with_headers(table)
}

/// The message of a delivery; what is missing is empty, for the reader to judge.
pub(crate) fn message(properties: &BasicProperties, body: Vec<u8>) -> Message {
    let text = |value: &Option<lapin::types::ShortString>| {
        value
            .as_ref()
            .map(|text| text.as_str().to_owned())
            .unwrap_or_default()
    };
    Message {
        id: text(properties.message_id()),
        kind: text(properties.kind()),
        version: small_number(properties, VERSION),
        body,
    }
}

/// Our headers of a delivery.
pub(crate) fn headers(properties: &BasicProperties) -> Headers {
    Headers {
        attempt: small_number(properties, ATTEMPT),
        not_before: number(properties, NOT_BEFORE).map(Timestamp::from_micros),
        death: text(properties, REASON).map(|reason| Death {
            reason,
            queue: text(properties, QUEUE).unwrap_or_default(),
            at: number(properties, DEAD_SINCE).map(Timestamp::from_micros),
        }),
    }
}

/// How often a delivery's message was delivered before: ours, and what the broker has seen come
/// back since it was published.
pub(crate) fn attempt(properties: &BasicProperties) -> u32 {
    small_number(properties, ATTEMPT).saturating_add(returned(properties))
}

/// How often the broker has seen it come back since it was published. Up to 4.2 that counts whatever
/// is handed back; from 4.3 on only what a consumer died over, lost its link with or rejected, and
/// `x-acquired-count` counts the rest.
pub(crate) fn returned(properties: &BasicProperties) -> u32 {
    small_number(properties, "x-delivery-count")
}

/// How a dead letter came to be one, and how often it had been delivered.
pub(crate) fn death(properties: &BasicProperties, routing_key: &str) -> (Death, u32) {
    let headers = headers(properties);
    if let Some(death) = headers.death {
        return (death, headers.attempt);
    }
    // The broker's doing. The newest entry comes first; older ones tell of the retry ladder.
    let newest = properties
        .headers()
        .as_ref()
        .and_then(|table| table.inner().get("x-death"))
        .and_then(AMQPValue::as_array)
        .and_then(|deaths| deaths.as_slice().first())
        .and_then(AMQPValue::as_field_table);
    let entry = |key: &str| {
        newest
            .and_then(|table| table.inner().get(key))
            .and_then(said)
    };
    let queue = entry("queue").unwrap_or_else(|| routing_key.to_owned());
    // In seconds.
    let at = newest
        .and_then(|table| table.inner().get("time"))
        .and_then(AMQPValue::as_timestamp)
        .and_then(|seconds| i64::try_from(seconds).ok())
        .map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1_000)));
    let (reason, attempt) = match entry("reason").as_deref() {
        Some("delivery_limit") => (
            format!(
                "its worker gave it back or died {DELIVERY_LIMIT} times; look at the worker's log, then replay it"
            ),
            headers
                .attempt
                .saturating_add(u32::try_from(DELIVERY_LIMIT).unwrap_or(u32::MAX)),
        ),
        other => (
            format!(
                "the broker dead-lettered it ({})",
                other.unwrap_or("no reason given")
            ),
            headers.attempt,
        ),
    };
    (Death { reason, queue, at }, attempt)
}

fn value<'p>(properties: &'p BasicProperties, key: &str) -> Option<&'p AMQPValue> {
    properties.headers().as_ref()?.inner().get(key)
}

fn text(properties: &BasicProperties, key: &str) -> Option<String> {
    value(properties, key).and_then(said)
}

fn said(value: &AMQPValue) -> Option<String> {
    value
        .as_long_string()
        .map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned())
}

fn small_number(properties: &BasicProperties, key: &str) -> u32 {
    number(properties, key).map_or(0, |number| u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

/// Brokers write a count in whichever width holds it.
fn number(properties: &BasicProperties, key: &str) -> Option<i64> {
    let value = value(properties, key)?;
    value
        .as_long_long_int()
        .or_else(|| value.as_long_int().map(i64::from))
        .or_else(|| value.as_long_uint().map(i64::from))
        .or_else(|| value.as_short_int().map(i64::from))
        .or_else(|| value.as_short_uint().map(i64::from))
        .or_else(|| value.as_short_short_int().map(i64::from))
        .or_else(|| value.as_short_short_uint().map(i64::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let message_ = Message {
            id: "one".to_owned(),
            kind: "mosync.unit".to_owned(),
            version: 1,
            body: b"{}".to_vec(),
        };
        let headers_ = Headers {
            attempt: 3,
            not_before: Some(Timestamp::from_micros(1_732_276_800_123_456)),
            death: Some(Death {
                reason: "because".to_owned(),
                queue: "load.live".to_owned(),
                at: Some(Timestamp::from_micros(1_732_276_800_123_457)),
            }),
        };
        let written = properties(&message_, &headers_);
        assert_eq!(message(&written, b"{}".to_vec()), message_);
        assert_eq!(headers(&written), headers_);
        let (death, attempt) = death(&written, "");
        assert_eq!((Some(death), attempt), (headers_.death, 3));
    }

    #[test]
    fn a_bare_message_is_read_as_empty() {
        let bare = BasicProperties::default();
        assert_eq!(message(&bare, vec![0]).version, 0);
        assert_eq!(headers(&bare), Headers::default());
        assert_eq!((attempt(&bare), returned(&bare)), (0, 0));
    }
}
