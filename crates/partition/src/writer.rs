//! The combining writer: whoever comes first drains the queue for all, so that appends are in order without a lock across I/O.
//!
//! ```text
//!   append A --+
//!   append B --+--> queue --drain--> check producers --> one vectored append --> answers
//!   append C --+        (the first arriver polls the drain itself; only a drain that has to wait moves to a task of its own)
//! ```
//!
//! A caller that knows of more appends (a connection with several requests in its buffer) begins them all before the first is written, so
//! that they share one write.
//!
//! A caller that goes away in between takes nothing with it: the drain never belongs to a caller's future once it waits.

use crate::config::{APPENDS_QUEUED_MAX, WRITE_BYTES_MAX};
use crate::handle::PartitionHandle;
use crate::kept;
use crate::partition::Partition;
use crate::producers::{aborted, marker, sequenced, snapshot, stamp};
use crate::{AppendOptions, Appended, Error};
use bytes::Bytes;
use millstream_record::Batch;
use millstream_replica::Acks;
use millstream_storage::{AbortedTxn, Appended as Placed};
use millstream_txn::{Duplicate, Guard, Producers, Verdict, Version};
use millstream_types::{ErrorKind, LeaderEpoch, Offset, ProducerId, TimestampMs};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::sync::oneshot;

type Answer = Result<Appended, Error>;

/// Appends that wait for their turn.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Entry>,
    draining: bool,
}

struct Entry {
    batches: Vec<Batch>,
    bytes: usize,
    acks: Acks,
    guard: Option<Guard>,
    version: Version,
    /// Where its first batch is, when that came before.
    duplicate: Option<Duplicate>,
    answer: oneshot::Sender<Answer>,
}

/// An append that has its place in its partition's queue: what was begun before it is in the log before it. Dropped, it is written all
/// the same.
#[must_use = "it is written when somebody asks for its outcome, or drops it"]
pub struct Appending {
    partition: Arc<Partition>,
    answered: oneshot::Receiver<Answer>,
    /// Where nobody drained the queue when it came.
    turn: Option<Turn>,
    acks: Acks,
    timeout: Duration,
    /// By the clock's `elapsed`.
    begun: Duration,
}

impl Appending {
    /// Puts an append into the queue.
    pub(crate) fn begin(
        partition: &Arc<Partition>,
        batches: Vec<Batch>,
        options: &AppendOptions,
    ) -> Result<Self, Error> {
        let AppendOptions { acks, guard, version, timeout, .. } = *options;
        let (answer, answered) = oneshot::channel();
        let bytes = batches.iter().map(Batch::size).sum();
        let has_turn = enqueue(partition, Entry { batches, bytes, acks, guard, version, duplicate: None, answer })?;
        Ok(Self {
            turn: has_turn.then(|| Turn(Some(partition.clone()))),
            partition: partition.clone(),
            answered,
            acks,
            timeout,
            begun: partition.runtime.clock.elapsed(),
        })
    }

    /// The partition that is appended to.
    #[must_use]
    pub fn partition(&self) -> PartitionHandle {
        PartitionHandle(self.partition.clone())
    }

    /// Writes what is in the queue, unless somebody does already.
    pub fn write(&mut self) {
        if let Some(turn) = self.turn.take() {
            turn.drain();
        }
    }

    /// Returns when the append is in the log, and on as many replicas as it asked for.
    ///
    /// # Errors
    /// As [`PartitionHandle::append`].
    pub async fn done(mut self) -> Result<Appended, Error> {
        self.write();
        let closed = |_| Err(Error::Closed { name: self.partition.name.clone() });
        let appended = (&mut self.answered).await.unwrap_or_else(closed)?;
        if self.acks == Acks::All {
            let handle = self.partition();
            if !handle.is_committed(appended.next_offset)? {
                // Boxed: where all replicas are this broker nobody waits.
                Box::pin(handle.confirmed(appended.next_offset, self.begun, self.timeout)).await?;
            }
        }
        Ok(appended)
    }
}

/// Returns whether the caller has to drain.
fn enqueue(partition: &Partition, entry: Entry) -> Result<bool, Error> {
    let mut queue = partition.queue.lock();
    let queued = queue.waiting.len();
    if queued >= APPENDS_QUEUED_MAX {
        return Err(Error::Busy { name: partition.name.clone(), queued });
    }
    queue.waiting.push_back(entry);
    Ok(!std::mem::replace(&mut queue.draining, true))
}

