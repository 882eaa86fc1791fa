//! A node without sockets: a simulated disk, a quorum of one, partitions, groups, and the service over them.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{ProduceResponse, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use millstream_broker::{Config, Deps, Sasl, Service};
use millstream_coordinator::{
    Config as GroupConfig, Controller, ControllerError, Handle as Coordinator, OFFSETS_TOPIC, Ports, SHARE_STATE_TOPIC,
    TRANSACTIONS_TOPIC,
};
use millstream_metadata::topics::{Create, Layout, ensure};
use millstream_metadata::{Listener, producer_ids};
use millstream_net::{Answer, Authentication, ConnectionContext, Frame, Handler, Part};
use millstream_partition::{
    Config as PartitionConfig, Deps as PartitionDeps, Folders, Layout as FolderLayout, Partitions,
};
use millstream_protocol::{decode_response, encode_request};
use millstream_quorum::{Config as QuorumConfig, Handle as Quorum, Service as QuorumService};
use millstream_record::{BatchBuilder, Codec};
use millstream_runtime::{Runtime, SimDisk};
use millstream_telemetry::Metrics;
use millstream_types::{
    BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs, TopicId,
};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use uuid::Uuid;

pub const ME: BrokerId = BrokerId(1);

pub struct Node {
    pub runtime: Runtime,
    pub quorum: Quorum,
    pub partitions: Partitions,
    pub coordinator: Coordinator,
    pub service: Service,
    pub metrics: Metrics,
    context: ConnectionContext,
}

impl Node {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(options: &[(&str, &str)]) -> Self {
        Self::on(3, Arc::new(SimDisk::new()), options).await
    }

    /// A node of `seed` over a disk that may have been another's.
    pub async fn on(seed: u64, disk: Arc<SimDisk>, options: &[(&str, &str)]) -> Self {
        Self::over(Runtime::simulated(seed, disk), "boot", options).await
    }

    /// A node with a listener whose clients log in.
    pub async fn asking(sasl: Sasl) -> Self {
        Self::made((Runtime::simulated(3, Arc::new(SimDisk::new())), "boot"), &[], sasl, &[]).await
    }

    /// A node on that machine, which has that boot.
    pub async fn over(runtime: Runtime, boot: &str, options: &[(&str, &str)]) -> Self {
        Self::made((runtime, boot), options, Sasl::default(), &[]).await
    }

    /// A node with further data folders beside "data".
    pub async fn in_folders(disk: Arc<SimDisk>, others: &[&str]) -> Self {
        Self::made((Runtime::simulated(3, disk), "boot"), &[], Sasl::default(), others).await
    }

    async fn made((runtime, boot): (Runtime, &str), options: &[(&str, &str)], sasl: Sasl, others: &[&str]) -> Self {
        let metrics = Metrics::new();
        let listener = Listener { name: "PLAINTEXT".into(), host: "broker.example".into(), port: 9092 };
        let quorum =
            QuorumService::start(&runtime, QuorumConfig::new("data".into(), ME, vec![listener])).await.unwrap();
        let others = others.iter().map(|folder| (*folder).into()).collect();
        let layout = FolderLayout { first: "data".into(), others, identity: quorum.identity() };
        let folders = Folders::open(&runtime, &layout, Some(boot)).await.unwrap();
        let deps =
            PartitionDeps { runtime: runtime.clone(), metrics: metrics.clone(), image: quorum.watch(), cold: None };
        let partitions = Partitions::start(PartitionConfig::new(ME), folders, deps).await.unwrap();
        let controller = Arc::new(TestController { quorum: quorum.clone(), runtime: runtime.clone() });
        let cluster = Arc::new(crate::adapters::known_cluster::KnownCluster::new(&quorum));
        let ports = Ports { controller, participants: Arc::new(partitions.clone()), cluster };
        let coordinator =
            millstream_coordinator::Service::start(runtime.clone(), GroupConfig::default(), ports, &metrics);
        runtime.tasks.spawn_until_stopped("elections", elections(partitions.clone(), coordinator.clone()));
        let values = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let deps = Deps {
            runtime: runtime.clone(),
            metrics: metrics.clone(),
            quorum: quorum.clone(),
            partitions: partitions.clone(),
            coordinator: coordinator.clone(),
        };
        let asks = !sasl.listeners.is_empty();
        let service = Service::new(Config { node: ME, values, told: Vec::new(), sasl }, deps).unwrap();
        let context = connection(1, asks);
        Self { runtime, quorum, partitions, coordinator, service, metrics, context }
    }

    /// What becomes of a request.
    pub async fn send<R: Request>(&self, version: i16, body: &R) -> Answer {
        self.send_on(&self.context, version, body).await
    }

    /// What becomes of a request on a connection.
    pub async fn send_on<R: Request>(&self, connection: &ConnectionContext, version: i16, body: &R) -> Answer {
        let frame = encode_request(body, version, 42, Some(&"test".into())).unwrap();
        self.service.handle(connection, Frame { bytes: frame.slice(4..), more: false }).await
    }

    /// The answer to a request.
    pub async fn ask<R: Request>(&self, version: i16, body: &R) -> R::Response {
        self.ask_on(&self.context, version, body).await
    }

    /// The answer to a request on a connection.
    pub async fn ask_on<R: Request>(&self, connection: &ConnectionContext, version: i16, body: &R) -> R::Response {
        match self.send_on(connection, version, body).await {
            Answer::Reply(parts) => {
                let (correlation_id, response) = decode_response::<R>(whole(parts).await, version).unwrap();
                assert_eq!(correlation_id, 42);
                response
            }
            other => panic!("no answer but {other:?}"),
        }
    }

