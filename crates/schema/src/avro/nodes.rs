//! An Avro schema as a table of nodes, so that names, recursive ones too, are plain indexes.

use apache_avro::schema::{Alias, InnerDecimalSchema, Name, RecordSchema, Schema, UuidSchema};
use std::collections::HashMap;

/// The most nodes that one schema may have.
const NODES_MAX: usize = 100_000;

/// The nodes of one schema.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nodes {
    pub(crate) list: Vec<Node>,
    pub(crate) root: usize,
}

/// One type.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    Null,
    Boolean,
    Int(Logical),
    Long(Logical),
    Float,
    Double,
    Bytes(Logical),
    String,
    Fixed(usize, Logical),
    Enum(Enum),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Record),
}

impl Node {
    /// Avro's word for it.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int(_) => "int",
            Self::Long(_) => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes(_) => "bytes",
            Self::String => "string",
            Self::Fixed(..) => "fixed",
            Self::Enum(_) => "enum",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
        }
    }
}

/// A record's name and fields.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) names: Names,
    pub(crate) fields: Vec<RecordField>,
}

/// An enum's names and symbols.
#[derive(Debug, Clone)]
pub(crate) struct Enum {
    pub(crate) names: Names,
    pub(crate) symbols: Vec<String>,
    pub(crate) has_default: bool,
}

/// A type's name and its aliases, both without their namespaces: that is how Avro matches a writer's type with a reader's.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
}

impl Names {
    fn of(name: &Name, aliases: Option<&Vec<Alias>>) -> Self {
        let aliases = aliases.map_or(&[][..], Vec::as_slice).iter().map(Alias::name).map(str::to_owned).collect();
        Self { name: name.name().to_owned(), aliases }
    }

    /// Whether a reader of these names takes what a writer of that name wrote.
    pub(crate) fn take(&self, writer: &Self) -> bool {
        self.name == writer.name || self.aliases.contains(&writer.name)
    }
}

/// One field of a record.
#[derive(Debug, Clone)]
pub(crate) struct RecordField {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) default: Option<serde_json::Value>,
    pub(crate) node: usize,
}

/// What a physical type stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    None,
    Date,
    TimeMillis,
    TimeMicros,
    /// A moment in UTC, or on a local clock.
    TimestampMillis(bool),
    TimestampMicros(bool),
    TimestampNanos(bool),
    Decimal(usize, usize),
    Uuid,
}

impl Nodes {
    /// Lays out `schema`; names that it does not define itself are looked for in `used`.
    pub(crate) fn new(schema: &Schema, used: &[Schema]) -> Result<Self, String> {
        let mut build = Build { nodes: Self::default(), names: HashMap::new(), waiting: Vec::new() };
        for one in used {
            build.add(one)?;
        }
        build.nodes.root = build.add(schema)?;
        build.resolve()
    }

    pub(crate) fn get(&self, index: usize) -> &Node {
        self.list.get(index).unwrap_or(&Node::Null)
    }
}

struct Build {
    nodes: Nodes,
    names: HashMap<String, usize>,
    /// Indexes that stand for a name until all are known.
    waiting: Vec<String>,
}

/// Indexes from here on stand for names that wait: no schema has so many nodes.
const WAITING: usize = usize::MAX / 2;

impl Build {
    fn push(&mut self, node: Node) -> Result<usize, String> {
        if self.nodes.list.len() >= NODES_MAX {
            return Err(format!("it has more than {NODES_MAX} types"));
        }
        self.nodes.list.push(node);
        Ok(self.nodes.list.len() - 1)
    }

