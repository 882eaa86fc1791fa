//! Registering brokers, hearing from them, fencing them.

use crate::record::{BrokerRecord, Listener};
use crate::{Broker, Decision, Error, Image, Record, leaders};
use millstream_types::{BrokerEpoch, BrokerId, ClusterId, DirectoryId};
use std::sync::Arc;
use uuid::Uuid;

/// The level of features this version writes.
pub const FEATURE_LEVEL: i16 = 1;

/// What a broker says of itself when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// The broker.
    pub broker: BrokerId,
    /// New at each start of its process.
    pub incarnation: Uuid,
    /// Its data folder.
    pub directory: DirectoryId,
    /// Where it can be reached.
    pub listeners: Vec<Listener>,
    /// Where it stands.
    pub rack: Option<String>,
    /// Whether the controller has lately heard from the process that is registered under this id.
    pub predecessor_alive: bool,
}

/// What a broker says while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The broker.
    pub broker: BrokerId,
    /// The epoch its registration gave it.
    pub epoch: BrokerEpoch,
    /// It does not want to lead: it is still starting, or it is about to stop.
    pub want_fence: bool,
}

/// Forms the cluster. Nothing changes where it is formed; answers the id it has.
///
/// # Errors
/// None today: a result so that it is used as every decision.
pub fn form_cluster(image: &Image, cluster_id: ClusterId) -> Result<Decision<ClusterId>, Error> {
    match image.cluster_id() {
        Some(formed) => Ok(Decision::unchanged(formed)),
        None => Ok(Decision::new(vec![Record::Cluster { cluster_id, feature_level: FEATURE_LEVEL }], cluster_id)),
    }
}

/// Registers a broker, fenced; answers its epoch. The same incarnation again gets the same epoch; another one takes over, and what
/// its predecessor led has no leader, or another one, from then on.
///
/// # Errors
/// [`Error::DuplicateBroker`], [`Error::DirectoryChanged`], [`Error::InvalidRequest`].
pub fn register(image: &Image, request: &Register) -> Result<Decision<BrokerEpoch>, Error> {
    check_listeners(request)?;
    let previous = image.broker(request.broker);
    if let Some(previous) = previous {
        if previous.directory != request.directory {
            return Err(Error::DirectoryChanged {
                broker: request.broker,
                stored: previous.directory,
                given: request.directory,
            });
        }
        if previous.incarnation == request.incarnation && same_place(previous, request) {
            return Ok(Decision::unchanged(previous.epoch));
        }
        if previous.incarnation != request.incarnation && request.predecessor_alive {
            return Err(Error::DuplicateBroker { broker: request.broker });
        }
    }
    let epoch = BrokerEpoch(image.last_broker_epoch().0.max(0)).next();
    let mut records = vec![Record::RegisterBroker(BrokerRecord {
        broker: request.broker,
        incarnation: request.incarnation,
        directory: request.directory,
        epoch,
        listeners: request.listeners.clone(),
        rack: request.rack.clone(),
        fenced: true,
    })];
    if previous.is_some_and(|previous| !previous.fenced) {
        records.extend(leaders::leave(image, request.broker));
    }
    Ok(Decision::new(records, epoch))
}

/// Hears from a broker: unfences it when it is ready to lead, fences it when it wants to be. Answers whether it is fenced.
///
/// # Errors
/// [`Error::UnknownBroker`] or [`Error::StaleBrokerEpoch`].
pub fn heartbeat(image: &Image, request: Heartbeat) -> Result<Decision<bool>, Error> {
    let broker = check_epoch(image, request.broker, request.epoch)?;
    match (broker.fenced, request.want_fence) {
        (true, false) => {
            let unfence = Record::UnfenceBroker { broker: request.broker, epoch: request.epoch };
            let records = std::iter::once(unfence).chain(leaders::join(image, request.broker)).collect();
            Ok(Decision::new(records, false))
        }
        (false, true) => Ok(fence(image, request.broker, request.epoch)?.map(|()| true)),
        (fenced, _) => Ok(Decision::unchanged(fenced)),
    }
}

