//! A listener under pressure: more connections than there are places, more bytes than there is memory, and peers that do not read.

use crate::echo;
use crate::harness::{Node, frame, read_frame, until};
use bytes::Bytes;
use millstream_net::{AddressRates, Answer, Budget, ConnectionLimits, Part, Places};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DELAYED: &str = "connections_delayed_total{listener=\"TEST\"}";
const CREATED: &str = "connectioncreation_total{listener=\"TEST\"}";
const WAITED: &str = "budget_waits_total{listener=\"TEST\"}";

async fn limited(limits: ConnectionLimits) -> Node {
    Node::start_with(move |config| config.places = Places::new(limits), |_, content| Box::pin(async { echo(content) }))
        .await
}

async fn is_served(client: &mut TcpStream) -> bool {
    client.write_all(&frame(b"hello")).await.is_ok() && read_frame(client).await.is_ok_and(|told| told == b"hello")
}

#[tokio::test]
async fn connections_over_the_limit_of_a_listener_or_of_the_node_wait_for_one_to_close() {
    let of_listener =
        Node::start_with(|config| config.connections_max = 2, |_, content| Box::pin(async { echo(content) }));
    let of_node = limited(ConnectionLimits { max: 2, ..ConnectionLimits::default() });
    for node in [of_listener.await, of_node.await] {
        let first = node.connect().await;
        let mut second = node.connect().await;
        let mut third = node.connect().await;
        third.write_all(&frame(b"me too")).await.unwrap();
        until(|| node.metric(DELAYED) == Some(1)).await;
        assert_eq!(node.metric(CREATED), Some(2));
        assert!(is_served(&mut second).await, "those that have a place notice nothing");
        drop(first);
        assert_eq!(read_frame(&mut third).await.unwrap(), b"me too");
    }
}

#[tokio::test]
async fn a_connection_over_the_limit_of_its_address_is_closed_and_the_others_stay() {
    let address = IpAddr::from([127, 0, 0, 1]);
    let of_all = ConnectionLimits { per_address: 2, ..ConnectionLimits::default() };
    let overrides = HashMap::from([(address, 2)]);
    let own = ConnectionLimits { per_address: 0, overrides, ..ConnectionLimits::default() };
    for limits in [of_all, own] {
        let node = limited(limits).await;
        let mut has = [node.connect().await, node.connect().await];
        until(|| node.metric(CREATED) == Some(2)).await;
        let mut over = node.connect().await;
        assert_eq!(over.read(&mut [0; 16]).await.unwrap_or(0), 0, "closed");
        until(|| node.metric("connectionclose_total{listener=\"TEST\",reason=\"per_ip\"}") == Some(1)).await;
        for client in &mut has {
            assert!(is_served(client).await);
        }
        drop(has);
        until(|| node.metric("connectioncount{listener=\"TEST\"}") == Some(0)).await;
        assert!(is_served(&mut node.connect().await).await, "a place that was left is had again");
    }
}

#[tokio::test]
async fn a_connection_that_its_address_has_no_quota_for_is_closed_late() {
    let address_rates = AddressRates { default: Some(0.4), ..AddressRates::default() };
    let node = limited(ConnectionLimits { address_rates, ..ConnectionLimits::default() }).await;
    // Ten seconds' worth.
    let mut has = [node.connect().await, node.connect().await, node.connect().await, node.connect().await];
    until(|| node.metric(CREATED) == Some(4)).await;
    let begun = tokio::time::Instant::now();
    let mut over = node.connect().await;
    until(|| node.metric("connectionclose_total{listener=\"TEST\",reason=\"throttled\"}") == Some(1)).await;
    assert_eq!(over.read(&mut [0; 16]).await.unwrap_or(0), 0, "closed");
    assert!(begun.elapsed() > Duration::from_secs(2), "2.5 s are what one more takes");
    for client in &mut has {
        assert!(is_served(client).await);
    }
}

#[tokio::test]
async fn new_connections_come_at_their_rate() {
    let node = limited(ConnectionLimits { rate: 5, ..ConnectionLimits::default() }).await;
    let begun = tokio::time::Instant::now();
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(node.connect().await);
    }
    for client in &mut clients {
        assert!(is_served(client).await);
    }
    assert!(begun.elapsed() >= Duration::from_millis(550), "five at once, and three more in {:?}", begun.elapsed());
    assert!(node.metric(DELAYED).unwrap() >= 3);
}

