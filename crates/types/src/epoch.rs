//! Epochs: the counters by which what is stale is refused. All only ever grow.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! epoch {
    ($(#[$doc:meta])* $name:ident($raw:ty), first $first:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $raw);

        impl $name {
            /// The first epoch that is handed out.
            pub const FIRST: Self = Self($first);
            /// Kafka's "no epoch known" on the wire and on disk.
            pub const NONE: Self = Self(-1);

            /// The epoch after this one.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

epoch!(
    /// Bumped at every change of a partition's leader; stored in every batch.
    LeaderEpoch(i32), first 0
);
epoch!(
    /// Fences older instances of one producer id; stored in every batch.
    ProducerEpoch(i16), first 0
);
epoch!(
    /// A broker's registration with the controller.
    BrokerEpoch(i64), first 1
);
epoch!(
    /// The controller's term.
    ControllerEpoch(i32), first 0
);
