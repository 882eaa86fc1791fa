//! Stored deployments in memory.

use crate::{Deployment, DeploymentKey, DeploymentStore, Error};
use async_trait::async_trait;
use millstream_types::ErrorKind;
use tokio::sync::watch;

/// A [`DeploymentStore`] that forgets everything when it is dropped.
pub struct MemoryDeployments {
    stored: watch::Sender<Vec<Deployment>>,
}

impl MemoryDeployments {
    /// A store without deployments.
    #[must_use]
    pub fn new() -> Self {
        Self { stored: watch::Sender::new(Vec::new()) }
    }
}

impl Default for MemoryDeployments {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl DeploymentStore for MemoryDeployments {
    fn watch(&self) -> watch::Receiver<Vec<Deployment>> {
        self.stored.subscribe()
    }

    async fn put(&self, deployment: Deployment) -> Result<(), Error> {
        let mut outcome = Ok(());
        self.stored.send_if_modified(|stored| {
            let place = stored.binary_search_by(|each| each.key.cmp(&deployment.key));
            let before = place.ok().map(|at| stored[at].generation);
            let follows = match before {
                None => deployment.generation == 1,
                Some(before) => deployment.generation == before || deployment.generation == before + 1,
            };
            if !follows {
                outcome = Err(conflict(&deployment, before));
                return false;
            }
            match place {
                Ok(at) => stored[at] = deployment,
                Err(at) => stored.insert(at, deployment),
            }
            true
        });
        outcome
    }

    async fn delete(&self, key: &DeploymentKey) -> Result<(), Error> {
        let found = self.stored.send_if_modified(|stored| {
            let before = stored.len();
            stored.retain(|each| each.key != *key);
            stored.len() < before
        });
        if found {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("there is no {} named {:?}", key.kind.word(), key.name)))
    }
}

fn conflict(deployment: &Deployment, before: Option<u32>) -> Error {
    let stored = before.map_or_else(|| "nothing".to_owned(), |generation| format!("generation {generation}"));
    Error::new(
        ErrorKind::Conflict,
        format!(
            "generation {} of {} {:?} does not follow what is stored ({stored}): another deploy came between; look at it and deploy again",
            deployment.generation,
            deployment.key.kind.word(),
            deployment.key.name
        ),
    )
}