#[tokio::test]
async fn large_frames_wait_for_memory_and_small_ones_pass_them() {
    let node = Node::start_with(
        |config| config.budget = Budget::new(1 << 20),
        |node, content| {
            Box::pin(async move {
                if content.len() > 5 {
                    node.started.notify_one();
                    node.go_on.notified().await;
                }
                echo(content.slice(..5.min(content.len())))
            })
        },
    )
    .await;
    let mut large = Vec::new();
    for number in 0..4_u8 {
        let mut client = node.connect().await;
        // As much as the socket takes now: the rest when it is read.
        let task = async move {
            client.write_all(&frame(&vec![number; 1 << 20])).await.unwrap();
            read_frame(&mut client).await.unwrap()
        };
        let mut running = Box::pin(task);
        let _ = tokio::time::timeout(Duration::from_millis(20), &mut running).await;
        large.push(running);
    }
    let answers = futures::future::join_all(large);
    let small = async {
        node.state.started.notified().await;
        assert!(is_served(&mut node.connect().await).await, "a small frame has its place");
        for _ in 0..3 {
            node.state.go_on.notify_one();
            node.state.started.notified().await;
        }
        node.state.go_on.notify_one();
    };
    let (answers, ()) =
        tokio::time::timeout(Duration::from_secs(20), async { tokio::join!(answers, small) }).await.unwrap();
    assert_eq!(answers, [[0; 5], [1; 5], [2; 5], [3; 5]].map(|bytes| bytes.to_vec()));
    assert_eq!(node.metric(WAITED), Some(3), "one at a time has room");
}

/// Connections that sent so many bytes of a frame of 100 MiB, and no more.
async fn silent(node: &Node, count: usize, bytes: usize) -> Vec<TcpStream> {
    let begun = [&(100_i32 << 20).to_be_bytes()[..], &vec![0; bytes]].concat();
    let mut silent = Vec::new();
    for _ in 0..count {
        let mut client = node.connect().await;
        client.write_all(&begun).await.unwrap();
        silent.push(client);
    }
    silent
}

#[tokio::test]
async fn a_thousand_peers_that_send_half_a_frame_keep_nobody_waiting() {
    const BYTES: usize = 64 << 20;
    let budget = Budget::new(BYTES);
    let of_node = budget.clone();
    let node = Node::start_with(
        |config| config.budget = of_node,
        |_, content| Box::pin(async move { echo(content.slice(..5.min(content.len()))) }),
    )
    .await;
    let announced = silent(&node, 500, 0).await;
    let mut silent = silent(&node, 500, 20_000).await;
    // Those of the first half have a mebibyte each, the others as much as they sent.
    until(|| budget.used() >= BYTES as u64 / 2 + 400 * (32 << 10)).await;
    assert!(budget.used() < BYTES as u64 * 4 / 5, "{}", budget.used());
    let answer = async {
        for round in 0..20_u8 {
            let mut client = node.connect().await;
            assert!(is_served(&mut client).await);
            client.write_all(&frame(&vec![round; 3 << 20])).await.unwrap();
            assert_eq!(read_frame(&mut client).await.unwrap(), [round; 5]);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap();
    assert_eq!(node.metric(WAITED).unwrap_or(0), 0);
    silent.extend(announced);
    drop(silent);
    until(|| budget.used() == 0).await;
}

#[tokio::test]
async fn a_frame_that_does_not_go_on_is_let_go_and_who_waited_for_its_memory_is_served() {
    let node = Node::start_with(
        |config| {
            config.budget = Budget::new(1 << 20);
            config.frame_wait = Duration::from_millis(300);
        },
        |_, content| Box::pin(async move { echo(content.slice(..5.min(content.len()))) }),
    )
    .await;
    let mut silent = silent(&node, 40, 60_000).await;
    let mut resting = node.connect().await;
    assert!(is_served(&mut resting).await);
    let mut client = node.connect().await;
    let sent = frame(&vec![9; 1 << 20]);
    let answer = async {
        client.write_all(&sent).await.unwrap();
        read_frame(&mut client).await.unwrap()
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap(), [9; 5]);
    for client in &mut silent {
        assert_eq!(client.read(&mut [0; 16]).await.unwrap_or(0), 0, "closed");
    }
    until(|| node.metric("connectionclose_total{listener=\"TEST\",reason=\"slow_frame\"}") == Some(40)).await;
    assert!(is_served(&mut resting).await, "between two frames a connection may be silent");
}

#[tokio::test]
async fn a_peer_that_does_not_read_holds_nobody_else_back() {
    let answer: Bytes = vec![7; 8 << 20].into();
    let head = Bytes::from(i32::try_from(answer.len()).unwrap().to_be_bytes().to_vec());
    let node = Node::start(move |_, content| {
        let large = vec![Part::Bytes(head.clone()), Part::Bytes(answer.clone())];
        Box::pin(async move { if content == "large"[..] { Answer::Reply(large) } else { echo(content) } })
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = node.connect().await;
        client.write_all(&frame(b"large")).await.unwrap();
        slow.push(client);
    }
    let mut quick = node.connect().await;
    for _ in 0..100 {
        let served = tokio::time::timeout(Duration::from_secs(5), is_served(&mut quick)).await;
        assert!(served.unwrap());
    }
    for client in &mut slow {
        assert_eq!(read_frame(client).await.unwrap().len(), 8 << 20);
    }
}
