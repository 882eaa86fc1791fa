//! SaslHandshake and SaslAuthenticate of clients that need neither: their listener does not ask, or they are in already. All others are
//! answered before a handler is chosen (`authentication.rs`).

use kafka_protocol::messages::{SaslAuthenticateResponse, SaslHandshakeResponse};
use millstream_protocol::ResponseError;

/// Answers SaslHandshake.
pub fn handshake_needless() -> SaslHandshakeResponse {
    SaslHandshakeResponse::default().with_error_code(ResponseError::IllegalSaslState.code())
}

/// Answers SaslAuthenticate.
pub fn authenticate_needless() -> SaslAuthenticateResponse {
    let message = "nobody asked who the client is: its listener does not, or it authenticated before";
    SaslAuthenticateResponse::default()
        .with_error_code(ResponseError::IllegalSaslState.code())
        .with_error_message(Some(message.into()))
}