/// The duty to drain, while others are let into the queue: who goes away with it leaves it to a task.
struct Turn(Option<Arc<Partition>>);

impl Turn {
    fn drain(mut self) {
        let Some(partition) = self.0.take() else { return };
        let mut drain = Box::pin(drain(partition.clone()));
        // Mostly it is done at once. What is not goes on where whoever asked for it may go away; a task polls it again, and is woken.
        if drain.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            partition.runtime.tasks.spawn("append", drain);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(partition) = self.0.take() {
            partition.runtime.tasks.clone().spawn("append", drain(partition));
        }
    }
}

/// Lets others drain when this one ended without having emptied the queue, which only a panic does.
struct Draining(Arc<Partition>);

impl Drop for Draining {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        if std::thread::panicking() {
            queue.draining = false;
            // Dropped answers tell their callers.
            queue.waiting.clear();
        }
    }
}

async fn drain(partition: Arc<Partition>) {
    let draining = Draining(partition);
    while let Some(entries) = take(&draining.0) {
        write(&draining.0, entries).await;
    }
}

/// The next appends to write together; none when the queue is empty, and then nobody drains.
fn take(partition: &Partition) -> Option<Vec<Entry>> {
    let mut queue = partition.queue.lock();
    let mut entries = Vec::new();
    let mut bytes = 0;
    while let Some(entry) = queue.waiting.front() {
        bytes += entry.bytes;
        if bytes > WRITE_BYTES_MAX && !entries.is_empty() {
            break;
        }
        entries.extend(queue.waiting.pop_front());
    }
    queue.draining = !entries.is_empty();
    (!entries.is_empty()).then_some(entries)
}

/// Writes appends in their order, as few writes as can be. What is not plainly accepted after the appends before it is checked again when
/// those are in the log: only the log itself refuses, and only what is in it is a duplicate.
async fn write(partition: &Arc<Partition>, entries: Vec<Entry>) {
    let is_alone = entries.len() == 1;
    let mut accepted: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut ahead = Ahead::default();
    for mut entry in entries {
        if !ahead.plainly_accepts(&entry) {
            write_accepted(partition, std::mem::take(&mut accepted)).await;
            ahead = Ahead::default();
        }
        // Nothing comes after a single batch.
        let looks_ahead = !is_alone || entry.batches.len() > 1;
        match check(partition, &mut entry, looks_ahead.then_some(&mut ahead)) {
            Ok(()) if entry.batches.is_empty() => answer_duplicate(partition, entry),
            Ok(()) => accepted.push(entry),
            Err(error) => {
                // What it would have done to its producers is not going to be.
                write_accepted(partition, std::mem::take(&mut accepted)).await;
                ahead = Ahead::default();
                drop(entry.answer.send(Err(error)));
            }
        }
    }
    write_accepted(partition, accepted).await;
}

/// What accepted batches will make of their producers once they are in the log.
#[derive(Default)]
struct Ahead(BTreeMap<ProducerId, Producers>);

impl Ahead {
    /// Whether the batches of producers that are known here follow what they did before.
    fn plainly_accepts(&self, entry: &Entry) -> bool {
        let mut known = entry.batches.iter().filter(|batch| self.0.contains_key(&batch.producer_id()));
        let Some(batch) = known.next() else { return true };
        // Several of one producer within an append are a rarity: they wait.
        let is_only = known.next().is_none();
        let verdict = sequenced(batch).map(|it| self.0[&it.producer].check(&it, entry.guard));
        is_only && matches!(verdict, Some(Ok(Verdict::Accept)))
    }

    fn of(&mut self, producers: &Producers, producer: ProducerId) -> &mut Producers {
        self.0.entry(producer).or_insert_with(|| producers.only(producer))
    }
}

