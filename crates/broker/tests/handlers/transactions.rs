//! Transactions as clients speak them: in the version of Kafka 4 (`transaction.version=2`) and as older clients do.

use crate::node::{Node, fill, produce, topic_name, whole};
use kafka_protocol::messages::add_partitions_to_txn_request::{AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest,
    EndTxnRequest, FetchRequest, FindCoordinatorRequest, GroupId, InitProducerIdRequest, ListTransactionsRequest,
    OffsetFetchRequest, ProducerId as WireProducer, TransactionalId, TxnOffsetCommitRequest, WriteTxnMarkersRequest,
    describe_producers_request,
};
use kafka_protocol::protocol::StrBytes;
use millstream_net::Answer;
use millstream_protocol::{ResponseError as E, decode_response};
use millstream_record::{BatchBuilder, Codec, Limits, split};
use millstream_runtime::SimDisk;
use millstream_types::{ProducerEpoch, ProducerId};
use std::sync::Arc;
use std::time::Duration;

const ID: &str = "copier";
const GROUP: &str = "readers";
/// Clients that leave adding partitions to brokers send this version of Produce.
const PRODUCE_BUMPING: i16 = 12;
const PRODUCE_CLASSIC: i16 = 11;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Me {
    id: i64,
    epoch: i16,
}

fn id() -> TransactionalId {
    TransactionalId(StrBytes::from_static_str(ID))
}

impl Node {
    async fn ready(disk: &Arc<SimDisk>) -> Self {
        let node = Self::on(3, disk.clone(), &[]).await;
        node.find().await;
        node
    }

