//! From a frame to a request: bound it, then decode it. No bytes can panic it or make it allocate more than a multiple of their number.

use crate::{ApiKey, Malformed, Refused, RequestKind, StrBytes, shape, supported};
use bytes::{Buf, Bytes};

/// Key, version and number of a request.
const FIXED_HEADER: usize = 8;

/// A request, decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is asked.
    pub api: ApiKey,
    /// The version of the API it is asked in, and must be answered in.
    pub version: i16,
    /// The request's number within its connection; the answer repeats it.
    pub correlation_id: i32,
    /// The client's name for itself.
    pub client_id: Option<StrBytes>,
    /// The body. Of ApiVersions from version 3 it names the client's software.
    pub body: RequestKind,
}

/// Decodes a frame (without its length). Texts and records of the request are slices of the frame: who keeps one keeps the frame.
///
/// # Errors
/// [`Refused`] says why it is not served, and what to answer before the connection goes on or closes.
pub fn decode(frame: Bytes) -> Result<Request, Refused> {
    if frame.len() < FIXED_HEADER {
        return Err(Malformed::ShortHeader { len: frame.len() }.into());
    }
    let mut rest = frame;
    let key = rest.get_i16();
    let version = rest.get_i16();
    let correlation_id = rest.get_i32();
    let Some((api, versions)) = ApiKey::try_from(key).ok().and_then(|api| Some((api, supported(api)?))) else {
        return Err(Refused::UnknownApi { key, version, correlation_id });
    };
    if !versions.contains(&version) {
        let client_id = client_id(api, version, &mut rest).ok().flatten();
        return Err(Refused::UnsupportedVersion { api, version, correlation_id, client_id });
    }
    let client_id = client_id(api, version, &mut rest)?;
    if api.request_header_version(version) >= 2 {
        let tags = shape::header_tags_len(version, &rest)?;
        rest.advance(tags);
    }
    shape::check_request(api as i16, version, &rest)?;
    let body = RequestKind::decode(api, version, &mut rest)?;
    Ok(Request { api, version, correlation_id, client_id, body })
}

/// Whether the frame is a Produce request outside of any transaction, by its first fields alone: the rest of it may still be anything.
#[must_use]
pub fn is_plain_produce(frame: &[u8]) -> bool {
    let transactional_id_is_null = || {
        let (head, rest) = frame.split_first_chunk::<FIXED_HEADER>()?;
        let (key, version) = (i16::from_be_bytes([head[0], head[1]]), i16::from_be_bytes([head[2], head[3]]));
        if key != ApiKey::Produce as i16 || !supported(ApiKey::Produce)?.contains(&version) {
            return None;
        }
        let (client_id_len, rest) = rest.split_first_chunk()?;
        let rest = rest.get(usize::try_from(i16::from_be_bytes(*client_id_len)).unwrap_or(0)..)?;
        if ApiKey::Produce.request_header_version(version) >= 2 {
            // No tagged fields in the header, as of every client there is; then a compact text, whose 0 is null.
            return Some(rest.starts_with(&[0, 0]));
        }
        Some(rest.starts_with(&(-1_i16).to_be_bytes()))
    };
    transactional_id_is_null().unwrap_or(false)
}

/// Whether a request of the frame's kind may be answered long after it came: it waits for records, or for members of its group.
#[must_use]
pub fn may_wait(frame: &[u8]) -> bool {
    const WAIT: [ApiKey; 4] = [ApiKey::Fetch, ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::ShareFetch];
    frame.first_chunk().is_some_and(|key| WAIT.iter().any(|api| *api as i16 == i16::from_be_bytes(*key)))
}

/// The header's nullable text. Its length has two bytes in every version, so that it can be read from a version we do not know.
fn client_id(api: ApiKey, version: i16, rest: &mut Bytes) -> Result<Option<StrBytes>, Malformed> {
    let fault = |fault| Malformed::Field { message: "RequestHeader", version, path: "ClientId".to_owned(), fault };
    let remaining = rest.remaining();
    let len = rest.try_get_i16().map_err(|_| fault(shape::Fault::CutShort { needed: 2, remaining }))?;
    if len == -1 {
        return Ok(None);
    }
    let needed = usize::try_from(len).map_err(|_| fault(shape::Fault::Negative { value: i64::from(len) }))?;
    let remaining = rest.remaining();
    if needed > remaining {
        return Err(fault(shape::Fault::CutShort { needed, remaining }));
    }
    StrBytes::from_utf8(rest.split_to(needed)).map(Some).map_err(|error| Malformed::Content {
        api,
        version,
        reason: format!("the client id is not UTF-8: {error}"),
    })
}
