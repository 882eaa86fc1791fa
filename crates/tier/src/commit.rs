//! Manifests in the store: the highest number counts, and a new one is written only where nobody else has written that number.

use crate::config::COMMIT_ATTEMPTS;
use crate::error::Error;
use crate::layout;
use crate::manifest::{FORMAT, Manifest};
use crate::state::Partition;
use crate::store::Created;
use crate::tier::Shared;
use millstream_types::LeaderEpoch;
use object_store::path::Path;
use std::sync::Arc;
use uuid::Uuid;

impl Shared {
    /// The partition's manifest: as known, or read now.
    pub(crate) async fn manifest(&self, partition: &Partition) -> Result<Arc<Manifest>, Error> {
        if let Some(known) = partition.manifest() {
            return Ok(known);
        }
        let _loader = partition.loader.lock().await;
        match partition.manifest() {
            Some(known) => Ok(known),
            None => self.read_highest(partition).await,
        }
    }

    /// Reads the manifest with the highest number, whatever is known.
    pub(crate) async fn reload(&self, partition: &Partition) -> Result<Arc<Manifest>, Error> {
        let _loader = partition.loader.lock().await;
        self.read_highest(partition).await
    }

    async fn read_highest(&self, partition: &Partition) -> Result<Arc<Manifest>, Error> {
        let folder = self.manifests(partition);
        let read = async {
            match self.highest(&folder).await? {
                None => Ok(Manifest::empty(&partition.topic, partition.id)),
                Some(number) => {
                    let object = layout::numbered(&folder, number);
                    let manifest = Manifest::decode(object.as_ref(), &self.store.get(&object).await?)?;
                    if manifest.id() != partition.id || manifest.number != number {
                        return Err(Error::corrupt(&object, "it is the manifest of another partition or number"));
                    }
                    Ok(manifest)
                }
            }
        };
        // A manifest that was listed may be removed by a writer that is many numbers further.
        let manifest = match read.await {
            Err(Error::Missing { .. }) => {
                let number = self.highest(&folder).await?.unwrap_or(0);
                let object = layout::numbered(&folder, number);
                Manifest::decode(object.as_ref(), &self.store.get(&object).await?)?
            }
            read => read?,
        };
        Ok(partition.set_manifest(manifest))
    }

    /// The highest number of a manifest in `folder`.
    pub(crate) async fn highest(&self, folder: &Path) -> Result<Option<u64>, Error> {
        Ok(self.store.list(folder).await?.iter().filter_map(|object| layout::number_of(&object.location)).max())
    }

    /// Writes the next manifest as `change` makes it of the current one; none where there is nothing to change. Where another writer was
    /// faster, `change` is asked again, unless that writer leads in a newer epoch.
    pub(crate) async fn commit(
        &self,
        partition: &Partition,
        epoch: LeaderEpoch,
        change: impl Fn(&Manifest) -> Option<Manifest> + Send + Sync,
    ) -> Result<Arc<Manifest>, Error> {
        let mut current = self.manifest(partition).await?;
        for _ in 0..COMMIT_ATTEMPTS {
            if current.leader_epoch > epoch {
                let (partition, theirs) = (partition.name.clone(), current.leader_epoch);
                return Err(Error::Fenced { partition, ours: epoch, theirs });
            }
            let Some(next) = change(&current) else { return Ok(current) };
            let next = Manifest {
                format: FORMAT,
                number: current.number + 1,
                write_id: Uuid::from_u128(self.runtime.random.next_u128()),
                leader_epoch: epoch,
                written: self.runtime.clock.now(),
                ..next
            };
            if let Some(written) = self.write(partition, next).await? {
                return Ok(written);
            }
            current = self.reload(partition).await?;
        }
        Err(Error::Contended { partition: partition.name.clone(), attempts: COMMIT_ATTEMPTS })
    }

    /// Writes one manifest; none where its number is taken.
    async fn write(&self, partition: &Partition, next: Manifest) -> Result<Option<Arc<Manifest>>, Error> {
        let folder = self.manifests(partition);
        let object = layout::numbered(&folder, next.number);
        match self.store.create(&object, next.encode()).await {
            Ok(Created::Yes) => {}
            // It is there, but a power cut may take it: nothing may be deleted on its account.
            Err(error @ Error::Disk { .. }) => return Err(error),
            // An answer that was lost leaves open whether it was written: the store knows.
            outcome => {
                let found = self.store.get(&object).await.and_then(|bytes| Manifest::decode(object.as_ref(), &bytes));
                match (outcome, found) {
                    (_, Ok(found)) if found.write_id == next.write_id => {}
                    (Ok(_), _) | (Err(_), Ok(_)) => return Ok(None),
                    (Err(error), Err(_)) => return Err(error),
                }
            }
        }
        let number = next.number;
        let written = partition.set_manifest(next);
        if let Some(old) = number.checked_sub(self.config.manifests_kept).filter(|old| *old > 0) {
            let old = layout::numbered(&folder, old);
            if let Err(error) = self.store.delete(&old).await {
                tracing::debug!(object = %old, %error, "an old manifest was not removed; the next sweep removes it");
            }
        }
        Ok(Some(written))
    }

    pub(crate) fn manifests(&self, partition: &Partition) -> Path {
        layout::manifests(self.store.store.prefix(), &partition.topic, partition.id)
    }

    pub(crate) fn object_path(&self, partition: &Partition, name: &str) -> Path {
        layout::within(&layout::partition_prefix(self.store.store.prefix(), &partition.topic, partition.id), name)
    }
}
