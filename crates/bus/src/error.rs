//! Why an event or a rule was refused.

use millstream_types::ErrorKind;

/// A refused event or rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An event is not a CloudEvent.
    #[error("{event}is not a CloudEvent 1.0: {attribute}: expected {expected}, found {found}")]
    NotAnEvent {
        /// "event 3 of the batch " where there are several.
        event: String,
        /// The attribute.
        attribute: String,
        /// What the specification has there.
        expected: &'static str,
        /// What was there.
        found: String,
    },
    /// A request carries no event.
    #[error(
        "content type {content_type:?} carries no CloudEvent; expected application/cloudevents+json, application/cloudevents-batch+json, or ce-* headers with any content type"
    )]
    NoEvent {
        /// The request's content type.
        content_type: String,
    },
    /// The body is not JSON.
    #[error("the body is not JSON: {problem}")]
    Json {
        /// Where and why.
        problem: String,
    },
    /// A limit is passed.
    #[error("{what} has {found} {unit}; at most {limit} are accepted")]
    TooLarge {
        /// What is too large.
        what: String,
        /// How much it has.
        found: usize,
        /// How much it may have.
        limit: usize,
        /// Of what.
        unit: &'static str,
    },
    /// There is no such bus.
    #[error("there is no bus {bus:?}; `millstream bus create {bus}` makes it")]
    NoBus {
        /// The bus.
        bus: String,
    },
    /// A rule's spec does not parse.
    #[error("rule {rule:?}: {problem}")]
    Spec {
        /// The rule.
        rule: String,
        /// What is wrong.
        problem: String,
    },
    /// A field of a rule's spec is wrong.
    #[error("rule {rule:?}: {field}: expected {expected}, found {found}")]
    Field {
        /// The rule.
        rule: String,
        /// The field.
        field: String,
        /// What would be accepted.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A rule writes what it reads.
    #[error("rule {rule:?} would read what it writes: its {role} is its input {topic:?}; choose another topic")]
    Loop {
        /// The rule.
        rule: String,
        /// The topic.
        topic: String,
        /// What it is there.
        role: &'static str,
    },
}

impl Error {
    /// What sort of failure this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotAnEvent { .. }
            | Self::NoEvent { .. }
            | Self::Json { .. }
            | Self::TooLarge { .. }
            | Self::Spec { .. }
            | Self::Field { .. }
            | Self::Loop { .. } => ErrorKind::Invalid,
            Self::NoBus { .. } => ErrorKind::NotFound,
        }
    }
}

impl From<Error> for millstream_task::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
