//! Frames of one connection that are worked on together: begun in their order, answered in their order.

use crate::Answer;
use bytes::Bytes;
use futures::future::{BoxFuture, MaybeDone, maybe_done};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// See the module.
pub struct Pipeline<'a> {
    waiting: VecDeque<MaybeDone<BoxFuture<'a, Answer>>>,
    has_begun: bool,
    /// The frames, which may be used again when all are answered.
    pub frames: Vec<Bytes>,
}

impl<'a> Pipeline<'a> {
    /// The work on `frames`.
    pub fn new(work: Vec<BoxFuture<'a, Answer>>, frames: Vec<Bytes>) -> Self {
        Self { waiting: work.into_iter().map(maybe_done).collect(), has_begun: false, frames }
    }

    /// The next answers, one at least; none when all were given.
    pub async fn answers(&mut self) -> Option<Vec<Answer>> {
        if self.waiting.is_empty() {
            return None;
        }
        Some(poll_fn(|context| self.poll_answers(context)).await)
    }

    fn poll_answers(&mut self, context: &mut Context<'_>) -> Poll<Vec<Answer>> {
        // All are polled, in order: what one begins, those after it may join. One that waits just for them asks to be polled again at once:
        // all are, without the scheduler, which would wake another thread for it.
        if !std::mem::replace(&mut self.has_begun, true) && self.waiting.len() > 1 {
            let mut unheard = Context::from_waker(Waker::noop());
            for work in &mut self.waiting {
                let _ = Pin::new(work).poll(&mut unheard);
            }
        }
        for work in &mut self.waiting {
            let _ = Pin::new(work).poll(context);
        }
        let mut answers = Vec::new();
        while let Some(answer) = self.waiting.front_mut().and_then(|work| Pin::new(work).take_output()) {
            self.waiting.pop_front();
            answers.push(answer);
        }
        if answers.is_empty() { Poll::Pending } else { Poll::Ready(answers) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use tokio::sync::oneshot;

    fn reply(content: &'static [u8]) -> Answer {
        Answer::Reply(vec![Bytes::from_static(content).into()])
    }

    fn told(answers: Option<Vec<Answer>>) -> Vec<Vec<u8>> {
        let bytes = |answer| match answer {
            Answer::Reply(parts) => match parts.as_slice() {
                [crate::Part::Bytes(bytes)] => bytes.to_vec(),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        answers.expect("some").into_iter().map(bytes).collect()
    }

    #[tokio::test]
    async fn answers_come_in_order_as_soon_as_those_before_them_are_there() {
        let (first, waits_first) = oneshot::channel::<()>();
        let (third, waits_third) = oneshot::channel::<()>();
        let work: Vec<BoxFuture<'static, Answer>> = vec![
            waits_first.map(|_| reply(b"first")).boxed(),
            futures::future::ready(reply(b"second")).boxed(),
            waits_third.map(|_| reply(b"third")).boxed(),
        ];
        let mut pipeline = Pipeline::new(work, Vec::new());
        assert!(pipeline.answers().now_or_never().is_none(), "the first is not there");
        first.send(()).expect("somebody waits");
        assert_eq!(told(pipeline.answers().await), [&b"first"[..], b"second"]);
        assert!(pipeline.answers().now_or_never().is_none());
        third.send(()).expect("somebody waits");
        assert_eq!(told(pipeline.answers().await), [&b"third"[..]]);
        assert!(pipeline.answers().await.is_none());
    }

    #[tokio::test]
    async fn all_are_begun_before_the_first_goes_on() {
        let order = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
        let work = (0..3).map(|at| {
            let order = order.clone();
            async move {
                order.lock().push(("begun", at));
                tokio::task::yield_now().await;
                order.lock().push(("went on", at));
                Answer::NoReply
            }
            .boxed()
        });
        let mut pipeline = Pipeline::new(work.collect(), Vec::new());
        assert_eq!(pipeline.answers().await.map(|answers| answers.len()), Some(3));
        let expected = [("begun", 0), ("begun", 1), ("begun", 2), ("went on", 0), ("went on", 1), ("went on", 2)];
        assert_eq!(*order.lock(), expected);
    }
}
