//! ApiVersions: what is served, and in which versions.

use crate::service::{Broker, Call, Software};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use millstream_protocol::{ResponseError, api_versions_response};

/// Requests name the client's software from this version on (KIP-511).
const NAMES_SOFTWARE: i16 = 3;
/// Bytes of a name or a version that are kept.
const SOFTWARE_BYTES_MAX: usize = 64;

impl Broker {
    /// Answers ApiVersions.
    pub(crate) fn api_versions(&self, call: &Call<'_>, request: &ApiVersionsRequest) -> ApiVersionsResponse {
        let named = [&request.client_software_name, &request.client_software_version];
        if call.version >= NAMES_SOFTWARE && !named.into_iter().all(|name| is_software_name(name)) {
            return ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
        }
        self.remember_software(call, request);
        // The features never change while a node runs: any epoch that does not fall will do.
        api_versions_response(i64::from(self.image().controller_epoch().0.max(0)), call.version)
    }
}

impl Broker {
    /// Keeps what the client says it runs on, for as long as its connection lasts.
    fn remember_software(&self, call: &Call<'_>, request: &ApiVersionsRequest) {
        let kept = |text: &str| text[..text.floor_char_boundary(SOFTWARE_BYTES_MAX)].to_owned();
        let (name, version) = (kept(&request.client_software_name), kept(&request.client_software_version));
        if !name.is_empty() {
            self.software.lock().insert(call.connection, Software { name, version });
        }
    }
}

/// Letters and digits, with `-` and `.` between them.
fn is_software_name(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let ends = [name.as_bytes().first(), name.as_bytes().last()];
    ends.into_iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric)) && name.bytes().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn software_names_are_checked_as_in_kafka() {
        for (name, is_right) in [
            ("apache-kafka-java", true),
            ("4.3.0", true),
            ("a", true),
            ("", false),
            ("-a", false),
            ("a b", false),
            ("a.", false),
        ] {
            assert_eq!(is_software_name(name), is_right, "{name:?}");
        }
    }
}
