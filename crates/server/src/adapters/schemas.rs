//! The schema registry over the metadata log: looked up by tables, written by its HTTP paths.

use async_trait::async_trait;
use millstream_admin::{Schemas, SchemasError};
use millstream_metadata::schemas::{self, Register, Registered as Placed};
use millstream_metadata::{Decision, Error as MetadataError, Image, SchemaType as StoredType};
use millstream_quorum::{Error as QuorumError, Handle as Quorum};
use millstream_schema::{Reference, Registered, SchemaLookup, SchemaType};
use millstream_task::Error;
use std::sync::Arc;

/// The registry of the cluster.
#[derive(Clone)]
pub struct QuorumSchemas(pub Quorum);

fn registered(image: &Image, subject: &str, version: i32, id: i32) -> Option<Registered> {
    let content = image.schema(id)?;
    let references = content.references.iter();
    Some(Registered {
        id,
        version,
        subject: subject.to_owned(),
        schema_type: match content.schema_type {
            StoredType::Avro => SchemaType::Avro,
            StoredType::Json => SchemaType::Json,
            StoredType::Protobuf => SchemaType::Protobuf,
        },
        text: content.text.clone(),
        references: references
            .map(|one| Reference { name: one.name.clone(), subject: one.subject.clone(), version: one.version })
            .collect(),
    })
}

impl SchemaLookup for QuorumSchemas {
    fn latest(&self, subject: &str) -> Option<Registered> {
        let image = self.0.image();
        let (version, state) = image.subject(subject)?.latest()?;
        registered(&image, subject, version, state.id)
    }

    fn by_id(&self, id: i32) -> Option<Registered> {
        let image = self.0.image();
        let find = |(name, stored): (&Arc<str>, &Arc<millstream_metadata::Subject>)| {
            let version = stored.versions.iter().find(|(_, state)| state.id == id).map(|(version, _)| *version)?;
            registered(&image, name, version, id)
        };
        image.subjects().iter().find_map(find)
    }

    fn by_version(&self, subject: &str, version: i32) -> Option<Registered> {
        let image = self.0.image();
        let id = image.subject(subject)?.versions.get(&version)?.id;
        registered(&image, subject, version, id)
    }
}

impl QuorumSchemas {
    async fn decide<T>(
        &self,
        decide: impl FnOnce(&Image) -> Result<Decision<T>, MetadataError> + Send,
    ) -> Result<T, SchemasError> {
        self.0.decide(decide).await.map_err(|error| match error {
            QuorumError::Refused(error) => SchemasError::Metadata(error),
            other => SchemasError::Other(Error::new(other.kind(), other.to_string())),
        })
    }
}

#[async_trait]
impl Schemas for QuorumSchemas {
    fn image(&self) -> Arc<Image> {
        self.0.image()
    }

    async fn register(&self, request: Register) -> Result<Placed, SchemasError> {
        self.decide(|image| schemas::register(image, &request)).await
    }

    async fn delete_version(&self, subject: &str, version: Option<i32>, permanent: bool) -> Result<i32, SchemasError> {
        self.decide(|image| schemas::delete_version(image, subject, version, permanent)).await
    }

    async fn delete_subject(&self, subject: &str, permanent: bool) -> Result<Vec<i32>, SchemasError> {
        self.decide(|image| schemas::delete_subject(image, subject, permanent)).await
    }

    async fn set_compatibility(&self, subject: Option<&str>, level: &str) -> Result<(), SchemasError> {
        self.decide(|image| schemas::set_compatibility(image, subject, level)).await
    }

    async fn delete_compatibility(&self, subject: Option<&str>) -> Result<Option<String>, SchemasError> {
        self.decide(|image| schemas::delete_compatibility(image, subject)).await
    }
}