/// Checks leadership and producers; takes out the batches that are in the log already. `ahead` is told what the others will do.
fn check(partition: &Partition, entry: &mut Entry, mut ahead: Option<&mut Ahead>) -> Result<(), Error> {
    partition.check_open()?;
    let min_isr = partition.log.config().min_insync_replicas;
    partition.replica.lock().check_append(entry.acks, min_isr).map_err(|error| partition.refused(error))?;
    let producers = partition.producers.lock();
    let mut new = Vec::with_capacity(entry.batches.len());
    let refused = |source| Error::Producer { name: partition.name.clone(), source };
    for batch in std::mem::take(&mut entry.batches) {
        let known = ahead.as_deref().and_then(|ahead| ahead.0.get(&batch.producer_id())).unwrap_or(&producers);
        if let Some(sequenced) = sequenced(&batch) {
            match known.check(&sequenced, entry.guard).map_err(refused)? {
                Verdict::Duplicate(duplicate) => {
                    entry.duplicate = entry.duplicate.or(Some(duplicate));
                    continue;
                }
                Verdict::Accept => {}
            }
            if let Some(ahead) = &mut ahead {
                let state = ahead.of(&producers, sequenced.producer);
                state.apply(&sequenced, Offset::ZERO, batch.max_timestamp());
            }
        } else if let Some(marker) = marker(&batch) {
            known.check_marker(&marker, entry.version).map_err(refused)?;
            if let Some(ahead) = &mut ahead {
                ahead.of(&producers, marker.producer).end(&marker, Offset::ZERO, batch.max_timestamp());
            }
        }
        new.push(batch);
    }
    entry.batches = new;
    Ok(())
}

fn answer_duplicate(partition: &Partition, entry: Entry) {
    let bounds = partition.bounds();
    let log_append_time = partition.log.config().log_append_time;
    let answer = entry.duplicate.map(|Duplicate { base_offset, timestamp }| Appended {
        base_offset,
        // What was appended then is below the log end of now: acks=all waits for no less than it has to.
        next_offset: bounds.log_end,
        append_time: log_append_time.then_some(timestamp),
        log_start: bounds.log_start,
        leader_epoch: bounds.leader_epoch,
        duplicate: true,
    });
    // An append of no batches at all goes nowhere: it is told the log's end.
    let nothing = Appended {
        base_offset: bounds.log_end,
        next_offset: bounds.log_end,
        append_time: None,
        log_start: bounds.log_start,
        leader_epoch: bounds.leader_epoch,
        duplicate: false,
    };
    // The caller may be gone.
    let _ = entry.answer.send(Ok(answer.unwrap_or(nothing)));
}

/// Writes appends together; where one of them is to blame for a refusal, each alone, so that it does not fail the others.
async fn write_accepted(partition: &Arc<Partition>, entries: Vec<Entry>) {
    let Err((error, entries)) = try_write(partition, entries).await else { return };
    if error.kind() != ErrorKind::Invalid || entries.len() == 1 {
        return refuse(partition, entries, error);
    }
    for mut entry in entries {
        // It was checked as if those before it were in the log by now.
        match check(partition, &mut entry, Some(&mut Ahead::default())) {
            Ok(()) if entry.batches.is_empty() => answer_duplicate(partition, entry),
            Ok(()) => {
                if let Err((error, entries)) = try_write(partition, vec![entry]).await {
                    refuse(partition, entries, error);
                }
            }
            Err(error) => drop(entry.answer.send(Err(error))),
        }
    }
}

fn refuse(partition: &Partition, entries: Vec<Entry>, error: millstream_storage::Error) {
    let error = partition.failed(error);
    for entry in entries {
        // The caller may be gone.
        let _ = entry.answer.send(Err(error.clone()));
    }
}

/// Writes all or gives them back.
async fn try_write(
    partition: &Arc<Partition>,
    mut entries: Vec<Entry>,
) -> Result<(), (millstream_storage::Error, Vec<Entry>)> {
    if entries.is_empty() {
        return Ok(());
    }
    let epoch = partition.replica.lock().leader_epoch();
    // One append alone needs no second list of its batches.
    let batches = match entries.as_mut_slice() {
        [only] => std::mem::take(&mut only.batches),
        several => several.iter().flat_map(|entry| entry.batches.iter().cloned()).collect(),
    };
    let placed = match partition.log.append(&batches, epoch).await {
        Ok(placed) => placed,
        Err(error) => return Err((error, entries)),
    };
    match settle(partition, &batches, &placed).await {
        Ok(()) => {
            answer_all(partition, entries, &batches, &placed, epoch);
            Ok(())
        }
        Err(error) => Err((error, entries)),
    }
}

