//! Frames that are not Kafka's: random bytes, cut short, negative and huge sizes, counts that can't be, connections that stay half open.

use crate::kit::{Body, Connection, Draw, PATIENCE, api, request, resident_bytes};
use millstream_e2e::{Bystander, Node, eventually};

/// Memory that a node may take for all of a test's hostile input: far less than what that input announces.
const GROWTH_BYTES_MAX: u64 = 128 << 20;

/// Waits until the node's log holds every one of `parts` in one line.
fn logged(node: &Node, parts: &[&str]) {
    eventually(&format!("the node logs {parts:?}"), PATIENCE, || {
        node.log().lines().any(|line| parts.iter().all(|part| line.contains(part))).then_some(())
    });
}

/// An ordinary client is served as ever.
fn serves(node: &Node) {
    let mut versions = Connection::open(node).ask(api::API_VERSIONS, 0, &Body::default());
    assert_eq!(versions.i16(), 0);
}

#[test]
fn frames_that_are_none_close_their_connection_and_say_why() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let topic_cut_short = request(api::METADATA, 4, &Body::default().i32(1).i16(10).raw(b"few"));
    let of_size = |size: i32| Body::default().i32(size).0;
    let framed = |frame: &[u8]| Body::default().bytes(frame).0;
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (
            b"GET / HTTP/1.1\r\nHost: kafka\r\n\r\n".to_vec(),
            &["a frame of 1195725856 bytes", "0 to 104857600", "Is the peer a Kafka client?"],
        ),
        (of_size(-1), &["a frame of -1 bytes", "0 to 104857600", "socket.request.max.bytes"]),
        (of_size(i32::MIN), &["a frame of -2147483648 bytes"]),
        (of_size(i32::MAX), &["a frame of 2147483647 bytes"]),
        (of_size(104_857_601), &["a frame of 104857601 bytes"]),
        (framed(&[]), &["a request of 0 bytes", "8 bytes"]),
        (framed(&[0, 3, 0, 4]), &["a request of 4 bytes is shorter than its fixed header of 8 bytes"]),
        (framed(&topic_cut_short), &["MetadataRequest v4, field Topics[0]", "needs 10 bytes, 3 remain"]),
        (framed(&request(999, 0, &Body::default())), &["API key 999 is not served", "ApiVersions tells which are"]),
        (framed(&request(api::METADATA, 99, &Body::default())), &["Metadata v99 is not served", "ApiVersions"]),
        (framed(&request(api::PRODUCE, 2, &Body::default())), &["Produce v2 is not served"]),
    ];
    for (bytes, words) in cases {
        let mut connection = Connection::open(&node);
        connection.raw(&bytes);
        assert!(connection.closed().is_empty(), "{words:?}");
        logged(&node, words);
        bystander.goes_on();
    }
    // The one request that is answered in any version, since a client asks it first.
    let mut connection = Connection::open(&node);
    assert_eq!(connection.ask(api::API_VERSIONS, 99, &Body::default()).i16(), 35, "UNSUPPORTED_VERSION");
    assert_eq!(connection.ask(api::API_VERSIONS, 0, &Body::default()).i16(), 0, "the connection goes on");
    bystander.unharmed(&node);
}

#[test]
fn random_bytes_are_refused_however_they_come() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let before = resident_bytes(&node);
    let mut draw = Draw(0x6261_6421);
    for round in 0..400_u32 {
        let mut connection = Connection::open(&node);
        let count = (draw.next() % 4_000) as usize;
        let mut bytes = draw.bytes(count);
        match round % 4 {
            0 => connection.raw(&bytes),
            1 => connection.frame(&bytes),
            // A head that is true before a body that is not, of every API there is.
            2 => connection.frame(&request((round / 4 % 75) as i16, (draw.next() % 10) as i16, &Body(bytes))),
            _ => {
                bytes.truncate(100);
                let pieces = request(api::FETCH, 11, &Body(bytes));
                pieces.chunks(7).for_each(|piece| connection.raw(piece));
            }
        }
        connection.end_writing();
        // Answered or not: it ends.
        let _ = connection.closed();
    }
    bystander.goes_on();
    serves(&node);
    let grown = resident_bytes(&node).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "the node holds {grown} bytes more");
    bystander.unharmed(&node);
}

