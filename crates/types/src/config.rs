//! Topic, broker and group options under Kafka's names: type, default, range and documentation, each defined once here.

mod broker;
mod definition;
mod group;
mod offset_reset;
mod topic;

pub use broker::BROKER_CONFIGS;
pub use definition::{ConfigDef, ConfigError, ConfigType};
pub use group::GROUP_CONFIGS;
pub use offset_reset::{NoOffsetReset, OffsetReset};
pub use topic::{TOPIC_CONFIGS, TopicConfig};
