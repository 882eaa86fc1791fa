//! What a field's values look like as a column: the one form that JSON Schema and Avro both translate to.

use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use std::collections::HashMap;
use std::sync::Arc;

/// The key of a column's metadata that says that its texts are JSON, so that writing them as JSON does not quote them.
pub const JSON_TEXT: &str = "millstream.json";

/// The time zone of columns of moments. Spelled as an offset, which every reader of Arrow knows without a table of zones.
pub const UTC: &str = "+00:00";

/// The type of a column. Every column may hold nulls: a tombstone is a row without fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// True or false.
    Boolean,
    /// Avro's int.
    Int32,
    /// An integer.
    Int64,
    /// Avro's float.
    Float32,
    /// A number.
    Float64,
    /// A string.
    Text,
    /// A value of no single type, as JSON text.
    Json,
    /// Bytes.
    Binary,
    /// A day.
    Date,
    /// A time of day.
    Time(TimeUnit),
    /// A moment: in UTC, or on a clock of no known place.
    Timestamp(TimeUnit, bool),
    /// Exact decimal digits.
    Decimal(u8, i8),
    /// Fields of their own.
    Struct(Vec<FieldShape>),
    /// Many of one type.
    List(Box<Self>),
    /// Texts that lead to values of one type.
    Map(Box<Self>),
}

/// A named field.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldShape {
    /// Its name.
    pub name: String,
    /// Its type.
    pub shape: Shape,
    /// Whether a row without it does not fit.
    pub required: bool,
    /// Whether its value may be null though it is required.
    pub nullable: bool,
}

impl FieldShape {
    /// Its Arrow field.
    #[must_use]
    pub fn arrow(&self) -> FieldRef {
        arrow_field(&self.name, &self.shape)
    }
}

fn arrow_field(name: &str, shape: &Shape) -> FieldRef {
    let field = Field::new(name, shape.arrow(), true);
    Arc::new(match shape {
        Shape::Json => field.with_metadata(HashMap::from([(JSON_TEXT.to_owned(), "true".to_owned())])),
        _ => field,
    })
}

impl Shape {
    /// Its Arrow type.
    #[must_use]
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::Text | Self::Json => DataType::Utf8,
            Self::Binary => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time(TimeUnit::Millisecond) => DataType::Time32(TimeUnit::Millisecond),
            Self::Time(unit) => DataType::Time64(*unit),
            Self::Timestamp(unit, utc) => DataType::Timestamp(*unit, utc.then(|| UTC.into())),
            Self::Decimal(precision, scale) => DataType::Decimal128(*precision, *scale),
            Self::Struct(fields) => DataType::Struct(fields.iter().map(FieldShape::arrow).collect()),
            Self::List(item) => DataType::List(arrow_field("item", item)),
            Self::Map(value) => DataType::Map(map_entries(value), false),
        }
    }

    /// The word for it in messages.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Boolean => "true or false",
            Self::Int32 | Self::Int64 => "an integer",
            Self::Float32 | Self::Float64 => "a number",
            Self::Text => "a string",
            Self::Json => "a value",
            Self::Binary => "bytes",
            Self::Date => "a date like 2013-01-31",
            Self::Time(_) => "a time of day",
            Self::Timestamp(..) => "a date and time like 2013-01-31T10:00:00Z",
            Self::Decimal(..) => "a decimal",
            Self::Struct(_) | Self::Map(_) => "an object",
            Self::List(_) => "an array",
        }
    }
}

/// The entries of a map column: keys are never null.
pub(crate) fn map_entries(value: &Shape) -> FieldRef {
    let fields = Fields::from(vec![Arc::new(Field::new("keys", DataType::Utf8, false)), arrow_field("values", value)]);
    Arc::new(Field::new("entries", DataType::Struct(fields), false))
}
