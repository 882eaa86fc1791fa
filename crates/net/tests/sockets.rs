//! A listener seen from real sockets: order, limits, pressure, files, slow and broken peers, stopping.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "sockets/files.rs"]
mod files;
#[path = "sockets/harness.rs"]
mod harness;
#[path = "sockets/pressure.rs"]
mod pressure;
#[path = "sockets/tls.rs"]
mod tls;
#[path = "sockets/together.rs"]
mod together;

use harness::{Node, OVERLAPS, frame, read_frame, until};
use millstream_net::{Answer, Error, Listener, ListenerConfig, Part};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn echo(content: bytes::Bytes) -> Answer {
    Answer::Reply(vec![Part::Bytes(frame(&content).into())])
}

#[tokio::test]
async fn pipelined_requests_are_answered_one_at_a_time_in_order() {
    static AT_ONCE: AtomicUsize = AtomicUsize::new(0);
    let node = Node::start(|_, content| {
        Box::pin(async move {
            assert_eq!(AT_ONCE.fetch_add(1, Ordering::SeqCst), 0, "two requests of one connection at once");
            for _ in 0..content[0] % 7 {
                tokio::task::yield_now().await;
            }
            AT_ONCE.fetch_sub(1, Ordering::SeqCst);
            echo(content)
        })
    })
    .await;
    let mut client = node.connect().await;
    let requests: Vec<u8> = (0..=255u8).flat_map(|number| frame(&[number; 300])).collect();
    client.write_all(&requests).await.unwrap();
    for number in 0..=255u8 {
        assert_eq!(read_frame(&mut client).await.unwrap(), [number; 300]);
    }
}

#[tokio::test]
async fn frames_that_overlap_are_begun_together_and_answered_in_order_and_others_wait_for_them() {
    let node = Node::start(|state, content| {
        Box::pin(async move {
            if content.starts_with(b"overlaps, first") {
                // The second lets it go on: one at a time, this would wait for ever.
                state.go_on.notified().await;
            } else if content.starts_with(OVERLAPS) {
                state.go_on.notify_one();
            }
            state.started.notify_one();
            echo(content)
        })
    })
    .await;
    let mut client = node.connect().await;
    let requests = [&b"overlaps, first"[..], b"overlaps, second", b"alone", b"overlaps, last"];
    client.write_all(&requests.map(frame).concat()).await.unwrap();
    for request in requests {
        assert_eq!(read_frame(&mut client).await.unwrap(), request);
    }
}

#[tokio::test]
async fn a_close_among_frames_that_overlap_lets_the_answers_before_it_out() {
    let node = Node::start(|_, content| {
        Box::pin(async move {
            if content.ends_with(b"bad") { Answer::Close("it is bad".to_owned()) } else { echo(content) }
        })
    })
    .await;
    let mut client = node.connect().await;
    let requests = [&b"overlaps, good"[..], b"overlaps, bad", b"overlaps, lost"];
    client.write_all(&requests.map(frame).concat()).await.unwrap();
    assert_eq!(read_frame(&mut client).await.unwrap(), requests[0]);
    assert!(read_frame(&mut client).await.is_err(), "closed");
}

#[tokio::test]
async fn a_request_without_an_answer_is_followed_by_the_next() {
    let node = Node::start(|_, content| {
        Box::pin(async move { if content.is_empty() { Answer::NoReply } else { echo(content) } })
    })
    .await;
    let mut client = node.connect().await;
    client.write_all(&[frame(b""), frame(b""), frame(b"told")].concat()).await.unwrap();
    assert_eq!(read_frame(&mut client).await.unwrap(), b"told");
}

#[tokio::test]
async fn an_oversize_or_negative_frame_closes_its_connection_and_no_other() {
    let node =
        Node::start_with(|config| config.frame_bytes_max = 1_000, |_, content| Box::pin(async { echo(content) })).await;
    let mut good = node.connect().await;
    for len in [1_001i32, i32::MAX, -1, i32::MIN] {
        let mut bad = node.connect().await;
        bad.write_all(&len.to_be_bytes()).await.unwrap();
        assert_eq!(bad.read(&mut [0; 16]).await.unwrap_or(0), 0, "length {len}");
    }
    good.write_all(&frame(&[5; 1_000])).await.unwrap();
    assert_eq!(read_frame(&mut good).await.unwrap(), [5; 1_000]);
    until(|| node.metric("connectionclose_total{listener=\"TEST\",reason=\"frame_length\"}") == Some(4)).await;
}

