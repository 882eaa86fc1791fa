//! What a metric is: name, kind, unit, labels and one line of help.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows while the process lives.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It goes up and down, and is no whole number.
    Value,
    /// It counts values by size.
    Histogram,
}

/// What one step of a metric's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things counted: records, requests, connections.
    Count,
    /// Bytes.
    Bytes,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

/// One metric of the catalogue.
#[derive(Debug)]
pub struct Definition {
    /// The name as exported.
    pub name: &'static str,
    /// How it behaves.
    pub kind: MetricKind,
    /// What its value counts.
    pub unit: Unit,
    /// The names of its labels; [`crate::Metrics`] bounds how many values they take.
    pub labels: &'static [&'static str],
    /// What it tells, in one line.
    pub help: &'static str,
}

macro_rules! typed {
    ($(#[$doc:meta])* $name:ident, $kind:ident) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(pub(crate) Definition);

        impl $name {
            pub(crate) const fn new(
                name: &'static str,
                unit: Unit,
                labels: &'static [&'static str],
                help: &'static str,
            ) -> Self {
                Self(Definition { name, kind: MetricKind::$kind, unit, labels, help })
            }

            /// Name, unit, labels and help.
            #[must_use]
            pub const fn definition(&self) -> &Definition {
                &self.0
            }
        }
    };
}

typed!(
    /// A counter of the catalogue.
    CounterDef,
    Counter
);
typed!(
    /// A gauge of the catalogue.
    GaugeDef,
    Gauge
);
typed!(
    /// A gauge of the catalogue whose values are no whole numbers.
    ValueDef,
    Value
);
typed!(
    /// A histogram of the catalogue.
    HistogramDef,
    Histogram
);
