//! `/v1/topics/{name}/records`: appending records, and reading them as a stream of JSON lines.

use crate::about::About;
use crate::answer::{Answer, Body, not_found};
use crate::api::Api;
use crate::from::From;
use crate::ports::Node;
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::StreamExt;
use millstream_record::{Columns, Limits, split};
use millstream_task::{Error, TopicView, Topics};
use millstream_types::{ErrorKind, Offset, PartitionIndex, TopicPartition};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Bytes of log read at a time.
const READ_BYTES: usize = 1 << 20;

pub fn routes() -> Api {
    let records = json!({"records": [{"key": "ada", "value": {"user": "ada", "amount": 120.5}, "headers": {"source": "web"},
        "partition": null, "timestamp": null}]});
    let appended = json!({"appended": 1, "offsets": [{"partition": 2, "offset": 41, "records": 1}]});
    let line = "{\"partition\":2,\"offset\":41,\"timestamp\":1700000000000,\"key\":\"ada\",\"value\":\"...\",\"headers\":{}}\n";
    let consume_about = About::new("Read records as JSON lines; bytes that are not text are base64.")
        .query(
            "from",
            "Where to begin: earliest (by default), latest, an offset, or a time such as 2026-01-31T12:00:00Z.",
        )
        .query("partition", "Only this partition.")
        .query("limit", "Stop after this many records.")
        .query("follow", "`true` waits for more at the end.")
        .text("application/x-ndjson", line);
    let produce_about = About::new("Append records. JSON that is not text is written as its own text.");
    Api::default().get("/v1/topics/{name}/records", consume, consume_about).post(
        "/v1/topics/{name}/records",
        produce,
        produce_about.takes::<Produce>(records).shows(appended),
    )
}

fn topic(node: &Node, name: &str) -> Answer<TopicView> {
    node.topics
        .topic(name)
        .ok_or_else(|| not_found(format!("there is no topic {name:?}; `millstream topic create {name}` makes it")))
}

fn partition(topic: &TopicView, index: i32) -> Answer<TopicPartition> {
    if (0..topic.partitions).contains(&index) {
        return Ok(TopicPartition::new(topic.id, PartitionIndex(index)));
    }
    Err(not_found(format!("topic {:?} has no partition {index}: it has 0 to {}", topic.name, topic.partitions - 1)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Produce {
    records: Vec<NewRecord>,
}

/// A record as JSON: text is itself, any other JSON its own text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRecord {
    #[serde(default)]
    key: Option<Value>,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    partition: Option<i32>,
    #[serde(default)]
    timestamp: Option<i64>,
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

async fn produce(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Body(produce): Body<Produce>,
) -> Answer<Json<Value>> {
    let topic = topic(&node, &name)?;
    let now = node.runtime.clock.now().0;
    // Records without key or partition go to one partition a request, as a producer's sticky batches do.
    let sticky = i32::try_from(node.runtime.random.below(u64::try_from(topic.partitions).unwrap_or(1))).unwrap_or(0);
    let mut batches: BTreeMap<i32, Columns> = BTreeMap::new();
    for record in &produce.records {
        let key = record.key.as_ref().map(text);
        let value = record.value.as_ref().map(text);
        let index = match (record.partition, &key) {
            (Some(index), _) => index,
            (None, Some(key)) => millstream_task::partition_of(key.as_bytes(), topic.partitions),
            (None, None) => sticky,
        };
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), Some(value.as_bytes())));
        let batch = batches.entry(index).or_default();
        batch.push(
            record.timestamp.unwrap_or(now),
            key.as_deref().map(str::as_bytes),
            value.as_deref().map(str::as_bytes),
            headers,
        );
    }
    for index in batches.keys() {
        partition(&topic, *index)?;
    }
    let mut offsets = Vec::new();
    for (index, records) in &batches {
        let base = node.topics.append(partition(&topic, *index)?, records).await?;
        offsets.push(json!({"partition": index, "offset": base.0, "records": records.len()}));
    }
    Ok(Json(json!({"appended": produce.records.len(), "offsets": offsets})))
}

#[derive(Deserialize)]
struct Consume {
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    partition: Option<i32>,
    #[serde(default)]
    limit: Option<u64>,
    #[serde(default)]
    follow: bool,
}

async fn consume(
    State(node): State<Arc<Node>>,
    Path(name): Path<String>,
    Query(query): Query<Consume>,
) -> Answer<Response> {
    let topic = topic(&node, &name)?;
    let from = From::parse(query.from.as_deref().unwrap_or("earliest"))?;
    let partitions: Vec<TopicPartition> = match query.partition {
        Some(index) => vec![partition(&topic, index)?],
        None => topic.topic_partitions().collect(),
    };
    let begin = from.offsets(&*node.topics, &name, &partitions).await?;
    let mut cursors = Vec::new();
    for (partition, next) in partitions.into_iter().zip(begin) {
        let end = node.topics.bounds(partition).await?.high_watermark;
        cursors.push(Cursor { partition, next, end });
    }
    let left = query.limit.unwrap_or(u64::MAX);
    let reader = Reader { topics: node.topics.clone(), name, cursors, left, follow: query.follow };
    let lines = futures::stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(lines)) => Some((Ok::<_, std::convert::Infallible>(lines), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((
                Ok(Bytes::from(format!("{}\n", json!({"error": {"kind": error.kind, "message": error.message}})))),
                None,
            )),
        }
    });
    let body = Stream::from_stream(lines.boxed());
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// Where the reading of one partition stands.
struct Cursor {
    partition: TopicPartition,
    next: Offset,
    /// Where it ends unless more is awaited.
    end: Offset,
}

