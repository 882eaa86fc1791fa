//! Avro and JSON Schema: registry rules, compatibility, and records to and from Arrow.
//!
//! A registered schema gives a topic its columns ([`TableSchema`]); a [`Decoder`] turns record values into them and an [`Encoder`] turns
//! columns back into values. Nothing here does I/O: registered schemas come through the port [`SchemaLookup`].

mod avro;
mod column;
mod compat;
mod decoder;
mod derive;
mod encoder;
mod error;
mod json;
mod memory;
mod misfit;
mod registered;
mod schema;
mod shape;
mod table;
mod text;
mod validator;
pub mod wire;

pub use compat::{Compatibility, Level};
pub use decoder::{BATCH_BYTES_MAX, BadRow, Decoded, Decoder};
pub use derive::json_schema;
pub use encoder::Encoder;
pub use error::Error;
pub use memory::MemorySchemas;
pub use registered::{Reference, Registered, SchemaLookup, SchemaType, value_subject};
pub use schema::{REFERENCES_DEEP_MAX, SCHEMA_BYTES_MAX, Schema};
pub use shape::{FieldShape, JSON_TEXT, Shape, UTC};
pub use table::TableSchema;
pub use validator::Validator;