#[tokio::test]
async fn a_half_open_connection_is_let_go() {
    let node = Node::start_with(
        |config| config.idle = Some(Duration::from_millis(50)),
        |_, content| Box::pin(async { echo(content) }),
    )
    .await;
    let mut silent = node.connect().await;
    silent.write_all(&[0, 0, 0, 9, 1, 2]).await.unwrap();
    assert_eq!(silent.read(&mut [0; 16]).await.unwrap(), 0);
    let mut gone = node.connect().await;
    gone.write_all(&[0, 0]).await.unwrap();
    drop(gone);
    until(|| node.metric("connectioncount{listener=\"TEST\"}") == Some(0)).await;
    assert_eq!(node.metric("connectionclose_total{listener=\"TEST\",reason=\"idle\"}"), Some(1));
}

#[tokio::test]
async fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let node = Node::start(|_, content| Box::pin(async { echo(content) })).await;
    let mut client = node.connect().await;
    client.write_all(&frame(b"last words")).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_frame(&mut client).await.unwrap(), b"last words");
}

#[tokio::test]
async fn a_refusal_closes_and_a_panic_ends_only_its_connection() {
    let node = Node::start(|_, content| {
        Box::pin(async move {
            match &content[..] {
                b"refuse" => Answer::Close("not a request".to_owned()),
                b"panic" => panic!("on purpose"),
                _ => echo(content),
            }
        })
    })
    .await;
    let mut good = node.connect().await;
    for request in [&b"refuse"[..], b"panic"] {
        let mut client = node.connect().await;
        client.write_all(&frame(request)).await.unwrap();
        assert_eq!(client.read(&mut [0; 16]).await.unwrap_or(0), 0);
    }
    good.write_all(&frame(b"fine")).await.unwrap();
    assert_eq!(read_frame(&mut good).await.unwrap(), b"fine");
    until(|| node.metric("connectioncount{listener=\"TEST\"}") == Some(1)).await;
    until(|| node.closed() == 2).await;
}

#[tokio::test]
async fn stopping_finishes_the_request_being_answered_and_takes_no_other() {
    let node = Node::start(|node, content| {
        Box::pin(async move {
            node.started.notify_one();
            node.go_on.notified().await;
            echo(content)
        })
    })
    .await;
    let mut busy = node.connect().await;
    let mut idle = node.connect().await;
    busy.write_all(&[frame(b"first"), frame(b"second")].concat()).await.unwrap();
    node.state.started.notified().await;
    let serving = node.serving.clone();
    let stopped = async { serving.stop_and_wait(Duration::from_secs(10)).await };
    let client = async {
        assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0, "an idle connection is closed at once");
        node.state.go_on.notify_one();
        assert_eq!(read_frame(&mut busy).await.unwrap(), b"first");
        assert_eq!(busy.read(&mut [0; 16]).await.unwrap_or(0), 0, "the second is not begun");
    };
    assert!(tokio::join!(stopped, client).0);
    assert!(tokio::net::TcpStream::connect(node.serving.address()).await.is_err());
}

#[tokio::test]
async fn a_taken_port_and_a_wrong_address_are_told() {
    let node = Node::start(|_, content| Box::pin(async { echo(content) })).await;
    let taken = node.serving.address().to_string();
    let error = Listener::bind(ListenerConfig::new("PLAINTEXT", &taken)).await.expect_err("taken");
    assert!(matches!(error, Error::Bind { .. }), "{error}");
    assert!(error.to_string().contains(&taken) && error.to_string().contains("another port"), "{error}");
    let error = Listener::bind(ListenerConfig::new("PLAINTEXT", "no port")).await.expect_err("no address");
    assert!(matches!(error, Error::Address { .. }), "{error}");
}
