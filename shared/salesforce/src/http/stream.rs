//! An answer whose body is read piece by piece, unpacked, under a deadline for each silence.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{HeaderMap, Version, header};
use ports::source::SourceError;

use super::root_of;

/// An answer on its way.
#[derive(Debug)]
pub(crate) struct Stream {
    response: reqwest::Response,
    patience: Duration,
    packed: Option<Packed>,
}

/// A gzip body. What it unpacks to is taken out after each bit of input, so that it never holds
/// much more than the decoder's window.
#[derive(Debug)]
struct Packed {
    input: Bytes,
    decoder: MultiGzDecoder<Vec<u8>>,
    ended: bool,
}

impl Stream {
    /// `patience`: how long the server may be silent.
    pub(crate) fn of(response: reqwest::Response, patience: Duration) -> Result<Self, SourceError> {
        let encoding = response.headers().get(header::CONTENT_ENCODING);
        let packed = match encoding.map(|encoding| encoding.as_bytes().to_ascii_lowercase()) {
            None => None,
            Some(encoding) if encoding == b"gzip" => Some(Packed {
                input: Bytes::new(),
                decoder: MultiGzDecoder::new(Vec::new()),
                ended: false,
            }),
            Some(encoding) if encoding == b"identity" => None,
            Some(_) => {
                return Err(SourceError::Garbled(
                    "an answer is packed in another way than gzip".to_owned(),
                ));
            }
        };
        Ok(Self {
            response,
            patience,
            packed,
        })
    }

    /// A header of the answer, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Whether a cut body is an error here in any case. Without a length and without chunks, the
    /// end of the connection is the end of the body.
    pub(crate) fn marks_its_end(&self) -> bool {
        self.packed.is_some() || is_framed(self.response.version(), self.response.headers())
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<Bytes>, SourceError> {
        loop {
            if let Some(piece) = self
                .packed
                .as_mut()
                .map(Packed::unpack)
                .transpose()?
                .flatten()
            {
                return Ok(Some(piece));
            }
            let came = tokio::time::timeout(self.patience, self.response.chunk())
                .await
                .map_err(|_elapsed| {
                    SourceError::Unreachable(format!(
                        "an answer stopped half-way for {} s",
                        self.patience.as_secs_f32()
                    ))
                })?
                .map_err(|error| broken(&error))?;
            match (&mut self.packed, came) {
                (None, came) => return Ok(came),
                (Some(packed), Some(came)) => packed.input = came,
                (Some(packed), None) => return packed.end(),
            }
        }
    }
}

impl Packed {
    /// Unpacks some of the input; `None` when all of it is used up.
    fn unpack(&mut self) -> Result<Option<Bytes>, SourceError> {
        while !self.input.is_empty() {
            let used = self.decoder.write(&self.input).map_err(damaged)?;
            let _used = self.input.split_to(used);
            let unpacked = std::mem::take(self.decoder.get_mut());
            if !unpacked.is_empty() {
                return Ok(Some(unpacked.into()));
            }
            if used == 0 {
                return Err(SourceError::Garbled(
                    "an answer goes on after the end of its gzip body".to_owned(),
                ));
            }
        }
        Ok(None)
    }

    /// What is left at the end of the body; checks length and checksum.
    fn end(&mut self) -> Result<Option<Bytes>, SourceError> {
        if self.ended {
            return Ok(None);
        }
        self.decoder.try_finish().map_err(damaged)?;
        self.ended = true;
        let rest = std::mem::take(self.decoder.get_mut());
        Ok((!rest.is_empty()).then(|| rest.into()))
    }
}

fn is_framed(version: Version, headers: &HeaderMap) -> bool {
    version >= Version::HTTP_2
        || headers.contains_key(header::CONTENT_LENGTH)
        || headers.contains_key(header::TRANSFER_ENCODING)
}

/// A body that ends too early must never be taken for a short one.
fn broken(error: &reqwest::Error) -> SourceError {
    if error.is_timeout() {
        return SourceError::Unreachable("an answer stopped half-way".to_owned());
    }
    let root = root_of(error).unwrap_or_else(|| "no further explanation".to_owned());
    SourceError::Garbled(format!("an answer broke off half-way: {root}"))
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn damaged(error: std::io::Error) -> SourceError {
    SourceError::Garbled(format!("an answer's gzip body is damaged or cut: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_length_chunks_or_frames_mark_an_end() {
        let none = HeaderMap::new();
        assert!(!is_framed(Version::HTTP_11, &none));
        assert!(is_framed(Version::HTTP_2, &none));
        for name in [header::CONTENT_LENGTH, header::TRANSFER_ENCODING] {
            let headers = HeaderMap::from_iter([(name, header::HeaderValue::from_static("1"))]);
            assert!(is_framed(Version::HTTP_11, &headers));
        }
    }
}
