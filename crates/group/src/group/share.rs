//! What is asked of a share group (KIP-932). A name that nobody has used becomes one by its first heartbeat or offsets; a group of consumers
//! never does.

use super::{Ask, Group, Membership};
use crate::Error;
use crate::classic::Classic;
use crate::consumer::Consumer;
use crate::effects::Reply;
use crate::request::GroupType;
use crate::turn::Turn;

impl Group {
    /// Decides what is asked of it as of a share group.
    pub(super) fn decide_share(&mut self, ask: Ask, turn: &mut Turn<'_>) {
        let makes = matches!(&ask, Ask::Share(..) | Ask::AlterShares(..));
        if makes && self.offsets.is_empty() && self.classic().is_some_and(Classic::is_unborn) {
            // Where the ask is refused, or not written, the group is blank and forgotten.
            self.membership = Membership::Share(Box::new(Consumer::new(self.id.clone(), GroupType::Share)));
        }
        let Membership::Share(share) = &mut self.membership else {
            let error = Error::OtherProtocol { group: self.id.to_string(), wanted: GroupType::Share.name() };
            if let Some((waiter, reply)) = ask.refused(&error) {
                turn.reply(waiter, reply);
            }
            return;
        };
        match ask {
            Ask::Share(request, waiter) if share.stored.is_blank() && request.epoch != crate::JOIN_EPOCH => {
                let error = Error::GroupIdNotFound { group: request.group };
                share.answer(waiter, Reply::Beat(Err(error)));
            }
            Ask::Share(request, waiter) => share.share_beat(request, waiter, turn),
            Ask::AlterShares(request, waiter) => share.alter_shares(&request, waiter, turn),
            Ask::DeleteShares(topics, waiter) => share.delete_shares(topics.as_deref(), waiter, turn),
            Ask::SharesWorked(worked) => share.shares_worked(&worked, turn),
            Ask::TopicDeleted(topic) => share.share_topic_deleted(&topic, turn),
            Ask::Beat(..) | Ask::Join(..) | Ask::Sync(..) | Ask::Leave(..) | Ask::Due(_) | Ask::Resolved(_) => {}
        }
    }
}
