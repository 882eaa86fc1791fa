//! Event buses: CloudEvents into topics, and rules that send what matches a pattern to a topic or an HTTP endpoint.
//!
//! ```text
//! HTTP -> cloud_event (checked) -> Buses: each (source, id) once within a window -> topic "bus.<name>", structured JSON
//! topic "bus.<name>", or any topic of JSON -> rule: pattern -> transform -> topic | HTTP with retry -> dead letters
//! ```
//! A rule is a deployment of the task runtime: its progress, error policy, dead letters and lifecycle are that runtime's. This crate knows
//! the log only through [`millstream_task::Topics`].

mod buses;
mod cloud_event;
mod delivery;
mod error;
mod operator;
mod receive;
mod rules;
mod seen;
mod spec;
mod transform;

pub use buses::{Accepted, Buses, Config};
pub use cloud_event::CloudEvent;
pub use error::Error;
pub use receive::{EVENT_BYTES_MAX, EVENTS_PER_REQUEST_MAX, receive};
pub use rules::{Rules, test};
pub use spec::{Http, Input, Retry, RuleSpec, Start, Target};
pub use transform::Transform;