struct Reader {
    topics: Arc<dyn Topics>,
    /// The topic's name.
    name: String,
    cursors: Vec<Cursor>,
    left: u64,
    follow: bool,
}

impl Reader {
    /// The next lines; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.left == 0 {
                return Ok(None);
            }
            if let Some(at) = self.cursors.iter().position(|cursor| cursor.next < cursor.end) {
                let lines = self.read(at).await?;
                if !lines.is_empty() {
                    return Ok(Some(lines));
                }
                continue;
            }
            if !self.follow {
                return Ok(None);
            }
            self.wait().await?;
        }
    }

    async fn read(&mut self, at: usize) -> Result<Bytes, Error> {
        let cursor = &mut self.cursors[at];
        let fetched = self.topics.read(cursor.partition, cursor.next, READ_BYTES).await?;
        let mut records = Columns::default();
        let mut next = cursor.next;
        let unreadable = |at: Offset| {
            let (name, partition) = (&self.name, cursor.partition.partition);
            move |error: millstream_record::Error| {
                let message = format!(
                    "the batch at offset {at} of partition {partition} of {name:?} can't be read: {error}; begin after it with --from"
                );
                Error::new(ErrorKind::Corrupt, message)
            }
        };
        for stored in fetched.batches {
            let batches = split(stored).map_err(unreadable(next))?;
            for batch in &batches {
                next = next.max(batch.next_offset());
                if !batch.is_control() {
                    let at = batch.base_offset();
                    records.append_batch(batch, cursor.next, &Limits::default()).map_err(unreadable(at))?;
                }
            }
        }
        // Nothing came though something should be there: the log was cut meanwhile.
        cursor.next = if next > cursor.next { next } else { cursor.end };
        let mut lines = String::new();
        for index in 0..records.len() {
            if self.left == 0 || (!self.follow && records.offsets[index] >= cursor.end.0) {
                break;
            }
            self.left -= 1;
            lines.push_str(&line(cursor.partition, &records, index).to_string());
            lines.push('\n');
        }
        Ok(lines.into())
    }

    /// Until any partition has more.
    async fn wait(&mut self) -> Result<(), Error> {
        let topics = self.topics.clone();
        let waits = self.cursors.iter().map(|cursor| topics.readable(cursor.partition, cursor.next));
        let (outcome, _, _) = futures::future::select_all(waits).await;
        outcome?;
        for cursor in &mut self.cursors {
            cursor.end = topics.bounds(cursor.partition).await?.high_watermark;
        }
        Ok(())
    }
}

fn line(partition: TopicPartition, records: &Columns, index: usize) -> Value {
    let headers: Vec<Value> = records.headers.get(index).map(|(name, value)| json!([name, shown(value)])).collect();
    json!({
        "partition": partition.partition.0, "offset": records.offsets[index], "timestamp": records.timestamps[index],
        "key": shown(records.keys.get(index)), "value": shown(records.values.get(index)), "headers": headers,
    })
}

/// Text as it is; other bytes as `{"base64": ...}`.
fn shown(content: Option<&[u8]>) -> Value {
    match content.map(|content| (std::str::from_utf8(content), content)) {
        None => Value::Null,
        Some((Ok(text), _)) => json!(text),
        Some((Err(_), content)) => json!({"base64": STANDARD.encode(content)}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use millstream_task::memory::MemoryTopics;
    use std::collections::BTreeMap;
    use std::time::Duration;

    #[tokio::test]
    async fn a_read_that_brings_only_the_end_of_a_transaction_is_followed_by_what_comes_after() {
        let topics = Arc::new(MemoryTopics::new());
        let topic = topics.create("t", 1, &BTreeMap::new()).await.unwrap();
        let partition = topic.topic_partitions().next().unwrap();
        let producer = topics.producer("p", Duration::from_secs(1)).await.unwrap();
        // Larger than a read: it never comes with the end before it.
        let large = "x".repeat(READ_BYTES);
        for value in ["small", &large, "last"] {
            let mut records = Columns::default();
            records.push(1, None, Some(value.as_bytes()), []);
            producer.append(partition, &records).await.unwrap();
            producer.commit("g", &[]).await.unwrap();
        }
        let end = topics.bounds(partition).await.unwrap().high_watermark;
        let cursors = vec![Cursor { partition, next: Offset::ZERO, end }];
        let mut reader = Reader { topics, name: "t".into(), cursors, left: u64::MAX, follow: false };
        let mut offsets = Vec::new();
        while let Some(lines) = reader.next().await.unwrap() {
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                offsets.push(serde_json::from_slice::<Value>(line).unwrap()["offset"].as_i64().unwrap());
            }
        }
        assert_eq!(offsets, [0, 2, 4]);
    }
}
