//! Deployments as records of the metadata log.

use async_trait::async_trait;
use millstream_metadata::{DeploymentRecord, Image, deployments};
use millstream_quorum::{Error as QuorumError, Handle as Quorum};
use millstream_runtime::Tasks;
use millstream_task::{Deployment, DeploymentKey, DeploymentStore, Error};
use millstream_types::ErrorKind;
use tokio::sync::watch;

/// The deployments of the cluster.
pub struct QuorumDeployments {
    quorum: Quorum,
    current: watch::Sender<Vec<Deployment>>,
}

impl QuorumDeployments {
    /// Follows the quorum's image until `tasks` are stopped.
    pub fn follow(quorum: Quorum, tasks: &Tasks) -> Self {
        let current = watch::Sender::new(read(&quorum.image()));
        let (sender, mut images) = (current.clone(), quorum.watch());
        tasks.spawn_until_stopped("deployments follow the image", async move {
            while images.changed().await.is_ok() {
                let now = read(&images.borrow_and_update());
                sender.send_if_modified(|known| {
                    let changed = *known != now;
                    *known = now;
                    changed
                });
            }
        });
        Self { quorum, current }
    }
}

fn read(image: &Image) -> Vec<Deployment> {
    let mut found: Vec<Deployment> = image
        .deployments()
        .iter()
        .filter_map(|(key, stored)| match serde_json::from_value(stored.value.clone()) {
            Ok(deployment) => Some(deployment),
            Err(error) => {
                tracing::error!(kind = key.kind, name = key.name, %error, "a stored deployment can't be read, and does not run; deploy it again");
                None
            }
        })
        .collect();
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

fn refused(error: &QuorumError) -> Error {
    Error::new(error.kind(), error.to_string())
}

#[async_trait]
impl DeploymentStore for QuorumDeployments {
    fn watch(&self) -> watch::Receiver<Vec<Deployment>> {
        self.current.subscribe()
    }

    async fn put(&self, deployment: Deployment) -> Result<(), Error> {
        let value =
            serde_json::to_value(&deployment).map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
        let record = DeploymentRecord {
            kind: deployment.key.kind.word().to_owned(),
            name: deployment.key.name.clone(),
            generation: deployment.generation,
            value,
        };
        self.quorum.decide(|image| deployments::put(image, record)).await.map_err(|error| refused(&error))?;
        self.current.send_replace(read(&self.quorum.image()));
        Ok(())
    }

    async fn delete(&self, key: &DeploymentKey) -> Result<(), Error> {
        let decided = self.quorum.decide(|image| deployments::delete(image, key.kind.word(), &key.name)).await;
        decided.map_err(|error| refused(&error))?;
        self.current.send_replace(read(&self.quorum.image()));
        Ok(())
    }
}
