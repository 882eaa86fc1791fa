//! ShareFetch (KIP-932): what a member acknowledges first, then records that it acquires, waiting for some where there are none.
//!
//! Per batch it costs what a fetch does, and the copy of its header, by which it is known what is acquired.

use crate::codes::Failure;
use crate::endpoints;
use crate::handlers::share_acknowledge::{Said, session_refused};
use crate::service::{Broker, Call};
use crate::shares::{
    FINAL_EPOCH, Got, Member, Opened, Partition, SessionContext, SessionRequest, ShareAssembly, ShareOptions, Taking,
    endpoint, leader,
};
use crate::topics;
use futures::future::select_all;
use millstream_group::share::ShareKey;
use millstream_protocol::ResponseError;
use millstream_protocol::messages::ShareFetchRequest;
use millstream_types::{Offset, TopicId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A partition of a share fetch, looked up once.
struct Target {
    partition: Partition,
    opened: Result<Arc<Opened>, Failure>,
}

/// The limits of a request.
struct Asked {
    max_wait: Duration,
    min_bytes: usize,
    max_bytes: usize,
    records_max: i64,
    keeps_limit: bool,
    batch_records: i64,
}

/// How records are acquired, where a member takes no more than it asks for (KIP-1206).
const RECORD_LIMIT: i8 = 1;

impl Asked {
    fn new(request: &ShareFetchRequest, max_bytes: usize) -> Self {
        let positive = |number: i32| usize::try_from(number).unwrap_or(0);
        let max_bytes = positive(request.max_bytes).min(max_bytes);
        Self {
            max_wait: Duration::from_millis(positive(request.max_wait_ms) as u64),
            min_bytes: positive(request.min_bytes).min(max_bytes),
            max_bytes,
            records_max: i64::from(request.max_records.max(0)),
            keeps_limit: request.share_acquire_mode == RECORD_LIMIT,
            batch_records: i64::from(request.batch_size.max(1)),
        }
    }
}

impl Broker {
    /// Answers ShareFetch.
    pub(crate) async fn share_fetch(&self, call: &Call<'_>, request: ShareFetchRequest) -> ShareAssembly {
        let member = match Member::of(request.group_id.as_ref().map(|group| &*group.0), request.member_id.as_deref()) {
            Ok(member) => member,
            Err(failure) => return ShareAssembly::refused(failure),
        };
        let asked = Asked::new(&request, self.settings.fetch_max_bytes);
        let options = self.shares.options(&member.group);
        let said = Said::of_fetch(&request);
        if let Err(failure) = check_renewal(&request) {
            return ShareAssembly::refused(failure);
        }
        let renews = request.is_renew_ack && options.renews;
        let context = self.share_sessions.lock().fetch(&member, session_request(&request, &said), call.connection);
        let context = match context {
            Ok(context) => context,
            Err(refused) => {
                return ShareAssembly::refused(session_refused(refused, &member, request.share_session_epoch));
            }
        };
        let (mut acknowledged, found) = tokio::join!(
            self.acknowledged(&member, said, renews),
            self.share_gather(&asked, &context, &member, &options)
        );
        if context.ends {
            self.end_share_session(&member).await;
        }
        let mut assembly = ShareAssembly::new(options.limits.lock_ms);
        let mut found: Vec<(Partition, Got)> = found;
        for partition in acknowledged.keys() {
            if !found.iter().any(|(known, _)| known == partition) {
                found.push((*partition, Got::Nothing));
            }
        }
        // One topic's partitions are told together.
        found.sort_by_key(|(partition, _)| partition.0);
        let mut sessions = self.share_sessions.lock();
        for (partition, got) in found {
            let said = acknowledged.remove(&partition);
            let (has_records, failed) = (got.bytes() > 0, matches!(got, Got::Failed(_)));
            let is_new = sessions.answered(&member, partition, has_records, failed);
            if is_new || said.is_some() || !context.incremental {
                assembly.add(partition, got, said.and_then(Result::err));
            }
        }
        drop(sessions);
        self.tell_share_leaders(call, &mut assembly);
        assembly
    }

    async fn share_targets(&self, context: &SessionContext, member: &Member, options: &ShareOptions) -> Vec<Target> {
        let image = self.image();
        let mut targets = Vec::with_capacity(context.partitions.len());
        for partition in &context.partitions {
            let log = topics::of_id(&image, partition.0).and_then(|topic| self.partition_of(topic, partition.1));
            let opened = match log {
                Ok(log) => {
                    let key = ShareKey { group: member.group.clone(), topic: partition.0, partition: partition.1 };
                    self.shares.open(&key, &log, options).await
                }
                Err(failure) => Err(failure),
            };
            targets.push(Target { partition: *partition, opened });
        }
        targets
    }

    /// Takes what there is until it is something, or time is up.
    async fn share_gather(
        &self,
        asked: &Asked,
        context: &SessionContext,
        member: &Member,
        options: &ShareOptions,
    ) -> Vec<(Partition, Got)> {
        let deadline = self.runtime.clock.elapsed() + asked.max_wait;
        let targets = self.share_targets(context, member, options).await;
        let mut is_stopping = false;
        loop {
            // Listens before it looks, so that what comes in between is heard.
            let moves = moves(&targets);
            let left = deadline.saturating_sub(self.runtime.clock.elapsed());
            let is_last = is_stopping || left.is_zero() || moves.is_empty();
            let found = match is_last || self.has_enough(asked, &targets, options, member).await {
                true => Some(self.take_all(asked, &targets, options, member).await),
                false => None,
            };
            if let Some(found) = found
                && (is_last || found.iter().any(|got| !matches!(got, Got::Nothing)))
            {
                return targets.iter().map(|target| target.partition).zip(found).collect();
            }
            is_stopping = !self.share_moved(moves, left).await;
        }
    }

    /// Whether there are as many bytes as are waited for. One byte is found out by taking it.
    async fn has_enough(&self, asked: &Asked, targets: &[Target], options: &ShareOptions, member: &Member) -> bool {
        if asked.min_bytes <= 1 {
            return true;
        }
        let mut bytes = 0;
        for target in targets {
            match &target.opened {
                Ok(opened) => {
                    let taking = taking(asked, member, asked.max_bytes, asked.records_max);
                    bytes += self.shares.readable(opened, options, &taking).await;
                }
                Err(_) => return true,
            }
            if bytes >= asked.min_bytes {
                return true;
            }
        }
        false
    }

    /// One pass: each partition has its share of the bytes that are left.
    async fn take_all(&self, asked: &Asked, targets: &[Target], options: &ShareOptions, member: &Member) -> Vec<Got> {
        let (mut bytes_left, mut records_left) = (asked.max_bytes, asked.records_max);
        let mut all = Vec::with_capacity(targets.len());
        for (at, target) in targets.iter().enumerate() {
            let got = match &target.opened {
                Ok(_) if records_left <= 0 || (bytes_left == 0 && at > 0) => Got::Nothing,
                Ok(opened) => {
                    let mut taking = taking(asked, member, bytes_left / (targets.len() - at), records_left);
                    taking.at_least_one = all.iter().all(|got: &Got| got.bytes() == 0);
                    self.shares.take(opened, options, &taking).await
                }
                Err(failure) => Got::Failed(failure.clone()),
            };
            bytes_left = bytes_left.saturating_sub(got.bytes());
            records_left = records_left.saturating_sub(got.records());
            if let Ok(opened) = &target.opened {
                opened.log.meter().bytes_out.add(got.bytes() as u64);
            }
            all.push(got);
        }
        all
    }

    /// Waits until there may be something that was not before, at most `limit`. Returns whether the node goes on.
    async fn share_moved(&self, moves: Vec<Moves>, limit: Duration) -> bool {
        let waits = moves.into_iter().map(|moves| Box::pin(moves.any()));
        let shutdown = self.runtime.tasks.shutdown();
        tokio::select! {
            biased;
            _ = select_all(waits) => true,
            () = self.runtime.clock.sleep(limit) => true,
            () = shutdown.requested() => false,
        }
    }

    /// Tells a member that asked the wrong broker, or that an older leader knows, whom to ask.
    fn tell_share_leaders(&self, call: &Call<'_>, assembly: &mut ShareAssembly) {
        let image = self.image();
        let mut told = BTreeMap::new();
        for (topic, partition) in assembly.partitions() {
            let codes = [partition.error_code, partition.acknowledge_error_code];
            let found = endpoints::new_leader(&image, TopicId(topic), partition.partition_index, &codes);
            let Some((broker, epoch)) = found else { continue };
            partition.current_leader = leader(broker, epoch);
            if let Some(found) = endpoints::of(&image, call.listener, broker) {
                told.insert(broker, endpoint(found.broker, found.host, found.port, found.rack));
            }
        }
        assembly.set_endpoints(told.into_values().collect());
    }
}

/// A member that renews its locks is busy with what it has, and asks for nothing.
fn check_renewal(request: &ShareFetchRequest) -> Result<(), Failure> {
    let asks = [request.max_wait_ms, request.min_bytes, request.max_bytes, request.max_records];
    if request.is_renew_ack && asks.iter().any(|limit| *limit > 0) {
        let message = "a share fetch that renews locks fetches nothing: set its wait, bytes and records to 0";
        return Err(Failure::new(ResponseError::InvalidRequest, message));
    }
    Ok(())
}

fn session_request(request: &ShareFetchRequest, said: &Said) -> SessionRequest {
    let wanted = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|partition| (TopicId(topic.topic_id), partition.partition_index))
    });
    let forgotten = request
        .forgotten_topics_data
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| (TopicId(topic.topic_id), *partition)));
    let ends = request.share_session_epoch == FINAL_EPOCH;
    SessionRequest {
        epoch: request.share_session_epoch,
        acknowledges: !said.is_empty(),
        // A member that ends names the partitions that it acknowledges.
        wanted: wanted.filter(|partition| !ends || !said.names(*partition)).collect(),
        forgotten: forgotten.collect(),
    }
}

fn taking(asked: &Asked, member: &Member, bytes_max: usize, records_max: i64) -> Taking {
    let Asked { keeps_limit, batch_records, .. } = *asked;
    Taking { member: member.id.clone(), bytes_max, at_least_one: true, records_max, keeps_limit, batch_records }
}

/// By what is heard that a partition has moved.
struct Moves {
    log: watch::Receiver<Offset>,
    share: watch::Receiver<u64>,
}

impl Moves {
    async fn any(mut self) {
        // An error says that the partition is gone, which the next look tells better.
        tokio::select! {
            _ = self.log.changed() => {}
            _ = self.share.changed() => {}
        }
    }
}

fn moves(targets: &[Target]) -> Vec<Moves> {
    let opened = targets.iter().filter_map(|target| target.opened.as_ref().ok());
    opened.map(|opened| Moves { log: opened.log.high_watermark(), share: opened.moves() }).collect()
}
