//! Partitions of share groups: everybody has some, every partition is read, nobody has much more than others, and who had one keeps it.

#![cfg(test)]

use millstream_group::Partitions;
use millstream_group::share::{Sharing, assign};
use millstream_types::TopicId;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

type Members = BTreeMap<Arc<str>, BTreeSet<TopicId>>;
type Assigned = BTreeMap<Arc<str>, Partitions>;

fn topic(number: usize) -> TopicId {
    TopicId(Uuid::from_u128(number as u128 + 1))
}

fn topics(counts: &[i32]) -> Partitions {
    counts.iter().enumerate().map(|(index, count)| (topic(index), (0..*count).collect())).collect()
}

/// So many members, each with those topics.
fn members(count: usize, of: &[usize]) -> Members {
    (0..count).map(|index| (Arc::from(format!("m{index:02}")), of.iter().map(|one| topic(*one)).collect())).collect()
}

fn dealt(members: &Members, counts: &[i32], before: &Assigned) -> Assigned {
    let before = before.iter().map(|(member, had)| (member.clone(), Arc::new(had.clone()))).collect();
    assign(&Sharing { members, topics: &topics(counts), before: &before })
}

fn sizes(assigned: &Assigned) -> Vec<usize> {
    assigned.values().map(|partitions| partitions.values().map(BTreeSet::len).sum()).collect()
}

/// How many read each partition.
fn readers(assigned: &Assigned) -> BTreeMap<(TopicId, i32), usize> {
    let mut readers = BTreeMap::new();
    for (topic, partitions) in assigned.values().flatten() {
        partitions.iter().for_each(|partition| *readers.entry((*topic, *partition)).or_default() += 1);
    }
    readers
}

#[test]
fn few_members_divide_the_partitions() {
    let assigned = dealt(&members(2, &[0]), &[5], &Assigned::new());
    assert_eq!(sizes(&assigned), [3, 2]);
    assert!(readers(&assigned).values().all(|count| *count == 1));
}

#[test]
fn many_members_share_partitions() {
    let assigned = dealt(&members(5, &[0]), &[2], &Assigned::new());
    assert!(sizes(&assigned).iter().all(|size| *size >= 1));
    assert!(readers(&assigned).values().all(|count| (2..=3).contains(count)), "{assigned:?}");
}

#[test]
fn who_subscribes_to_nothing_that_is_there_has_nothing() {
    let assigned = dealt(&members(2, &[3]), &[4], &Assigned::new());
    assert_eq!(sizes(&assigned), [0, 0]);
    assert_eq!(dealt(&Members::new(), &[4], &Assigned::new()), Assigned::new());
}

proptest! {
    #[test]
    fn everybody_reads_every_partition_is_read_and_what_one_had_stays(
        count in 1_usize..12, partitions in 1_i32..12, leaves in 0_usize..12, grows in 0_i32..4,
    ) {
        let all = members(count, &[0, 1]);
        let first = dealt(&all, &[partitions, 1], &Assigned::new());
        check(&first, partitions + 1)?;
        prop_assert_eq!(&dealt(&all, &[partitions, 1], &first), &first, "the same question has the same answer");
        let mut fewer = all;
        if fewer.len() > 1 && leaves < fewer.len() {
            let gone = fewer.keys().nth(leaves).cloned().unwrap_or_else(|| Arc::from(""));
            fewer.remove(&gone);
        }
        check(&dealt(&fewer, &[partitions + grows, 1], &first), partitions + grows + 1)?;
    }
}

fn check(assigned: &Assigned, partitions: i32) -> Result<(), TestCaseError> {
    let (sizes, readers) = (sizes(assigned), readers(assigned));
    prop_assert_eq!(readers.len(), usize::try_from(partitions).unwrap_or(0), "every partition is read: {:?}", assigned);
    let (least, most) = (sizes.iter().min().copied(), sizes.iter().max().copied());
    prop_assert!(least > Some(0) || sizes.len() > readers.len() * 2, "{:?}", assigned);
    prop_assert!(most.unwrap_or(0) - least.unwrap_or(0) <= 1, "{:?}", assigned);
    Ok(())
}
