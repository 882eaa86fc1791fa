//! Appends that come together: they share a write, and are answered as if each had come alone.

use crate::node::{Node, batch, image, pairs, sequenced, values};
use futures::future::join_all;
use millstream_partition::{AppendOptions, Appended, Appending, Error, Origin};
use millstream_record::Batch;
use millstream_runtime::SimDisk;
use millstream_types::{ErrorKind, Offset};
use std::sync::Arc;

fn disk() -> Arc<SimDisk> {
    Arc::new(SimDisk::new())
}

fn client() -> AppendOptions {
    AppendOptions::new(Origin::Client)
}

/// Begins all appends before the first is written, as a connection does whose buffer has several requests.
async fn together(node: &Node, batches: Vec<Batch>) -> Vec<Result<Appended, Error>> {
    let handle = node.t0();
    let begun: Vec<_> = batches.into_iter().map(|batch| handle.begin_append(vec![batch], client()).unwrap()).collect();
    join_all(begun.into_iter().map(Appending::done)).await
}

fn is_out_of_order(answer: &Result<Appended, Error>) -> bool {
    matches!(answer, Err(Error::Producer { source: millstream_txn::Error::OutOfOrderSequence { .. }, .. }))
}

#[tokio::test(start_paused = true)]
async fn the_first_lets_the_others_in_and_writes_for_all() {
    let node = Node::start(&disk(), image(&[])).await;
    let handle = node.t0();
    let first = handle.begin_append(vec![batch(&["a"])], client()).unwrap();
    let mut second = handle.begin_append(vec![batch(&["b"])], client()).unwrap();
    second.write();
    assert_eq!(handle.bounds().log_end, Offset(0), "it waits for the first to write");
    assert_eq!(first.done().await.unwrap().base_offset, Offset(0));
    assert_eq!(handle.bounds().log_end, Offset(2));
    assert_eq!(second.done().await.unwrap().base_offset, Offset(1));
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_away_before_its_write_leaves_it_to_a_task() {
    let node = Node::start(&disk(), image(&[])).await;
    let handle = node.t0();
    drop(handle.begin_append(vec![batch(&["a"])], client()).unwrap());
    assert_eq!(node.append(batch(&["b"])).await.unwrap().base_offset, Offset(1));
    assert_eq!(values(&handle, 0).await, pairs(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn a_producers_batches_follow_each_other() {
    let node = Node::start(&disk(), image(&[])).await;
    let batches = (0..5).map(|sequence| sequenced(9, 0, sequence, &["x"])).collect();
    let offsets: Vec<Offset> =
        together(&node, batches).await.into_iter().map(|answer| answer.unwrap().base_offset).collect();
    assert_eq!(offsets, (0..5).map(Offset).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_gap_is_refused_and_what_fits_goes_on() {
    let node = Node::start(&disk(), image(&[])).await;
    let batches = [(0, "a"), (2, "c"), (1, "b")].map(|(sequence, value)| sequenced(9, 0, sequence, &[value]));
    let answers = together(&node, batches.to_vec()).await;
    assert!(answers[0].is_ok() && is_out_of_order(&answers[1]) && answers[2].is_ok(), "{answers:?}");
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn a_retry_beside_its_first_try_is_told_where_that_went() {
    let node = Node::start(&disk(), image(&[])).await;
    node.append(batch(&["before"])).await.unwrap();
    let twice = vec![sequenced(9, 0, 0, &["a"]), sequenced(9, 0, 0, &["a"]), sequenced(9, 0, 1, &["b"])];
    let answers: Vec<Appended> = together(&node, twice).await.into_iter().map(Result::unwrap).collect();
    let told: Vec<_> = answers.iter().map(|answer| (answer.base_offset, answer.duplicate)).collect();
    assert_eq!(told, [(Offset(1), false), (Offset(1), true), (Offset(2), false)]);
    assert_eq!(values(&node.t0(), 0).await, pairs(&["before", "a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn what_follows_a_batch_that_could_not_be_written_is_refused() {
    let node = Node::start(&disk(), image(&[("segment.bytes", "200")])).await;
    node.append(sequenced(9, 0, 0, &["a"])).await.unwrap();
    let large = "x".repeat(500);
    let batches = vec![sequenced(9, 0, 1, &[&large]), sequenced(9, 0, 2, &["c"]), sequenced(8, 0, 0, &["z"])];
    let answers = together(&node, batches).await;
    assert_eq!(answers[0].as_ref().unwrap_err().kind(), ErrorKind::Invalid);
    assert!(is_out_of_order(&answers[1]), "{answers:?}");
    assert!(answers[2].is_ok(), "another producer's");
    assert_eq!(values(&node.t0(), 0).await, pairs(&["a", "z"]));
}