/// Fences a broker: it leads nothing from then on.
///
/// # Errors
/// [`Error::UnknownBroker`] or [`Error::StaleBrokerEpoch`].
pub fn fence(image: &Image, broker: BrokerId, epoch: BrokerEpoch) -> Result<Decision<()>, Error> {
    if check_epoch(image, broker, epoch)?.fenced {
        return Ok(Decision::unchanged(()));
    }
    let fence = Record::FenceBroker { broker, epoch };
    Ok(Decision::new(std::iter::once(fence).chain(leaders::leave(image, broker)).collect(), ()))
}

/// Forgets a broker for good. It must be fenced, so that nothing is led by what is forgotten.
///
/// # Errors
/// [`Error::UnknownBroker`], or [`Error::InvalidRequest`] while it is not fenced.
pub fn unregister(image: &Image, broker: BrokerId) -> Result<Decision<()>, Error> {
    let registered = image.broker(broker).ok_or(Error::UnknownBroker { broker })?;
    if !registered.fenced {
        return Err(Error::InvalidRequest {
            reason: format!("broker {broker} is running; stop it before it is unregistered"),
        });
    }
    Ok(Decision::new(vec![Record::UnregisterBroker { broker, epoch: registered.epoch }], ()))
}

/// The broker, if `epoch` is the one it was given last.
///
/// # Errors
/// [`Error::UnknownBroker`] or [`Error::StaleBrokerEpoch`].
pub fn check_epoch(image: &Image, broker: BrokerId, epoch: BrokerEpoch) -> Result<&Arc<Broker>, Error> {
    let registered = image.broker(broker).ok_or(Error::UnknownBroker { broker })?;
    if registered.epoch != epoch {
        return Err(Error::StaleBrokerEpoch { broker, given: epoch, current: registered.epoch });
    }
    Ok(registered)
}

fn same_place(previous: &Broker, request: &Register) -> bool {
    previous.listeners == request.listeners && previous.rack == request.rack
}

fn check_listeners(request: &Register) -> Result<(), Error> {
    let broker = request.broker;
    let refuse = |reason: String| Err(Error::InvalidRequest { reason });
    if broker.0 < 0 {
        return refuse(format!("the node id is {broker}; expected 0 or more"));
    }
    if request.listeners.is_empty() {
        return refuse(format!("broker {broker} names no listener; clients could not reach it"));
    }
    for (place, listener) in request.listeners.iter().enumerate() {
        if request.listeners[..place].iter().any(|other| other.name == listener.name) {
            return refuse(format!("broker {broker} names the listener {:?} twice", listener.name));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Registered brokers: id, rack, fenced.
    pub(crate) fn cluster(brokers: &[(i32, Option<&str>, bool)]) -> Image {
        let mut image = Image::default();
        for (id, rack, fenced) in brokers {
            let request = registration(*id, 1, rack.map(str::to_owned));
            let decision = register(&image, &request).unwrap();
            image.replay_all(&decision.records).unwrap();
            if !fenced {
                unfence(&mut image, *id);
            }
        }
        image
    }

    pub(crate) fn registration(id: i32, incarnation: u128, rack: Option<String>) -> Register {
        Register {
            broker: BrokerId(id),
            incarnation: Uuid::from_u128(incarnation),
            directory: DirectoryId(Uuid::from_u128(u128::try_from(id).unwrap() + 1000)),
            listeners: vec![Listener { name: "PLAINTEXT".into(), host: "127.0.0.1".into(), port: 9092 }],
            rack,
            predecessor_alive: false,
        }
    }

    pub(crate) fn unfence(image: &mut Image, id: i32) {
        let epoch = image.broker(BrokerId(id)).unwrap().epoch;
        let beat = Heartbeat { broker: BrokerId(id), epoch, want_fence: false };
        let decision = heartbeat(image, beat).unwrap();
        assert!(!decision.answer);
        image.replay_all(&decision.records).unwrap();
    }
}
