//! `range`: of each topic, members in order have neighbouring partitions. Static members come first, by their names, so that they keep what
//! they have over restarts; topics with the same members and size are cut alike, so that they can be joined.

use super::{Question, give};
use crate::consumer::member::Partitions;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn assign(question: &Question<'_>, assigned: &mut BTreeMap<Arc<str>, Partitions>) {
    for (topic, partitions) in question.topics {
        let mut members: Vec<_> = question.members.iter().filter(|(_, member)| member.topics.contains(topic)).collect();
        members.sort_by_key(|(id, member)| (member.instance.is_none(), member.instance.as_deref(), (*id).clone()));
        let Ok(count) = i32::try_from(members.len()) else { continue };
        if count == 0 {
            continue;
        }
        let (each, more) = (partitions / count, partitions % count);
        let mut next = 0;
        for (place, (member, _)) in (0..count).zip(members) {
            let size = each + i32::from(place < more);
            (next..next + size).for_each(|partition| give(assigned, member, (*topic, partition)));
            next += size;
        }
    }
}
