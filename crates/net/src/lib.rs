//! Sockets: named listeners, with TLS or without, frames in, answers out, and the one place where a range of a file becomes `sendfile`.
//!
//! It knows lengths, not messages: a [`Handler`] gets a frame's bytes and returns what to send. One request of a connection is worked on
//! at a time, but those that the handler lets overlap, and answers leave in the order of the requests, as in Kafka.

mod budget;
mod config;
mod connection;
mod counts;
mod error;
mod frames;
mod gather;
mod handler;
mod idle;
mod listener;
mod low_water;
mod memory;
mod pacing;
mod pipeline;
mod places;
mod rate;
mod send;
mod subject;
mod tls;
mod wire;

pub use budget::Budget;
pub use config::ListenerConfig;
pub use error::Error;
pub use handler::{Answer, Authentication, ConnectionContext, Frame, Handler, Part};
pub use listener::{Listener, Serving, serve};
pub use places::{AddressRates, ConnectionLimits, Places, address_counts};
pub use rate::Rate;
pub use tls::{ClientAuth, Tls, TlsFiles};
