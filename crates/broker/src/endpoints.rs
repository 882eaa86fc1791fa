//! Where brokers are reached, as a client of one listener sees it.

use millstream_metadata::{Broker, Image};
use millstream_protocol::ResponseError;
use millstream_types::{BrokerId, LeaderEpoch, PartitionIndex, TopicId};

/// A broker's address on one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint<'a> {
    pub(crate) broker: BrokerId,
    pub(crate) host: &'a str,
    pub(crate) port: u16,
    pub(crate) rack: Option<&'a str>,
    pub(crate) fenced: bool,
}

/// Every broker that is not fenced and has the listener.
pub(crate) fn of_all<'a>(image: &'a Image, listener: &'a str) -> impl Iterator<Item = Endpoint<'a>> {
    image.brokers().filter(|broker| !broker.fenced).filter_map(move |broker| on(broker, listener))
}

/// The broker's address, unless it is fenced or has no such listener.
pub(crate) fn of<'a>(image: &'a Image, listener: &str, broker: BrokerId) -> Option<Endpoint<'a>> {
    image.broker(broker).filter(|broker| !broker.fenced).and_then(|broker| on(broker, listener))
}

/// Why a client of that listener can't reach a leader, if it can't.
pub(crate) fn leader_error(image: &Image, listener: &str, leader: BrokerId) -> Option<ResponseError> {
    match () {
        () if !image.is_alive(leader) => Some(ResponseError::LeaderNotAvailable),
        () if of(image, listener, leader).is_none() => Some(ResponseError::ListenerNotFound),
        () => None,
    }
}

/// Who leads a partition, where one of `codes` is that its asker, or who leads it here, does not know.
pub(crate) fn new_leader(image: &Image, topic: TopicId, index: i32, codes: &[i16]) -> Option<(BrokerId, LeaderEpoch)> {
    let stale = [ResponseError::NotLeaderOrFollower.code(), ResponseError::FencedLeaderEpoch.code()];
    let state = image.topic(topic)?.partition(PartitionIndex(index))?;
    codes.iter().any(|code| stale.contains(code)).then_some((state.leader, state.leader_epoch))
}

/// The broker's address on that listener, fenced or not.
pub(crate) fn on<'a>(broker: &'a Broker, listener: &str) -> Option<Endpoint<'a>> {
    let found = broker.listeners.iter().find(|known| known.name == listener)?;
    Some(Endpoint {
        broker: broker.id,
        host: &found.host,
        port: found.port,
        rack: broker.rack.as_deref(),
        fenced: broker.fenced,
    })
}
