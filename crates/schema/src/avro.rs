//! Avro: the parsed form with names resolved, the translation to columns, and reading its binary encoding.

mod datum;
mod default;
mod nodes;
mod plan;
mod shapes;
mod text;

pub(crate) use nodes::{Logical, Node, Nodes, Record};
pub(crate) use plan::Plan;

use crate::shape::FieldShape;
use crate::{Error, SchemaType};
use std::collections::BTreeMap;

/// How deep a value may nest.
pub(crate) const DEPTH_MAX: usize = 128;

/// A checked Avro schema.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) nodes: Nodes,
}

impl Parsed {
    /// Parses a schema whose names may be found among the texts `used`.
    pub(crate) fn new(text: &str, used: &BTreeMap<String, String>) -> Result<Self, Error> {
        let invalid = |reason: String| Error::InvalidSchema { schema_type: SchemaType::Avro, reason };
        let (schema, used) = apache_avro::Schema::parse_str_with_list(text, used.values())
            .map_err(|error| invalid(error.to_string()))?;
        let nodes = Nodes::new(&schema, &used).map_err(invalid)?;
        Ok(Self { nodes })
    }

    /// The columns of its values, and whether values are records; of anything else there is a single field of no name.
    pub(crate) fn fields(&self) -> (Vec<FieldShape>, bool) {
        shapes::fields(&self.nodes)
    }

    /// Checks that `payload` is exactly one value of the schema.
    pub(crate) fn check(&self, payload: &[u8]) -> Result<(), String> {
        let mut datum = datum::Datum::new(payload);
        let checked = datum.skip(&self.nodes, self.nodes.root, 0).and_then(|()| datum.end());
        checked.map_err(|misfit| misfit.words())
    }
}
