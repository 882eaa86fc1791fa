//! Words everything else is said in: ids, offsets, epochs, configs by Kafka's names, error kinds.
//!
//! Nothing here does I/O or decides; every other crate may use it.

mod causes;
mod config;
mod decision;
mod epoch;
mod folder_identity;
mod id;
mod kind;
mod offset;

pub use causes::with_causes;
pub use config::{
    BROKER_CONFIGS, ConfigDef, ConfigError, ConfigType, GROUP_CONFIGS, NoOffsetReset, OffsetReset, TOPIC_CONFIGS,
    TopicConfig,
};
pub use decision::{Now, Ticket, Waiter};
pub use epoch::{BrokerEpoch, ControllerEpoch, LeaderEpoch, ProducerEpoch};
pub use folder_identity::{FolderIdentity, InvalidFolderIdentity};
pub use id::{BrokerId, ClusterId, DirectoryId, PartitionIndex, ProducerId, TopicId, TopicPartition};
pub use kind::ErrorKind;
pub use offset::{Offset, TimestampMs};
