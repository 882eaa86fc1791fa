//! Connections that bring much, and have several requests on their way.

use crate::echo;
use crate::harness::{Node, OVERLAPS, frame, read_frame, until};
use millstream_net::Budget;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

/// Requests on their way.
const IN_FLIGHT: usize = 5;

/// A request: what it begins with is its answer.
fn request(number: u32, len: usize) -> Vec<u8> {
    [OVERLAPS, &number.to_be_bytes(), &vec![number as u8; len]].concat()
}

#[tokio::test]
async fn requests_that_come_together_are_answered_whole_and_in_order_and_the_last_ones_too() {
    let budget = Budget::new(64 << 20);
    let of_node = budget.clone();
    let node = Node::start_with(
        |config| config.budget = of_node,
        |_, content| {
            let number = content[OVERLAPS.len()..][..4].last().copied();
            assert!(content[OVERLAPS.len() + 4..].iter().all(|byte| Some(*byte) == number), "it came whole");
            Box::pin(async move { echo(content.slice(..OVERLAPS.len() + 4)) })
        },
    )
    .await;
    for lens in [&[180][..], &[60_000], &[180, 20_000, 90_000], &[10, 300_000, 1_000, 1_000_000]] {
        let (mut reading, mut writing) = node.connect().await.into_split();
        let window = Semaphore::new(IN_FLIGHT);
        let send = async {
            for number in 0..1_500_u32 {
                // All are answered though no other follows, now and then.
                let wanted = if number % 300 == 299 { IN_FLIGHT } else { 1 };
                let permits = window.acquire_many(wanted as u32).await.unwrap();
                permits.forget();
                window.add_permits(wanted - 1);
                let len = lens[number as usize % lens.len()];
                writing.write_all(&frame(&request(number, len))).await.unwrap();
            }
        };
        let receive = async {
            for number in 0..1_500_u32 {
                assert_eq!(read_frame(&mut reading).await.unwrap(), request(number, 0));
                window.add_permits(1);
            }
        };
        let both = async { tokio::join!(send, receive) };
        tokio::time::timeout(Duration::from_secs(60), both).await.unwrap();
    }
    until(|| budget.used() == 0).await;
}
