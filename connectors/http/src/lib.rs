//! The http connectors: a source that takes posted events on a listener of its own, and a sink that posts batches to a URL.

mod body;
mod connection;
mod endpoint;
mod post;
mod settings;
mod sink;
mod source;

pub use settings::{Method, PostFormat, SinkSettings, SourceSettings};
pub use sink::HttpSink;
pub use source::HttpSource;