    /// Whether the coordinator has taken over every partition of the internal topics.
    pub fn is_coordinating(&self) -> bool {
        let image = self.quorum.image();
        let led = |name: &str, leads: &dyn Fn(PartitionIndex) -> bool| {
            image.topic_named(name).is_none_or(|topic| topic.partitions().all(|(index, _)| leads(index)))
        };
        led(OFFSETS_TOPIC, &|index| self.coordinator.coordinates(index))
            && led(TRANSACTIONS_TOPIC, &|index| self.coordinator.txn_coordinates(index))
            && led(SHARE_STATE_TOPIC, &|index| self.coordinator.share_coordinates(index))
    }

    pub fn topic_id(&self, name: &str) -> Uuid {
        self.quorum.image().topic_id(name).unwrap_or(TopicId::ZERO).0
    }

    /// Makes a topic.
    pub async fn topic(&self, name: &str, partitions: i32, options: &[(&str, &str)]) {
        let configs = options.iter().map(|(name, value)| {
            let value = Some(StrBytes::from_string((*value).to_owned()));
            CreatableTopicConfig::default().with_name(StrBytes::from_string((*name).to_owned())).with_value(value)
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(1)
            .with_configs(configs.collect());
        let response = self.ask(7, &CreateTopicsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
    }

    /// Produces to partition 0 with acks=all and returns the first offset.
    pub async fn produce(&self, topic: &str, records: Bytes) -> i64 {
        let response = self.ask(9, &produce(topic, 0, Some(records), -1)).await;
        let answer = &response.responses[0].partition_responses[0];
        assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
        answer.base_offset
    }
}

/// A connection, whose client has to log in or need not.
pub fn connection(id: u64, asks: bool) -> ConnectionContext {
    let mut context = ConnectionContext::new("PLAINTEXT".into(), "127.0.0.1:40000".parse().unwrap(), id);
    if asks {
        context.authentication = Authentication::needed();
    }
    context
}

/// The parts of an answer as one frame, without its length, which must be true.
pub async fn whole(parts: Vec<Part>) -> Bytes {
    let mut frame = BytesMut::new();
    for part in parts {
        match part {
            Part::Bytes(bytes) => frame.extend_from_slice(&bytes),
            Part::File(range) => frame.extend_from_slice(&range.read().await.unwrap()),
        }
    }
    let frame = frame.freeze();
    let told = i32::from_be_bytes(frame[..4].try_into().unwrap());
    assert_eq!(usize::try_from(told).unwrap(), frame.len() - 4, "the frame's length");
    frame.slice(4..)
}

pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}

/// A produce request of one partition, by the topic's name.
pub fn produce(topic: &str, partition: i32, records: Option<Bytes>, acks: i16) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(records);
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(1_000).with_topic_data(vec![topic])
}

/// The error code of the only partition.
pub fn code(response: &ProduceResponse) -> i16 {
    response.responses[0].partition_responses[0].error_code
}

pub fn batch(values: &[&str]) -> Bytes {
    fill(BatchBuilder::new(Codec::None), values)
}

pub fn sequenced(producer: i64, sequence: i32, values: &[&str]) -> Bytes {
    fill(BatchBuilder::new(Codec::None).producer(ProducerId(producer), ProducerEpoch(0), sequence), values)
}

pub fn fill(mut builder: BatchBuilder, values: &[&str]) -> Bytes {
    for value in values {
        builder.push(TimestampMs(1_767_225_600_000), Some(b"k"), Some(value.as_bytes()), []);
    }
    builder.build(Offset(0), LeaderEpoch(0)).unwrap().into_bytes()
}

struct TestController {
    quorum: Quorum,
    runtime: Runtime,
}

#[async_trait]
impl Controller for TestController {
    fn internal_topic(&self, name: &str) -> Option<i32> {
        self.quorum.image().topic_named(name).map(|topic| i32::try_from(topic.partitions.len()).unwrap())
    }

    async fn ensure_internal_topic(&self, name: &str) -> Result<i32, ControllerError> {
        let id = TopicId(Uuid::from_u128(self.runtime.random.next_u128()));
        let layout = Layout::Counts { partitions: 3, replication_factor: 1, draw: 0 };
        // A power cut takes nothing of what coordinators answered.
        let policy = if name == SHARE_STATE_TOPIC { "delete" } else { "compact" };
        let configs = [("cleanup.policy", policy), ("flush.messages", "1")];
        let configs = configs.map(|(name, value)| (name.to_owned(), Some(value.to_owned()))).into();
        let request = Create { name: name.to_owned(), id, layout, configs, validate_only: false };
        Ok(self.quorum.decide(|image| ensure(image, &request)).await.unwrap().partitions)
    }

    async fn allocate_producer_ids(&self) -> Result<Range<i64>, ControllerError> {
        let epoch = self.quorum.broker_epoch().unwrap();
        Ok(self.quorum.decide(|image| producer_ids::allocate_block(image, ME, epoch)).await.unwrap())
    }
}

async fn elections(partitions: Partitions, coordinator: Coordinator) {
    let mut changes = partitions.changes();
    let mut led = BTreeSet::new();
    loop {
        changes.borrow_and_update();
        for handle in partitions.all() {
            let (topic, index) = (handle.topic().to_owned(), handle.id().partition);
            let is_new = [OFFSETS_TOPIC, TRANSACTIONS_TOPIC, SHARE_STATE_TOPIC].contains(&topic.as_str())
                && led.insert(handle.id());
            match topic.as_str() {
                OFFSETS_TOPIC if is_new => coordinator.elected(index, Arc::new(handle)),
                TRANSACTIONS_TOPIC if is_new => coordinator.txn_elected(index, Arc::new(handle)),
                SHARE_STATE_TOPIC if is_new => coordinator.share_elected(index, Arc::new(handle)),
                _ => {}
            }
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}