#[test]
fn hostile_counts_reserve_nothing() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let before = resident_bytes(&node);
    let produce = || Body::default().i16(-1).i16(-1).i32(1_000);
    let varint = [0xff, 0xff, 0xff, 0xff, 0x0f];
    let cases: Vec<(i16, i16, Body, &[&str])> = vec![
        (api::METADATA, 4, Body::default().i32(i32::MAX), &["field Topics", "2147483647 elements"]),
        (api::METADATA, 4, Body::default().i32(i32::MIN), &["field Topics", "-2147483648"]),
        (api::PRODUCE, 8, produce().i32(i32::MAX), &["field TopicData", "2147483647 elements"]),
        (api::PRODUCE, 8, produce().i32(1).text("t").i32(i32::MAX), &["field TopicData[0].PartitionData"]),
        (
            api::PRODUCE,
            8,
            produce().i32(1).text("t").i32(1).i32(0).i32(i32::MAX),
            &["TopicData[0].PartitionData[0].Records", "2147483647 bytes"],
        ),
        (
            api::OFFSET_COMMIT,
            7,
            Body::default().text("g").i32(1).text("m").i16(-1).i32(1).text("t").i32(1 << 30),
            &["field Topics[0].Partitions", "1073741824 elements"],
        ),
        (
            api::CREATE_TOPICS,
            4,
            Body::default().i32(1).text("t").i32(1).i16(1).i32(1).i32(0).i32(i32::MAX),
            &["field Topics[0].Assignments[0].BrokerIds"],
        ),
        (
            api::JOIN_GROUP,
            5,
            Body::default().text("g").i32(10_000).i32(10_000).text("").i16(-1).text("consumer").i32(i32::MAX),
            &["field Protocols"],
        ),
        // Flexible versions: an empty field of tags ends the head, and counts are varints.
        (api::METADATA, 12, Body::default().raw(&[0]).raw(&varint), &["field Topics", "4294967294 elements"]),
        (api::METADATA, 12, Body::default().raw(&[0, 1, 0, 0]).raw(&varint), &["MetadataRequest v12"]),
    ];
    for (api, version, body, words) in &cases {
        for _ in 0..50 {
            let mut connection = Connection::open(&node);
            connection.frame(&request(*api, *version, body));
            assert!(connection.closed().is_empty(), "{words:?}");
        }
        logged(&node, words);
        bystander.goes_on();
    }
    let grown = resident_bytes(&node).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "the node holds {grown} bytes more");
    bystander.unharmed(&node);
}

#[test]
fn half_open_connections_cost_little_and_are_let_go() {
    let node = Node::start(&["connections.max.idle.ms=4000"]);
    let mut bystander = Bystander::start(&node);
    let before = resident_bytes(&node);
    let beginnings: [&[u8]; 4] = [
        // Nothing; half a length; a length alone, of 100 MiB; half a head.
        b"",
        &[0, 0],
        &[0x06, 0x40, 0, 0],
        &[0, 0, 0, 40, 0, 3, 0, 4, 0, 0],
    ];
    let mut silent: Vec<Connection> = Vec::new();
    for beginning in beginnings.iter().cycle().take(400) {
        let mut connection = Connection::open(&node);
        connection.raw(beginning);
        silent.push(connection);
    }
    serves(&node);
    bystander.goes_on();
    let grown = resident_bytes(&node).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "400 silent connections that announce 10 GiB take {grown} bytes");
    for connection in &mut silent {
        assert!(connection.closed().is_empty(), "after connections.max.idle.ms it is closed without a word");
    }
    // In the midst of a frame, or of an answer, the other side goes away.
    let whole = request(api::METADATA, 4, &Body::default().i32(-1).i8(0));
    for cut in 1..whole.len() {
        let mut connection = Connection::open(&node);
        connection.raw(&Body::default().bytes(&whole).0[..cut + 4]);
    }
    for _ in 0..50 {
        Connection::open(&node).frame(&whole);
    }
    serves(&node);
    bystander.unharmed(&node);
}
