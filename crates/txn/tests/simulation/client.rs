//! A transactional producer that speaks `transaction.version=2`: initializes, writes, ends, and does what Kafka's client does after an error.

use crate::world::{Dice, Message, PARTITIONS, Tag};
use millstream_txn::{Error, Identity, Outcome};

/// Records of one transaction at most.
const RECORDS_MAX: u64 = 5;

/// What a client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    Nothing,
    Init(Option<Identity>),
    Produce(usize),
    End(Outcome),
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    pub number: usize,
    /// The transactional id that it uses; others may use it too.
    pub id: usize,
    pub identity: Identity,
    pub tag: Tag,
    pub doing: Doing,
    /// The number of its request: answers to others are too late.
    pub call: u64,
    /// Its request was sent; it is sent again now and then.
    pub is_sent: bool,
    sequences: [i32; PARTITIONS],
    left: u64,
    acked: u64,
}

/// What an answer made of the client's transaction.
pub enum Learned {
    Nothing,
    Acked,
    Ended(Outcome),
    Fenced,
}

impl Client {
    pub fn new(number: usize, id: usize) -> Self {
        Self {
            number,
            id,
            identity: Identity::NONE,
            tag: Tag(0),
            doing: Doing::Init(None),
            call: 0,
            is_sent: false,
            sequences: [0; PARTITIONS],
            left: 0,
            acked: 0,
        }
    }

    /// Chooses what to do next; nothing where an answer is awaited.
    pub fn choose(&mut self, dice: &mut Dice, next_call: u64) {
        if self.doing == Doing::Nothing {
            self.call = next_call;
            self.doing = match self.left {
                0 if self.acked > 0 && dice.below(10) < 7 => Doing::End(Outcome::Commit),
                0 => Doing::End(Outcome::Abort),
                _ if dice.below(50) == 0 => Doing::Init(Some(self.identity)),
                _ => Doing::Produce(dice.index(PARTITIONS)),
            };
            self.left = self.left.saturating_sub(1);
        }
    }

    /// Its request, as often as it is sent.
    pub fn request(&self) -> Message {
        let Self { number: client, call, tag, identity, .. } = *self;
        match self.doing {
            Doing::Nothing => unreachable!("it has chosen"),
            Doing::Init(expected) => Message::Init { client, call, expected },
            Doing::Produce(partition) => {
                Message::Produce { client, call, tag, identity, sequence: self.sequences[partition], partition }
            }
            Doing::End(outcome) => Message::End { client, call, tag, identity, outcome },
        }
    }

    fn begin(&mut self, identity: Identity, tag: Tag, dice: &mut Dice) {
        if identity != self.identity {
            self.sequences = [0; PARTITIONS];
        }
        (self.identity, self.tag, self.left, self.acked) = (identity, tag, dice.below(RECORDS_MAX) + 1, 0);
        self.doing = Doing::Nothing;
    }

    /// Takes the answer to its request.
    pub fn answered(&mut self, answer: Result<Identity, Error>, tag: Tag, next_call: u64, dice: &mut Dice) -> Learned {
        self.is_sent = false;
        match (self.doing, answer) {
            (_, Err(Error::ConcurrentTransactions { .. } | Error::CoordinatorNotAvailable { .. })) => Learned::Nothing,
            (Doing::Init(_), Ok(identity)) => {
                self.begin(identity, tag, dice);
                Learned::Nothing
            }
            (Doing::Produce(partition), Ok(_)) => {
                self.sequences[partition] += 1;
                self.acked += 1;
                self.doing = Doing::Nothing;
                Learned::Acked
            }
            (Doing::End(outcome), Ok(identity)) => {
                self.begin(identity, tag, dice);
                Learned::Ended(outcome)
            }
            // Abortable: the transaction can't be saved, the producer can.
            (Doing::Produce(_), Err(Error::NotInTransaction { .. } | Error::OutOfOrderSequence { .. })) => {
                (self.doing, self.call) = (Doing::End(Outcome::Abort), next_call);
                Learned::Nothing
            }
            // Somebody else has the id: as a new instance it takes it back.
            (_, Err(_)) => {
                (self.doing, self.call) = (Doing::Init(None), next_call);
                Learned::Fenced
            }
            (Doing::Nothing, Ok(_)) => Learned::Nothing,
        }
    }
}