    /// Finds both coordinators, which makes their topics.
    async fn find(&self) {
        for (kind, key) in [(0, GROUP), (1, ID)] {
            let request = FindCoordinatorRequest::default()
                .with_key_type(kind)
                .with_coordinator_keys(vec![key.to_owned().into()]);
            loop {
                let code = self.ask(4, &request).await.coordinators[0].error_code;
                if code == 0 {
                    break;
                }
                assert_eq!(code, E::CoordinatorNotAvailable.code(), "{key}: it is taken over after a restart");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    /// Asks until the coordinator is loaded and the transaction before is over.
    async fn init(&self, expected: Option<Me>) -> Result<Me, i16> {
        let expected = expected.unwrap_or(Me { id: -1, epoch: -1 });
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(WireProducer(expected.id))
            .with_producer_epoch(expected.epoch);
        loop {
            let given = self.ask(4, &request).await;
            let again =
                [E::ConcurrentTransactions.code(), E::CoordinatorLoadInProgress.code(), E::NotCoordinator.code()];
            if !again.contains(&given.error_code) {
                let me = Me { id: given.producer_id.0, epoch: given.producer_epoch };
                return if given.error_code == 0 { Ok(me) } else { Err(given.error_code) };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Produces one record to partition `partition` of "t", as part of a transaction.
    async fn write(&self, me: Me, version: i16, (partition, sequence): (i32, i32), value: &str) -> i16 {
        let builder = BatchBuilder::new(Codec::None)
            .producer(ProducerId(me.id), ProducerEpoch(me.epoch), sequence)
            .transactional();
        let mut request = produce("t", partition, Some(fill(builder, &[value])), -1);
        request.transactional_id = Some(id());
        let response = self.ask(version, &request).await;
        response.responses[0].partition_responses[0].error_code
    }

    async fn end(&self, me: Me, version: i16, committed: bool) -> Result<Me, i16> {
        let request = EndTxnRequest::default()
            .with_transactional_id(id())
            .with_producer_id(WireProducer(me.id))
            .with_producer_epoch(me.epoch)
            .with_committed(committed);
        loop {
            let ended = self.ask(version, &request).await;
            match ended.error_code {
                0 if version >= 5 => return Ok(Me { id: ended.producer_id.0, epoch: ended.producer_epoch }),
                0 => return Ok(me),
                code if code == E::ConcurrentTransactions.code() => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                code => return Err(code),
            }
        }
    }

    async fn commit_offset(&self, me: Me, version: i16, offset: i64) -> i16 {
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id())
            .with_group_id(GroupId(GROUP.into()))
            .with_producer_id(WireProducer(me.id))
            .with_producer_epoch(me.epoch)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        self.ask(version, &request).await.topics[0].partitions[0].error_code
    }

    /// The group's offset and its code, for a reader that wants stable ones.
    async fn offset(&self) -> (i64, i16) {
        let topic = OffsetFetchRequestTopics::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
        let group =
            OffsetFetchRequestGroup::default().with_group_id(GroupId(GROUP.into())).with_topics(Some(vec![topic]));
        let request = OffsetFetchRequest::default().with_groups(vec![group]).with_require_stable(true);
        let fetched = self.ask(9, &request).await;
        let partition = &fetched.groups[0].topics[0].partitions[0];
        (partition.committed_offset, partition.error_code)
    }

    /// The values in a partition as a consumer of committed records sees them: it drops what the answer says was aborted.
    async fn committed(&self, partition: i32) -> Vec<String> {
        let wanted = FetchPartition::default().with_partition(partition).with_partition_max_bytes(1 << 20);
        let topic = FetchTopic::default().with_topic(topic_name("t")).with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_max_wait_ms(0)
            .with_max_bytes(1 << 20)
            .with_session_epoch(-1)
            .with_isolation_level(1)
            .with_topics(vec![topic]);
        let Answer::Reply(parts) = self.send(12, &request).await else { panic!("a fetch is answered") };
        let (_, response) = decode_response::<FetchRequest>(whole(parts).await, 12).unwrap();
        let data = &response.responses[0].partitions[0];
        let aborted = data.aborted_transactions.clone().unwrap();
        let mut open: Vec<i64> = Vec::new();
        let mut values = Vec::new();
        for batch in split(data.records.clone().unwrap_or_default()).unwrap() {
            open.extend(
                aborted
                    .iter()
                    .filter(|txn| (batch.base_offset().0..=batch.last_offset().0).contains(&txn.first_offset))
                    .map(|txn| txn.producer_id.0),
            );
            if batch.is_control() {
                open.retain(|producer| *producer != batch.producer_id().0);
            } else if !open.contains(&batch.producer_id().0) {
                let columns = batch.records(&Limits::default()).unwrap();
                values.extend(
                    (0..columns.len()).map(|at| String::from_utf8(columns.values.get(at).unwrap().to_vec()).unwrap()),
                );
            }
        }
        values
    }

    /// Waits until every partition has its marker.
    async fn settled(&self) {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]);
        let settle = async {
            while self.ask(0, &request).await.transaction_states[0].transaction_state.starts_with("Prepare") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), settle).await.expect("the markers are written in time");
    }
}

#[tokio::test(start_paused = true)]
async fn records_and_offsets_of_a_transaction_count_together_or_not_at_all() {
    let node = Node::ready(&Arc::new(SimDisk::new())).await;
    node.topic("t", 2, &[]).await;
    let mut me = node.init(None).await.unwrap();
    for (round, commits) in [(0, true), (1, false), (2, true)] {
        let value = format!("r{round}");
        assert_eq!(node.write(me, PRODUCE_BUMPING, (0, 0), &value).await, 0);
        assert_eq!(node.write(me, PRODUCE_BUMPING, (1, 0), &value).await, 0);
        assert_eq!(node.write(me, PRODUCE_BUMPING, (1, 0), &value).await, 0, "a retry of the same");
        assert_eq!(node.commit_offset(me, 5, 10 + round).await, 0);
        assert_eq!(node.offset().await, (-1, E::UnstableOffsetCommit.code()));
        let next = node.end(me, 5, commits).await.unwrap();
        assert_eq!(node.end(me, 5, commits).await, Ok(next), "the same request again");
        assert_eq!((next.id, next.epoch), (me.id, me.epoch + 1));
        assert_ne!(node.write(me, PRODUCE_BUMPING, (0, 1), "late").await, 0, "a late record hits no later transaction");
        node.settled().await;
        me = next;
    }
    for partition in [0, 1] {
        assert_eq!(node.committed(partition).await, ["r0", "r2"]);
    }
    assert_eq!(node.offset().await, (12, 0));
}

#[tokio::test(start_paused = true)]
async fn older_clients_add_partitions_and_offsets_themselves() {
    let node = Node::ready(&Arc::new(SimDisk::new())).await;
    node.topic("t", 2, &[]).await;
    let me = node.init(None).await.unwrap();
    assert_eq!(node.write(me, PRODUCE_CLASSIC, (0, 0), "x").await, E::TransactionAbortable.code(), "not added");
    assert_eq!(node.write(me, 9, (0, 0), "x").await, E::InvalidTxnState.code(), "as an older client knows it");
    let me = node.init(Some(me)).await.unwrap();
    let add = |topics: &[(&str, i32)]| {
        let topics = topics.iter().map(|(name, partition)| {
            AddPartitionsToTxnTopic::default().with_name(topic_name(name)).with_partitions(vec![*partition])
        });
        AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id())
            .with_v3_and_below_producer_id(WireProducer(me.id))
            .with_v3_and_below_producer_epoch(me.epoch)
            .with_v3_and_below_topics(topics.collect())
    };
    let refused = node.ask(3, &add(&[("t", 0), ("nope", 0)])).await.results_by_topic_v3_and_below;
    let codes: Vec<i16> = refused.iter().map(|topic| topic.results_by_partition[0].partition_error_code).collect();
    assert_eq!(codes, [E::OperationNotAttempted.code(), E::UnknownTopicOrPartition.code()]);
    let added = node.ask(3, &add(&[("t", 0)])).await.results_by_topic_v3_and_below;
    assert_eq!(added[0].results_by_partition[0].partition_error_code, 0);
    assert_eq!(node.write(me, PRODUCE_CLASSIC, (0, 0), "x").await, 0);
    assert_eq!(node.write(me, PRODUCE_CLASSIC, (1, 0), "x").await, E::TransactionAbortable.code());
    let offsets = AddOffsetsToTxnRequest::default()
        .with_transactional_id(id())
        .with_producer_id(WireProducer(me.id))
        .with_producer_epoch(me.epoch)
        .with_group_id(GroupId(GROUP.into()));
    assert_eq!(node.ask(3, &offsets).await.error_code, 0);
    assert_eq!(node.commit_offset(me, 3, 7).await, 0);
    assert_eq!(node.end(me, 4, true).await, Ok(me), "the epoch stays");
    node.settled().await;
    assert_eq!((node.committed(0).await, node.offset().await), (vec!["x".to_owned()], (7, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_new_instance_fences_the_old_one() {
    let node = Node::ready(&Arc::new(SimDisk::new())).await;
    node.topic("t", 1, &[]).await;
    let old = node.init(None).await.unwrap();
    assert_eq!(node.write(old, PRODUCE_BUMPING, (0, 0), "old").await, 0);
    let new = node.init(None).await.unwrap();
    assert_eq!(node.write(old, PRODUCE_BUMPING, (0, 1), "old").await, E::InvalidProducerEpoch.code());
    assert_eq!(node.end(old, 5, true).await, Err(E::ProducerFenced.code()));
    assert_eq!(node.end(old, 1, true).await, Err(E::InvalidProducerEpoch.code()), "as an older client knows it");
    assert_eq!(node.write(new, PRODUCE_BUMPING, (0, 0), "new").await, 0);
    node.end(new, 5, true).await.unwrap();
    node.settled().await;
    assert_eq!(node.committed(0).await, ["new"]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_survives_a_kill_at_any_step() {
    let disk = Arc::new(SimDisk::new());
    let mut node = Node::ready(&disk).await;
    node.topic("t", 1, &[]).await;
    let mut me = node.init(None).await.unwrap();
    let mut expected = Vec::new();
    for round in 0..6 {
        let commits = round % 2 == 0;
        let value = format!("r{round}");
        assert_eq!(node.write(me, PRODUCE_BUMPING, (0, 0), &value).await, 0);
        assert_eq!(node.commit_offset(me, 5, round).await, 0);
        if round % 3 == 1 {
            node = restarted(node, &disk).await;
        }
        me = node.end(me, 5, commits).await.unwrap();
        if round % 3 == 2 {
            // The decision is stored; whether the markers are is anybody's guess.
            node = restarted(node, &disk).await;
        }
        node.settled().await;
        expected.extend(commits.then_some(value));
        assert_eq!(node.committed(0).await, expected, "round {round}");
        let last = if commits { round } else { round - 1 };
        assert_eq!(node.offset().await, (last, 0), "round {round}");
    }
}

/// Killed, and started over its disk.
async fn restarted(node: Node, disk: &Arc<SimDisk>) -> Node {
    assert!(node.runtime.tasks.stop_and_wait(Duration::from_secs(60)).await);
    drop(node);
    let node = Node::ready(disk).await;
    let describe = DescribeTransactionsRequest::default().with_transactional_ids(vec![id()]);
    let loaded = async {
        while node.ask(0, &describe).await.transaction_states[0].error_code != 0
            || node.offset().await.1 == E::NotCoordinator.code()
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), loaded).await.expect("loaded in time");
    node
}

#[tokio::test(start_paused = true)]
async fn administrators_see_transactions_and_end_one_that_hangs() {
    let node = Node::ready(&Arc::new(SimDisk::new())).await;
    node.topic("t", 1, &[]).await;
    let me = node.init(None).await.unwrap();
    node.write(me, PRODUCE_BUMPING, (0, 0), "hangs").await;
    let described = node.ask(0, &DescribeTransactionsRequest::default().with_transactional_ids(vec![id()])).await;
    let state = &described.transaction_states[0];
    assert_eq!((state.error_code, state.transaction_state.as_str(), state.producer_epoch), (0, "Ongoing", me.epoch));
    assert_eq!((state.topics[0].topic.as_str(), &state.topics[0].partitions), ("t", &vec![0]));
    let list = |states: &[&str], pattern: Option<&str>| {
        ListTransactionsRequest::default()
            .with_state_filters(states.iter().map(|state| StrBytes::from_string((*state).to_owned())).collect())
            .with_duration_filter(-1)
            .with_transactional_id_pattern(pattern.map(|pattern| StrBytes::from_string(pattern.to_owned())))
    };
    for (states, pattern, count) in [
        (&["Ongoing"][..], None, 1),
        (&["Empty"], None, 0),
        (&[], Some("cop.*"), 1),
        (&[], Some("cop"), 0),
        (&["Odd"], None, 0),
    ] {
        let listed = node.ask(2, &list(states, pattern)).await;
        assert_eq!((listed.error_code, listed.transaction_states.len()), (0, count), "{states:?} {pattern:?}");
    }
    assert_eq!(node.ask(2, &list(&[], Some("["))).await.error_code, E::InvalidRegularExpression.code());
    let asked =
        describe_producers_request::TopicRequest::default().with_name(topic_name("t")).with_partition_indexes(vec![0]);
    let producers = node.ask(0, &DescribeProducersRequest::default().with_topics(vec![asked])).await;
    let producer = &producers.topics[0].partitions[0].active_producers[0];
    assert_eq!((producer.producer_id.0, producer.current_txn_start_offset), (me.id, 0));
    // The operator's tool ends it in the partition alone.
    let topic = WritableTxnMarkerTopic::default().with_name(topic_name("t")).with_partition_indexes(vec![0, 9]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(WireProducer(me.id))
        .with_producer_epoch(me.epoch)
        .with_coordinator_epoch(0)
        .with_topics(vec![topic]);
    let written = node.ask(1, &WriteTxnMarkersRequest::default().with_markers(vec![marker])).await;
    let codes: Vec<i16> =
        written.markers[0].topics[0].partitions.iter().map(|partition| partition.error_code).collect();
    assert_eq!(codes, [0, E::UnknownTopicOrPartition.code()]);
    assert_eq!(node.committed(0).await, Vec::<String>::new());
    let stable = node.partitions.all().into_iter().find(|handle| handle.topic() == "t").unwrap().bounds();
    assert_eq!(stable.last_stable, stable.log_end);
}

#[tokio::test(start_paused = true)]
async fn brokers_verify_and_add_for_several_transactions_at_once() {
    let node = Node::ready(&Arc::new(SimDisk::new())).await;
    node.topic("t", 2, &[]).await;
    let me = node.init(None).await.unwrap();
    let ask = |verify_only: bool, partitions: Vec<i32>| {
        let topic = AddPartitionsToTxnTopic::default().with_name(topic_name("t")).with_partitions(partitions);
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(id())
            .with_producer_id(WireProducer(me.id))
            .with_producer_epoch(me.epoch)
            .with_verify_only(verify_only)
            .with_topics(vec![topic]);
        AddPartitionsToTxnRequest::default().with_transactions(vec![transaction])
    };
    for (version, verify_only, partitions, expected) in [
        (5, false, vec![0], vec![0]),
        (5, true, vec![0, 1], vec![0, E::TransactionAbortable.code()]),
        (4, true, vec![0, 1], vec![0, E::InvalidTxnState.code()]),
    ] {
        let answered = node.ask(version, &ask(verify_only, partitions)).await;
        let results = &answered.results_by_transaction[0].topic_results[0].results_by_partition;
        let codes: Vec<i16> = results.iter().map(|result| result.partition_error_code).collect();
        assert_eq!(codes, expected);
    }
}
