//! Whatever is wrong with what comes in, the one who sent it is told so, and nobody else notices: in every test here an idempotent producer
//! of its own accord (librdkafka, acks=all) goes on all the while, sees no error, and what it was acknowledged is read back once, in order.

#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

#[path = "bad_input/batches.rs"]
mod batches;
#[path = "bad_input/connectors.rs"]
mod connectors;
#[path = "bad_input/events.rs"]
mod events;
#[path = "bad_input/folders.rs"]
mod folders;
#[path = "bad_input/frames.rs"]
mod frames;
#[path = "bad_input/guests.rs"]
mod guests;
#[path = "bad_input/hostile.rs"]
mod hostile;
#[path = "bad_input/kit.rs"]
mod kit;
#[path = "bad_input/offsets.rs"]
mod offsets;
#[path = "bad_input/settings.rs"]
mod settings;
#[path = "bad_input/shapes.rs"]
mod shapes;
#[path = "bad_input/sql.rs"]
mod sql;
#[path = "bad_input/store.rs"]
mod store;
