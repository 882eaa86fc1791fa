//! The lifecycle verbs: validate, decide (pure), store. What runs follows the store.

use super::Host;
use super::entry::Entry;
use crate::{
    Deployment, DeploymentKey, DeploymentKind, DeploymentState, Error, Kind, ResetTo, State, Work, start, verbs,
};
use millstream_types::ErrorKind;
use serde_json::Value;
use std::sync::Arc;

impl Host {
    /// Checks a spec as [`Self::deploy`] would, and stores nothing.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn validate(&self, key: &DeploymentKey, spec: Value) -> Result<(), Error> {
        verbs::check_name(key)?;
        let next = verbs::deploy(self.deployment(key).as_ref(), key.clone(), spec);
        self.kind(key.kind)?.validate(&next).await
    }

    /// Stores a spec as the next generation of `key`; it goes on from the last committed offset.
    ///
    /// # Errors
    /// `Invalid` for a spec that does not pass, `Conflict` when another deploy came between.
    pub async fn deploy(&self, key: DeploymentKey, spec: Value) -> Result<Deployment, Error> {
        verbs::check_name(&key)?;
        let next = verbs::deploy(self.deployment(&key).as_ref(), key, spec);
        self.kind(next.key.kind)?.validate(&next).await?;
        self.put(next).await
    }

    /// Stores an earlier generation's spec as the next one: that of generation `to`, or of the one before.
    ///
    /// # Errors
    /// `NotFound` when that generation is not kept; `Invalid` when its spec does not pass any more.
    pub async fn rollback(&self, key: &DeploymentKey, to: Option<u32>) -> Result<Deployment, Error> {
        let next = verbs::rollback(&self.existing(key)?, to)?;
        self.kind(key.kind)?.validate(&next).await?;
        self.put(next).await
    }

    /// Stops its tasks; its progress stays.
    ///
    /// # Errors
    /// `NotFound`; those of the store.
    pub async fn pause(&self, key: &DeploymentKey) -> Result<Deployment, Error> {
        self.set_state(key, DeploymentState::Paused).await
    }

    /// Starts its tasks again, after a pause or after a failure.
    ///
    /// # Errors
    /// `NotFound`; those of the store.
    pub async fn resume(&self, key: &DeploymentKey) -> Result<Deployment, Error> {
        let failed = self.status_one(key).is_some_and(|status| status.state == State::Failed);
        if failed {
            let current = self.existing(key)?;
            let restarted = verbs::restart(&current);
            return self.put(Deployment { state: DeploymentState::Running, ..restarted }).await;
        }
        self.set_state(key, DeploymentState::Running).await
    }

    /// Stops its tasks and starts them again.
    ///
    /// # Errors
    /// `NotFound`; those of the store.
    pub async fn restart(&self, key: &DeploymentKey) -> Result<Deployment, Error> {
        self.put(verbs::restart(&self.existing(key)?)).await
    }

    /// Moves its progress, and starts its tasks there unless it is paused.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for an offset that is not there, or a source that can't go there.
    pub async fn reset(&self, key: &DeploymentKey, to: ResetTo) -> Result<Deployment, Error> {
        let current = self.existing(key)?;
        let topics = self.inner.context.topics.as_ref();
        let offsets = match self.kind(key.kind)?.work(&current).await? {
            Work::Operator(plan) => {
                let inputs = start::inputs(topics, &plan.inputs)?;
                Some(start::reset(topics, &inputs, to).await?)
            }
            Work::Source(_) if to == ResetTo::Earliest => None,
            Work::Source(_) => {
                let message = format!(
                    "{:?} is a source: it can only be reset to earliest, which reads everything again",
                    key.name
                );
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        };
        let entry = self.entry(&current);
        let mut slot = entry.slot.lock().await;
        self.inner.halt_held(&mut slot).await;
        let moved = match offsets {
            // What a run left open is undone first, or its offsets would come after.
            Some(offsets) => match topics.abort(&key.group()).await {
                Ok(()) => topics.commit(&key.group(), &offsets).await,
                Err(error) => Err(error),
            },
            None => self.inner.positions.forget(key, self.inner.context.runtime.clock.now()).await,
        };
        let stored = match moved {
            // Read again: a deploy may have come between.
            Ok(()) => self.put(verbs::restart(&self.existing(key)?)).await,
            Err(error) => Err(error),
        };
        drop(slot);
        self.inner.kick.notify_one();
        stored
    }

    /// Stops its tasks and forgets it, its progress too. Its topics stay.
    ///
    /// # Errors
    /// `NotFound`; those of the log and the store, and then it is still there.
    pub async fn delete(&self, key: &DeploymentKey) -> Result<(), Error> {
        let current = self.existing(key)?;
        let entry = self.entry(&current);
        let mut slot = entry.slot.lock().await;
        self.inner.halt_held(&mut slot).await;
        let deleted = match self.inner.forget_progress(key).await {
            Ok(()) => self.inner.store.delete(key).await,
            Err(error) => Err(error),
        };
        drop(slot);
        self.inner.kick.notify_one();
        deleted
    }

    async fn set_state(&self, key: &DeploymentKey, state: DeploymentState) -> Result<Deployment, Error> {
        let current = self.existing(key)?;
        match verbs::with_state(&current, state) {
            Some(changed) => self.put(changed).await,
            None => Ok(current),
        }
    }

    async fn put(&self, deployment: Deployment) -> Result<Deployment, Error> {
        self.inner.store.put(deployment.clone()).await?;
        Ok(deployment)
    }

    fn existing(&self, key: &DeploymentKey) -> Result<Deployment, Error> {
        let word = key.kind.word();
        let missing = || {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no {word} named {:?}: `millstream {word} list` shows them", key.name),
            )
        };
        self.deployment(key).ok_or_else(missing)
    }

    fn kind(&self, kind: DeploymentKind) -> Result<Arc<dyn Kind>, Error> {
        let missing = || {
            Error::new(
                ErrorKind::Unavailable,
                format!("this node was built without {}s: use one that has them", kind.word()),
            )
        };
        self.inner.kinds.lock().get(&kind).cloned().ok_or_else(missing)
    }

    fn entry(&self, deployment: &Deployment) -> Arc<Entry> {
        let mut entries = self.inner.entries.lock();
        entries.entry(deployment.key.clone()).or_insert_with(|| Arc::new(Entry::new(deployment))).clone()
    }
}