/// Brings everything else in line with what was appended: the disk where the topic asks for it, the producers, the replica.
async fn settle(
    partition: &Arc<Partition>,
    batches: &[Batch],
    placed: &Placed,
) -> Result<(), millstream_storage::Error> {
    let Noted { aborted, snapshots } = note_producers(partition, batches, placed);
    if !aborted.is_empty() {
        // Before the high watermark passes the markers: from then on readers of committed records go past them.
        partition.log.add_aborted(&aborted).await?;
        partition.aborts_unnoted.store(false, Ordering::Release);
    }
    // A snapshot says that the aborts below it are noted.
    snapshots.into_iter().for_each(|(at, producers)| write_snapshot(partition, at, producers));
    let config = partition.log.config();
    if partition.log.unflushed_records() >= config.flush_messages {
        partition.log.flush().await?;
    }
    let mut replica = partition.replica.lock();
    if replica.appended(placed.next_offset, config.min_insync_replicas) {
        partition.tell(&replica);
    }
    Ok(())
}

/// The producers' state at one offset: as Kafka stores it, and all of it.
struct Known {
    snapshot: Bytes,
    kept: Bytes,
}

/// What batches did to the producers' state.
#[derive(Default)]
struct Noted {
    aborted: Vec<AbortedTxn>,
    /// The state below each segment that was begun.
    snapshots: Vec<(Offset, Known)>,
}

/// Applies batches to the producers' state.
fn note_producers(partition: &Partition, batches: &[Batch], placed: &Placed) -> Noted {
    let bases = if placed.rolled { partition.log.segment_bases(placed.base_offset) } else { Vec::new() };
    let mut producers = partition.producers.lock();
    let mut next = placed.base_offset;
    let mut noted = Noted::default();
    let mut is_transactional = false;
    for batch in batches {
        if bases.contains(&next) {
            let known = Known { snapshot: snapshot(&producers), kept: kept::encode(&producers.memory()) };
            noted.snapshots.push((next, known));
        }
        if let Some(sequenced) = sequenced(batch) {
            producers.apply(&sequenced, next, stamp(batch, placed.append_time));
        } else if let Some(marker) = marker(batch) {
            let completed = producers.end(&marker, next, stamp(batch, placed.append_time));
            noted.aborted.extend(completed.as_ref().and_then(aborted));
        }
        is_transactional |= batch.is_transactional();
        next = next + i64::from(batch.last_offset_delta()) + 1;
    }
    partition.producers_to.store(next.0, Ordering::Release);
    if !noted.aborted.is_empty() {
        partition.aborts_unnoted.store(true, Ordering::Release);
    }
    if is_transactional {
        partition.note_unstable(&producers);
    }
    noted
}

/// Kafka's snapshot comes last: where there is one, there is all that is known at its offset or a later one.
fn write_snapshot(partition: &Partition, at: Offset, producers: Known) {
    let log = partition.log.clone();
    partition.runtime.tasks.spawn("producer snapshot", async move {
        let written = async {
            log.keep_producers(at, producers.kept).await?;
            log.write_producer_snapshot(at, producers.snapshot).await
        };
        if let Err(error) = written.await {
            tracing::warn!(folder = %log.folder().display(), %at, %error, "a producer snapshot was not written; recovery reads more of the log instead");
        }
    });
}

fn answer_all(
    partition: &Partition,
    entries: Vec<Entry>,
    batches: &[Batch],
    placed: &Placed,
    leader_epoch: LeaderEpoch,
) {
    let log_start = partition.replica.lock().log_start();
    let mut rest = batches;
    let mut next = placed.base_offset;
    let mut records = 0;
    let mut bytes = 0;
    for entry in entries {
        // A single append's batches were taken out of it.
        let count = if entry.batches.is_empty() { rest.len() } else { entry.batches.len() };
        let (own, others) = rest.split_at(count);
        rest = others;
        let base_offset = entry.duplicate.map_or(next, |duplicate| duplicate.base_offset);
        for batch in own {
            records += i64::from(batch.record_count());
            bytes += batch.size();
            next = next + i64::from(batch.last_offset_delta()) + 1;
        }
        let append_time: Option<TimestampMs> = placed.append_time;
        let appended =
            Appended { base_offset, next_offset: next, append_time, log_start, leader_epoch, duplicate: false };
        // The caller may be gone.
        let _ = entry.answer.send(Ok(appended));
    }
    partition.meter.messages_in.add(u64::try_from(records).unwrap_or(0));
    partition.meter.bytes_in.add(bytes as u64);
}
