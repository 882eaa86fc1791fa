//! Answers with ranges of files: the bytes of the file arrive, whatever the disk, the range and the reader.

use crate::harness::{Node, frame, read_frame};
use bytes::Bytes;
use millstream_net::{Answer, Part};
use millstream_runtime::{Disk, DiskFile, FileRange, OpenMode, RealDisk, SimDisk};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn pattern(len: usize) -> Bytes {
    (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect::<Vec<u8>>().into()
}

async fn file(disk: &dyn Disk, folder: &std::path::Path, content: &Bytes) -> Arc<dyn DiskFile> {
    disk.create_dir_all(folder).await.unwrap();
    let file = disk.open(&folder.join("00000000000000000000.log"), OpenMode::CreateNew).await.unwrap();
    file.append(std::slice::from_ref(content)).await.unwrap();
    file
}

fn range(file: &Arc<dyn DiskFile>, position: usize, len: usize) -> Part {
    Part::File(FileRange { file: file.clone(), position: position as u64, len })
}

/// A node that answers every request with the parts, under one length.
async fn serving(parts: Vec<Part>) -> Node {
    let len: usize = parts.iter().map(Part::len).sum();
    let length = Bytes::from(i32::try_from(len).unwrap().to_be_bytes().to_vec());
    let whole: Vec<Part> = std::iter::once(Part::Bytes(length)).chain(parts).collect();
    Node::start(move |_, _| {
        let whole = whole.clone();
        Box::pin(async { Answer::Reply(whole) })
    })
    .await
}

async fn arrives_as_stored(disk: &dyn Disk, folder: &std::path::Path) -> Node {
    let content = pattern((5 << 20) + 12_345);
    let file = file(disk, folder, &content).await;
    let cuts = [(0, 100), (4_095, 8_193), (1, (5 << 20) + 1), (100, 0), (5 << 20, 12_345), (77, 8_192)];
    let mut expected = Vec::new();
    let mut parts = Vec::new();
    for (position, len) in cuts {
        parts.extend([Part::Bytes(Bytes::from_static(b"head")), range(&file, position, len)]);
        expected.extend_from_slice(b"head");
        expected.extend_from_slice(&content[position..position + len]);
    }
    parts.push(Part::Bytes(Bytes::from_static(b"tail")));
    expected.extend_from_slice(b"tail");
    let node = serving(parts).await;
    let mut client = node.connect().await;
    for _ in 0..3 {
        client.write_all(&frame(b"fetch")).await.unwrap();
        assert!(read_frame(&mut client).await.unwrap() == expected);
    }
    node
}

#[tokio::test]
async fn ranges_of_real_files_arrive_as_stored_by_sendfile() {
    let folder = tempfile::tempdir().unwrap();
    let node = arrives_as_stored(&RealDisk::new(), folder.path()).await;
    let sent = node.metric("net_file_bytes_total{listener=\"TEST\",way=\"sendfile\"}").unwrap();
    assert!(sent >= 3 * (5 << 20), "{sent} bytes by sendfile: the file has just been written, so it is cached");
}

#[tokio::test]
async fn ranges_of_simulated_files_arrive_as_stored() {
    let node = arrives_as_stored(&SimDisk::new(), std::path::Path::new("topic-0")).await;
    assert_eq!(node.metric("net_file_bytes_total{listener=\"TEST\",way=\"sendfile\"}"), Some(0));
}

#[tokio::test]
async fn a_file_out_of_the_page_cache_arrives_as_stored() {
    let folder = tempfile::tempdir().unwrap();
    let content = pattern(3 << 20);
    let file = file(&RealDisk::new(), folder.path(), &content).await;
    file.sync().await.unwrap();
    rustix::fs::fadvise(file.fd().unwrap(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
    let node = serving(vec![range(&file, 0, content.len())]).await;
    let mut client = node.connect().await;
    client.write_all(&frame(b"fetch")).await.unwrap();
    assert!(read_frame(&mut client).await.unwrap() == content);
    let way = |way: &str| node.metric(&format!("way=\"{way}\"")).unwrap();
    assert_eq!(way("read") + way("sendfile"), content.len() as u64);
}

#[tokio::test]
async fn a_slow_reader_gets_all_of_it_and_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let content = pattern(24 << 20);
    let file = file(&RealDisk::new(), folder.path(), &content).await;
    let node = serving(vec![range(&file, 0, content.len()), Part::Bytes(content.slice(..1 << 20))]).await;
    let mut slow = node.connect().await;
    slow.write_all(&frame(b"fetch")).await.unwrap();
    slow.readable().await.unwrap();
    let mut other = node.connect().await;
    other.write_all(&frame(b"fetch")).await.unwrap();
    assert_eq!(read_frame(&mut other).await.unwrap().len(), 25 << 20);
    assert_eq!(slow.read_i32().await.unwrap(), 25 << 20);
    let mut read = Vec::new();
    let mut piece = vec![0; 10_007];
    while read.len() < 25 << 20 {
        let len = slow.read(&mut piece).await.unwrap();
        assert!(len > 0, "closed after {} bytes", read.len());
        read.extend_from_slice(&piece[..len]);
        tokio::task::yield_now().await;
    }
    assert!(read[..24 << 20] == content && read[24 << 20..] == content[..1 << 20]);
}

#[tokio::test]
async fn a_reader_that_stops_reading_is_let_go() {
    let content = pattern(32 << 20);
    let whole = Bytes::from(frame(&content));
    let node = Node::start_with(
        |config| config.idle = Some(Duration::from_millis(50)),
        move |_, _| {
            let whole = whole.clone();
            Box::pin(async { Answer::Reply(vec![Part::Bytes(whole)]) })
        },
    )
    .await;
    let mut stalled = node.connect().await;
    stalled.write_all(&frame(b"fetch")).await.unwrap();
    crate::harness::until(|| node.metric("reason=\"idle\"") == Some(1)).await;
}

#[tokio::test]
async fn a_file_cut_under_a_send_closes_the_connection() {
    let folder = tempfile::tempdir().unwrap();
    let content = pattern(64 << 20);
    let file = file(&RealDisk::new(), folder.path(), &content).await;
    let node = serving(vec![range(&file, 0, content.len())]).await;
    let mut client = node.connect().await;
    client.write_all(&frame(b"fetch")).await.unwrap();
    assert_eq!(client.read_i32().await.unwrap(), 64 << 20);
    file.truncate(1 << 20).await.unwrap();
    let mut rest = Vec::new();
    // A reset instead of an end is as good: what counts is that nothing stands for the bytes that are gone.
    let _ = client.read_to_end(&mut rest).await;
    assert!(rest.len() < content.len(), "{} bytes", rest.len());
    // The kernel may clear pages on their way to the socket: a reader sees zeros there, which no batch's CRC accepts.
    assert!(rest.iter().zip(&content).all(|(read, stored)| read == stored || *read == 0));
    crate::harness::until(|| node.metric("reason=\"truncated\"") == Some(1)).await;
}
