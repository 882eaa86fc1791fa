//! What a produce request costs besides its bytes: bounds that a change is not to pass unseen.

use crate::node::{Node, batch, connection, produce};
use bytes::Bytes;
use futures::FutureExt;
use millstream_net::{Answer, Frame, Handler};
use millstream_protocol::encode_request;

/// Bytes of the future that answers a request. A larger one is more memory to take, fill and give back, each time.
const FUTURE_BYTES_MAX: usize = 3_072;
/// Allocations for a request of one batch, the simulated disk's own among them.
const ALLOCATIONS_MAX: u64 = 24;

fn frame(records: Bytes) -> Frame {
    let bytes = encode_request(&produce("t", 0, Some(records), -1), 9, 42, Some(&"test".into())).unwrap();
    Frame { bytes: bytes.slice(4..), more: false }
}

/// Allocations until the answer is there, which it is without a wait.
fn allocations(node: &Node, records: Bytes) -> u64 {
    let (context, frame) = (connection(1, false), frame(records));
    let counted = allocation_counter::measure(|| {
        let answer = node.service.handle(&context, frame).now_or_never();
        assert!(matches!(answer, Some(Answer::Reply(_))), "{answer:?}");
    });
    counted.count_total
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_little_room() {
    let node = Node::start().await;
    let context = connection(1, false);
    let answer = node.service.handle(&context, frame(batch(&["a"])));
    let bytes = size_of_val(&*answer);
    assert!(bytes <= FUTURE_BYTES_MAX, "{bytes} bytes");
}

#[tokio::test(start_paused = true)]
async fn no_record_costs_an_allocation() {
    let node = Node::start().await;
    node.topic("t", 1, &[]).await;
    node.produce("t", batch(&["first"])).await;
    let few = allocations(&node, batch(&["a"]));
    let many = allocations(&node, batch(&["a"; 500]));
    assert!(few <= ALLOCATIONS_MAX, "{few} allocations");
    // The file's memory and the index may grow meanwhile.
    assert!(many <= few + 2, "{few} allocations for one record, {many} for 500");
}
