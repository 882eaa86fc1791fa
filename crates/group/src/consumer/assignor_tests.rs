//! Tables of assignments, and what holds for any.

use super::*;
use proptest::prelude::*;
use uuid::Uuid;

fn topic(number: u128) -> TopicId {
    TopicId(Uuid::from_u128(number))
}

fn members(of: &[(&str, &[u128])]) -> BTreeMap<Arc<str>, Subscriber> {
    of.iter()
        .map(|(id, topics)| {
            let topics = topics.iter().map(|number| topic(*number)).collect();
            (Arc::from(*id), Subscriber { instance: None, topics })
        })
        .collect()
}

fn topics(of: &[(u128, i32)]) -> BTreeMap<TopicId, i32> {
    of.iter().map(|(number, partitions)| (topic(*number), *partitions)).collect()
}

fn given(
    assignor: Assignor,
    members: &BTreeMap<Arc<str>, Subscriber>,
    topics: &BTreeMap<TopicId, i32>,
) -> Vec<Vec<i32>> {
    let assigned = assignor.assign(&Question { members, topics, before: &BTreeMap::new() });
    assigned.values().map(|partitions| partitions.values().flatten().copied().collect()).collect()
}

#[test]
fn range_gives_neighbours_and_the_first_have_one_more() {
    let members = members(&[("a", &[1, 2]), ("b", &[1, 2]), ("c", &[1])]);
    let given = given(Assignor::Range, &members, &topics(&[(1, 7), (2, 3)]));
    assert_eq!(given, [vec![0, 1, 2, 0, 1], vec![3, 4, 2], vec![5, 6]]);
}

#[test]
fn range_puts_static_members_first_by_their_names() {
    let mut members = members(&[("a", &[1]), ("b", &[1]), ("c", &[1])]);
    members.get_mut("c").unwrap().instance = Some("i1".into());
    members.get_mut("b").unwrap().instance = Some("i2".into());
    assert_eq!(given(Assignor::Range, &members, &topics(&[(1, 3)])), [vec![2], vec![1], vec![0]]);
}

#[test]
fn uniform_shares_evenly_over_topics() {
    let members = members(&[("a", &[1, 2]), ("b", &[1, 2])]);
    assert_eq!(given(Assignor::Uniform, &members, &topics(&[(1, 3), (2, 2)])), [vec![0, 1, 1], vec![2, 0]]);
}

#[test]
fn uniform_moves_only_what_a_new_member_needs() {
    let two = members(&[("a", &[1]), ("b", &[1])]);
    let topics = topics(&[(1, 6)]);
    let before: BTreeMap<Arc<str>, Arc<Partitions>> = Assignor::Uniform
        .assign(&Question { members: &two, topics: &topics, before: &BTreeMap::new() })
        .into_iter()
        .map(|(member, partitions)| (member, Arc::new(partitions)))
        .collect();
    let three = members(&[("a", &[1]), ("b", &[1]), ("c", &[1])]);
    let after = Assignor::Uniform.assign(&Question { members: &three, topics: &topics, before: &before });
    let moved: usize = before
        .iter()
        .map(|(member, had)| {
            let has = after.get(member).unwrap();
            had.get(&topic(1)).unwrap().difference(has.get(&topic(1)).unwrap()).count()
        })
        .sum();
    assert_eq!(moved, 2);
}

#[test]
fn uniform_of_unlike_subscriptions_gives_the_rare_topic_to_who_may_have_it() {
    let members = members(&[("a", &[1]), ("b", &[1, 2])]);
    assert_eq!(given(Assignor::Uniform, &members, &topics(&[(1, 4), (2, 2)])), [vec![0, 1, 2], vec![3, 0, 1]]);
}

/// Who subscribes to which topics, how large these are, and which member had which partition of which topic.
type Any = (Vec<Vec<bool>>, Vec<i32>, Vec<(usize, usize, i32)>);

fn any_question() -> impl Strategy<Value = Any> {
    (1..6usize, 1..6usize).prop_flat_map(|(members, topics)| {
        (
            prop::collection::vec(prop::collection::vec(any::<bool>(), topics), members),
            prop::collection::vec(0..20i32, topics),
            prop::collection::vec((0..members, 0..topics, 0..25i32), 0..40),
        )
    })
}

proptest! {
    #[test]
    fn every_partition_that_somebody_reads_has_one_owner_who_subscribes((subscribed, sizes, had) in any_question()) {
        let number = |index: usize| topic(u128::try_from(index).unwrap() + 1);
        let members: BTreeMap<Arc<str>, Subscriber> = subscribed.iter().enumerate().map(|(index, row)| {
            let topics = row.iter().enumerate().filter(|(_, on)| **on).map(|(index, _)| number(index)).collect();
            (Arc::from(format!("m{index}")), Subscriber { instance: None, topics })
        }).collect();
        let topics: BTreeMap<TopicId, i32> = sizes.iter().enumerate().map(|(index, size)| (number(index), *size)).collect();
        let mut before: BTreeMap<Arc<str>, Partitions> = BTreeMap::new();
        for (member, index, partition) in had {
            before.entry(Arc::from(format!("m{member}"))).or_default().entry(number(index)).or_default().insert(partition);
        }
        let before = before.into_iter().map(|(member, partitions)| (member, Arc::new(partitions))).collect();
        for assignor in Assignor::ALL {
            let assigned = assignor.assign(&Question { members: &members, topics: &topics, before: &before });
            let mut owners: BTreeMap<(TopicId, i32), usize> = BTreeMap::new();
            for (member, partitions) in &assigned {
                for (topic, partitions) in partitions {
                    prop_assert!(members[member].topics.contains(topic));
                    partitions.iter().for_each(|one| *owners.entry((*topic, *one)).or_default() += 1);
                }
            }
            let read: BTreeSet<TopicId> = members.values().flat_map(|member| member.topics.iter().copied()).collect();
            let expected: usize = read.iter().map(|topic| usize::try_from(topics[topic]).unwrap()).sum();
            prop_assert!(owners.values().all(|count| *count == 1), "{owners:?}");
            prop_assert_eq!(owners.len(), expected);
        }
    }

    #[test]
    fn uniform_counts_differ_by_one_where_all_read_the_same(members in 1..8usize, sizes in prop::collection::vec(0..20i32, 1..5)) {
        let read: BTreeSet<TopicId> = (1..=sizes.len()).map(|index| topic(u128::try_from(index).unwrap())).collect();
        let members: BTreeMap<Arc<str>, Subscriber> = (0..members)
            .map(|index| (Arc::from(format!("m{index}")), Subscriber { instance: None, topics: read.clone() })).collect();
        let topics: BTreeMap<TopicId, i32> = read.iter().copied().zip(sizes).collect();
        let assigned = Assignor::Uniform.assign(&Question { members: &members, topics: &topics, before: &BTreeMap::new() });
        let counts: Vec<usize> = assigned.values().map(|of| of.values().map(BTreeSet::len).sum()).collect();
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
    }
}
