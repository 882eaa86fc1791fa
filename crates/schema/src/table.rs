//! A topic's values as a table: the columns that its registered schema gives.

use crate::schema::{Body, Schema};
use crate::shape::FieldShape;
use crate::{Error, Registered, SchemaLookup, SchemaType};
use arrow::datatypes::{Fields, Schema as ArrowSchema, SchemaRef};
use std::sync::Arc;

/// The columns of a schema.
#[derive(Debug, Clone)]
pub struct TableSchema {
    id: i32,
    fields: Vec<FieldShape>,
    is_record: bool,
    pub(crate) schema: Schema,
}

impl TableSchema {
    /// What the single column of a schema is called that does not describe objects: a topic of plain numbers, say.
    pub const SINGLE: &'static str = "_value";

    /// The columns of a registered schema.
    ///
    /// # Errors
    /// When the registered text can't be parsed any more, or a reference leads nowhere.
    pub fn of(registered: &Registered, lookup: &dyn SchemaLookup) -> Result<Self, Error> {
        let schema = Schema::of(registered, lookup)?;
        let (mut fields, is_record) = match &schema.body {
            Body::Json(parsed) => parsed.fields(),
            Body::Avro(parsed) => parsed.fields(),
        };
        if !is_record {
            fields.iter_mut().for_each(|field| Self::SINGLE.clone_into(&mut field.name));
        }
        Ok(Self { id: registered.id, fields, is_record, schema })
    }

    /// The id of the schema.
    #[must_use]
    pub const fn id(&self) -> i32 {
        self.id
    }

    /// The language of the schema, which is the format of the values.
    #[must_use]
    pub const fn schema_type(&self) -> SchemaType {
        self.schema.schema_type()
    }

    /// The columns, in the schema's order.
    #[must_use]
    pub fn fields(&self) -> &[FieldShape] {
        &self.fields
    }

    /// The columns as Arrow has them; all may be null.
    #[must_use]
    pub fn arrow(&self) -> SchemaRef {
        Arc::new(ArrowSchema::new(self.fields.iter().map(FieldShape::arrow).collect::<Fields>()))
    }

    /// Whether values are objects with fields, and not single values.
    pub(crate) const fn is_record(&self) -> bool {
        self.is_record
    }
}
