//! Storing what people deployed. What a deployment is made of is its kind's business; here only generations are kept straight.

use crate::record::DeploymentRecord;
use crate::{Decision, Error, Image, Record};

/// Bytes of the largest deployment; what is bigger belongs into a topic.
pub const VALUE_LEN_MAX: usize = 1 << 20;

/// Stores a deployment. A new deploy carries the stored generation + 1 (1 where there is none); a change of state (pause, resume,
/// restart) carries the stored generation.
///
/// # Errors
/// [`Error::DeploymentConflict`] when another deploy came between, [`Error::InvalidRequest`] for an empty kind or name, or a value
/// beyond [`VALUE_LEN_MAX`].
pub fn put(image: &Image, record: DeploymentRecord) -> Result<Decision<()>, Error> {
    if record.kind.is_empty() || record.name.is_empty() {
        return Err(Error::InvalidRequest { reason: "a deployment must have a kind and a name".into() });
    }
    let len = record.value.to_string().len();
    if len > VALUE_LEN_MAX {
        let reason = format!("{} {:?} has {len} bytes; at most {VALUE_LEN_MAX} are allowed", record.kind, record.name);
        return Err(Error::InvalidRequest { reason });
    }
    let stored = image.deployment(&record.kind, &record.name);
    let generation = stored.map_or(0, |stored| stored.generation);
    let is_next = record.generation.checked_sub(1) == Some(generation);
    if !is_next && (stored.is_none() || record.generation != generation) {
        let DeploymentRecord { kind, name, generation: given, .. } = record;
        return Err(Error::DeploymentConflict { kind, name, stored: generation, given });
    }
    if stored.is_some_and(|stored| stored.generation == record.generation && stored.value == record.value) {
        return Ok(Decision::unchanged(()));
    }
    Ok(Decision::new(vec![Record::Deployment(record)], ()))
}

/// Forgets a deployment.
///
/// # Errors
/// [`Error::UnknownDeployment`].
pub fn delete(image: &Image, kind: &str, name: &str) -> Result<Decision<()>, Error> {
    let (kind, name) = (kind.to_owned(), name.to_owned());
    if image.deployment(&kind, &name).is_none() {
        return Err(Error::UnknownDeployment { kind, name });
    }
    Ok(Decision::new(vec![Record::RemoveDeployment { kind, name }], ()))
}
