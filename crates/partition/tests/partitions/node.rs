//! A broker's partitions over a simulated (or real) disk, with an image that the test writes.

use bytes::Bytes;
use millstream_metadata::{
    BrokerRecord, Image, PartitionChange, PartitionRecord, Record, TopicConfigRecord, TopicRecord,
};
use millstream_partition::{
    AppendOptions, Appended, ColdReader, Config, Deps, Error, Folders, Layout, Origin, PartitionHandle, Partitions,
    ReadRequest,
};
use millstream_record::{Batch, BatchBuilder, Codec, split};
use millstream_runtime::{Runtime, SimDisk};
use millstream_telemetry::Metrics;
use millstream_types::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TimestampMs,
    TopicId, TopicPartition,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use uuid::Uuid;

pub const ME: BrokerId = BrokerId(1);
pub const TOPIC: TopicId = TopicId(Uuid::from_u128(0x7001));
pub const T0: TopicPartition = TopicPartition::new(TOPIC, PartitionIndex(0));

pub struct Node {
    pub runtime: Runtime,
    pub partitions: Partitions,
    pub image: watch::Sender<Arc<Image>>,
}

/// An image with this broker and the topic "t" of one partition.
pub fn image(overrides: &[(&str, &str)]) -> Image {
    let mut image = Image::default();
    let broker = Record::RegisterBroker(BrokerRecord {
        broker: ME,
        incarnation: Uuid::from_u128(1),
        directory: DirectoryId(Uuid::from_u128(2)),
        epoch: BrokerEpoch(1),
        listeners: Vec::new(),
        rack: None,
        fenced: false,
    });
    image.replay(&broker).unwrap();
    add_topic(&mut image, TOPIC, "t", overrides);
    image
}

pub fn add_topic(image: &mut Image, id: TopicId, name: &str, overrides: &[(&str, &str)]) {
    let topic = Record::Topic(TopicRecord { id, name: name.to_owned() });
    let configs = overrides.iter().map(|(name, value)| set(id, name, value));
    let partition = Record::Partition(PartitionRecord {
        topic: id,
        partition: PartitionIndex(0),
        leader: ME,
        leader_epoch: LeaderEpoch(0),
        partition_epoch: 0,
        replicas: vec![ME],
        isr: vec![ME],
    });
    let records: Vec<Record> = std::iter::once(topic).chain(configs).chain([partition]).collect();
    image.replay_all(&records).unwrap();
}

pub fn set(topic: TopicId, name: &str, value: &str) -> Record {
    Record::TopicConfig(TopicConfigRecord { topic, name: name.to_owned(), value: Some(value.to_owned()) })
}

pub fn led_in(epoch: i32) -> Record {
    let leader = Some((ME, LeaderEpoch(epoch)));
    Record::PartitionChange(PartitionChange {
        topic: TOPIC,
        partition: PartitionIndex(0),
        partition_epoch: epoch,
        leader,
        isr: None,
        replicas: None,
    })
}

impl Node {
    pub async fn start(disk: &Arc<SimDisk>, image: Image) -> Self {
        Self::over(Runtime::simulated(7, disk.clone()), Path::new("data"), image, None).await
    }

    pub async fn over(runtime: Runtime, dir: &Path, image: Image, cold: Option<Arc<dyn ColdReader>>) -> Self {
        Self::booted("boot", runtime, (dir, image), cold).await
    }

    /// A node on a machine that was started anew since the last one wrote to that disk.
    #[allow(dead_code, reason = "some tests cut no power")]
    pub async fn after_power_cut(disk: &Arc<SimDisk>, image: Image) -> Self {
        Self::booted("the next boot", Runtime::simulated(7, disk.clone()), (Path::new("data"), image), None).await
    }

    async fn booted(
        boot: &str,
        runtime: Runtime,
        (dir, image): (&Path, Image),
        cold: Option<Arc<dyn ColdReader>>,
    ) -> Self {
        Self::laid_out((boot, runtime), &Layout::one(dir), image, cold).await.unwrap()
    }