    fn add(&mut self, schema: &Schema) -> Result<usize, String> {
        let node = match schema {
            Schema::Ref { name } => {
                self.waiting.push(name.fullname(None));
                return Ok(WAITING + self.waiting.len() - 1);
            }
            Schema::Null => Node::Null,
            Schema::Boolean => Node::Boolean,
            Schema::Int => Node::Int(Logical::None),
            Schema::Long => Node::Long(Logical::None),
            Schema::Float => Node::Float,
            Schema::Double => Node::Double,
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => Node::Bytes(Logical::None),
            Schema::String | Schema::Uuid(UuidSchema::String) => Node::String,
            Schema::Date => Node::Int(Logical::Date),
            Schema::TimeMillis => Node::Int(Logical::TimeMillis),
            Schema::TimeMicros => Node::Long(Logical::TimeMicros),
            Schema::TimestampMillis => Node::Long(Logical::TimestampMillis(true)),
            Schema::TimestampMicros => Node::Long(Logical::TimestampMicros(true)),
            Schema::TimestampNanos => Node::Long(Logical::TimestampNanos(true)),
            Schema::LocalTimestampMillis => Node::Long(Logical::TimestampMillis(false)),
            Schema::LocalTimestampMicros => Node::Long(Logical::TimestampMicros(false)),
            Schema::LocalTimestampNanos => Node::Long(Logical::TimestampNanos(false)),
            Schema::Array(array) => Node::Array(self.add(&array.items)?),
            Schema::Map(map) => Node::Map(self.add(&map.types)?),
            Schema::Union(union) => {
                Node::Union(union.variants().iter().map(|variant| self.add(variant)).collect::<Result<_, _>>()?)
            }
            named => return self.add_named(named),
        };
        self.push(node)
    }

    fn add_named(&mut self, schema: &Schema) -> Result<usize, String> {
        let node = match schema {
            Schema::Enum(schema) => Node::Enum(Enum {
                names: Names::of(&schema.name, schema.aliases.as_ref()),
                symbols: schema.symbols.clone(),
                has_default: schema.default.is_some(),
            }),
            Schema::Fixed(schema) => Node::Fixed(schema.size, Logical::None),
            Schema::Duration(schema) => Node::Fixed(schema.size, Logical::None),
            Schema::Uuid(UuidSchema::Fixed(schema)) => Node::Fixed(schema.size, Logical::Uuid),
            Schema::Decimal(decimal) => {
                let logical = Logical::Decimal(decimal.precision, decimal.scale);
                match &decimal.inner {
                    InnerDecimalSchema::Bytes => Node::Bytes(logical),
                    InnerDecimalSchema::Fixed(schema) => {
                        let index = self.push(Node::Fixed(schema.size, logical))?;
                        self.names.insert(schema.name.fullname(None), index);
                        return Ok(index);
                    }
                }
            }
            Schema::Record(record) => Node::Record(self.record(record)?),
            _ => Node::Null,
        };
        let index = self.push(node)?;
        if let Some(name) = schema.name() {
            self.names.insert(name.fullname(None), index);
        }
        Ok(index)
    }

    fn record(&mut self, record: &RecordSchema) -> Result<Record, String> {
        let mut fields = Vec::with_capacity(record.fields.len());
        for field in &record.fields {
            fields.push(RecordField {
                name: field.name.clone(),
                aliases: field.aliases.clone(),
                default: field.default.clone(),
                node: self.add(&field.schema)?,
            });
        }
        Ok(Record { names: Names::of(&record.name, record.aliases.as_ref()), fields })
    }

    fn resolve(mut self) -> Result<Nodes, String> {
        let targets = self
            .waiting
            .iter()
            .map(|name| self.names.get(name).copied().ok_or_else(|| format!("the name {name:?} is not defined")))
            .collect::<Result<Vec<_>, _>>()?;
        let resolve = |index: &mut usize| {
            if *index >= WAITING {
                *index = targets.get(*index - WAITING).copied().unwrap_or_default();
            }
        };
        resolve(&mut self.nodes.root);
        for node in &mut self.nodes.list {
            match node {
                Node::Array(inner) | Node::Map(inner) => resolve(inner),
                Node::Union(branches) => branches.iter_mut().for_each(resolve),
                Node::Record(record) => record.fields.iter_mut().for_each(|field| resolve(&mut field.node)),
                _ => {}
            }
        }
        Ok(self.nodes)
    }
}
