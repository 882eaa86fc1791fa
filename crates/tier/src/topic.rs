//! A topic's own manifest, written when the topic changes, so that the topic can be made again from the bucket alone.

use crate::config::COMMIT_ATTEMPTS;
use crate::error::Error;
use crate::layout;
use crate::manifest::{FORMAT, TopicDescription, TopicManifest};
use crate::store::Created;
use crate::tier::Shared;
use object_store::path::Path;

impl Shared {
    /// Writes the topic's manifest, unless the last one says the same.
    pub(crate) async fn describe(&self, topic: &TopicDescription) -> Result<(), Error> {
        if self.topics.lock().get(&topic.id) == Some(topic) {
            return Ok(());
        }
        let folder = layout::topic_manifests(self.store.store.prefix(), &topic.name, topic.id);
        for _ in 0..COMMIT_ATTEMPTS {
            let last = self.topic_manifest(&folder).await?;
            let is_new = last.as_ref().is_none_or(|last| last.topic != *topic);
            let number = last.map_or(0, |last| last.number) + 1;
            if is_new {
                let manifest =
                    TopicManifest { format: FORMAT, number, written: self.runtime.clock.now(), topic: topic.clone() };
                let object = layout::numbered(&folder, number);
                if self.store.create(&object, manifest.encode()).await? == Created::Exists {
                    continue;
                }
                if let Some(old) = number.checked_sub(self.config.manifests_kept).filter(|old| *old > 0) {
                    self.store.delete(&layout::numbered(&folder, old)).await?;
                }
            }
            self.topics.lock().insert(topic.id, topic.clone());
            return Ok(());
        }
        Err(Error::Contended { partition: topic.name.clone(), attempts: COMMIT_ATTEMPTS })
    }

    /// The topic manifest with the highest number in `folder`.
    pub(crate) async fn topic_manifest(&self, folder: &Path) -> Result<Option<TopicManifest>, Error> {
        let Some(number) = self.highest(folder).await? else { return Ok(None) };
        let object = layout::numbered(folder, number);
        TopicManifest::decode(object.as_ref(), &self.store.get(&object).await?).map(Some)
    }
}