    /// A node of as many folders as it is told of.
    pub async fn laid_out(
        (boot, runtime): (&str, Runtime),
        layout: &Layout,
        image: Image,
        cold: Option<Arc<dyn ColdReader>>,
    ) -> Result<Self, Error> {
        let (image, watched) = watch::channel(Arc::new(image));
        let folders = Folders::open(&runtime, layout, Some(boot)).await?;
        let deps = Deps { runtime: runtime.clone(), metrics: Metrics::new(), image: watched, cold };
        let partitions = Partitions::start(Config::new(ME), folders, deps).await?;
        Ok(Self { runtime, partitions, image })
    }

    /// The topic's only partition.
    pub fn t0(&self) -> PartitionHandle {
        self.partitions.get(T0).unwrap()
    }

    /// Applies records to the image and waits until the partitions have followed.
    pub async fn decide(&self, records: &[Record]) {
        let mut changes = self.partitions.changes();
        changes.borrow_and_update();
        self.image.send_modify(|image| Arc::make_mut(image).replay_all(records).unwrap());
        tokio::time::timeout(Duration::from_secs(60), changes.changed()).await.expect("followed in time").unwrap();
    }

    /// The process is killed: its tasks end, nothing is closed.
    pub async fn kill(self) {
        assert!(self.runtime.tasks.stop_and_wait(Duration::from_secs(60)).await);
    }

    pub async fn stop(self) {
        self.partitions.close().await.unwrap();
        self.kill().await;
    }

    pub async fn append(&self, batch: Batch) -> Result<Appended, Error> {
        self.t0().append(vec![batch], AppendOptions::new(Origin::Client)).await
    }
}

/// A batch of as many records as there are values.
pub fn batch(values: &[&str]) -> Batch {
    build(BatchBuilder::new(Codec::None), values, TimestampMs(1_000))
}

pub fn at(time: i64, values: &[&str]) -> Batch {
    build(BatchBuilder::new(Codec::None), values, TimestampMs(time))
}

/// A batch of an idempotent producer.
pub fn sequenced(producer: i64, epoch: i16, sequence: i32, values: &[&str]) -> Batch {
    let builder = BatchBuilder::new(Codec::None).producer(ProducerId(producer), ProducerEpoch(epoch), sequence);
    build(builder, values, TimestampMs(1_000))
}

fn build(mut builder: BatchBuilder, values: &[&str], time: TimestampMs) -> Batch {
    for value in values {
        builder.push(time, None, Some(value.as_bytes()), []);
    }
    builder.build(Offset(0), LeaderEpoch(0)).unwrap()
}

/// Every batch from `from` on, by as many reads as it takes.
pub async fn read_all(handle: &PartitionHandle, from: i64) -> Vec<Batch> {
    let mut from = Offset(from);
    let mut all = Vec::new();
    loop {
        let (bytes, _) = handle.read_bytes(ReadRequest::new(from, 1 << 20)).await.unwrap();
        let batches = split(bytes).unwrap();
        let Some(last) = batches.last() else { return all };
        from = last.next_offset();
        all.extend(batches);
    }
}

/// The values of every record from `from` on, with their offsets.
pub async fn values(handle: &PartitionHandle, from: i64) -> Vec<(i64, String)> {
    let limits = millstream_record::Limits::default();
    let mut found = Vec::new();
    for batch in read_all(handle, from).await {
        let columns = batch.records(&limits).unwrap();
        for index in 0..columns.len() {
            let value = columns.values.get(index).unwrap_or_default();
            found.push((batch.base_offset().0 + index as i64, String::from_utf8_lossy(value).into_owned()));
        }
    }
    found.retain(|(offset, _)| *offset >= from);
    found
}

pub fn pairs(values: &[&str]) -> Vec<(i64, String)> {
    (0..).zip(values.iter().map(|value| (*value).to_owned())).collect()
}

pub fn file(disk: &SimDisk, path: &str) -> Option<u64> {
    disk.files().into_iter().find(|(name, _)| name == Path::new(path)).map(|(_, len)| len)
}

pub async fn content(runtime: &Runtime, path: &str) -> Bytes {
    runtime.disk.read(Path::new(path)).await.unwrap()
}
