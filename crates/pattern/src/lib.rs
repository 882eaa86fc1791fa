//! Event patterns in EventBridge's grammar, compiled to one automaton.
//!
//! ```text
//! {"source": ["shop", {"prefix": "shop."}],          any of these, and
//!  "detail": {"total": [{"numeric": [">", 100]}],    in the nested object this, and
//!             "coupon": [{"exists": false}]}}        no such field
//! ```
//! A field's value matches where any of its tests accepts it; of an array, any element. A [`Pattern`] is one rule; a [`Matcher`] is many rules
//! looked up together by field and value, so that its cost grows with the event and with what matches, and not with the rules.
//!
//! Numbers are equal by value: `1`, `1.0` and `1e0` are the same. Nothing here does I/O.

mod error;
mod matcher;
mod number;
mod pattern;
mod test;
mod wildcard;

pub use error::Error;
pub use matcher::Matcher;
pub use pattern::{DEPTH_MAX, EVENT_BYTES_MAX, PATTERN_BYTES_MAX, Pattern, WAYS_MAX};
