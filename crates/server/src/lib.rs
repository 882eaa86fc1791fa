//! The composition root: reads settings, starts the services, and puts each behind the ports of the others. It decides nothing.

mod adapters;
mod error;
mod kinds;
mod node;
mod settings;

pub use error::Error;
pub use millstream_connect::Environment;
pub use node::{Bound, Node};
pub use settings::{KafkaListener, NODE_CONFIGS, Secrets, Settings, SettingsError, Sources, all_definitions};
