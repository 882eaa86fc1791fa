//! Torn, flipped, full, foreign: what a disk can do to the quorum, and what is said then.

use super::{DATA, config, create, life, start, start_error, topic_names};
use crate::{Config, Error, Service};
use millstream_runtime::{Disk, Fault, OpenMode, Runtime, SimDisk};
use millstream_types::{BrokerId, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn log_path() -> PathBuf {
    Path::new(DATA).join("metadata/00000000000000000001.log")
}

fn len(disk: &SimDisk, path: &Path) -> u64 {
    disk.files().into_iter().find(|(file, _)| file == path).map_or(0, |(_, len)| len)
}

/// A disk with the topics `a` and `b`, of a node that was killed; and where the frame of `a` begins and ends.
fn two_topics() -> (Arc<SimDisk>, usize, usize) {
    let disk = Arc::new(SimDisk::new());
    let (begin, end) = life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        let begin = len(&disk, &log_path());
        create(&handle, "a", 1).await.unwrap();
        let end = len(&disk, &log_path());
        create(&handle, "b", 2).await.unwrap();
        (begin, end)
    });
    (disk, usize::try_from(begin).unwrap(), usize::try_from(end).unwrap())
}

#[test]
fn a_torn_tail_is_cut_and_the_rest_kept() {
    for garbage in [&[0u8; 3][..], &[0; 700], &[0, 0, 0, 50, 1, 2, 3, 4, 5], b"\x00\x00\x00\x04 not a frame at all"] {
        let (disk, ..) = two_topics();
        let whole = len(&disk, &log_path());
        life(2, &disk, async |_| {
            let file = disk.open(&log_path(), OpenMode::Append).await.unwrap();
            file.append(&[bytes::Bytes::copy_from_slice(garbage)]).await.unwrap();
            file.sync().await.unwrap();
        });
        life(3, &disk, async |runtime| {
            let handle = start(&runtime).await;
            assert_eq!(topic_names(&handle.image()), ["a", "b"]);
            create(&handle, "c", 3).await.unwrap();
        });
        life(4, &disk, async |runtime| assert_eq!(topic_names(&start(&runtime).await.image()), ["a", "b", "c"]));
        assert!(len(&disk, &log_path()) > whole);
    }
}

#[test]
fn a_flipped_byte_in_the_middle_is_reported_with_its_place() {
    let (_, begin, end) = two_topics();
    for at in begin..end {
        let (disk, ..) = two_topics();
        assert!(disk.flip(&log_path(), at, 0x40));
        let error = start_error(&disk);
        assert!(
            matches!(&error, Error::Corrupt { path, position, .. } if *path == log_path() && *position == begin as u64),
            "byte {at}: {error}"
        );
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn after_a_clean_stop_even_the_last_byte_is_watched() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| start(&runtime).await.stop().await.unwrap());
    let last = usize::try_from(len(&disk, &log_path())).unwrap() - 1;
    assert!(disk.flip(&log_path(), last, 1));
    assert!(matches!(start_error(&disk), Error::Corrupt { .. }));
}

#[test]
fn a_flipped_byte_of_a_snapshot_or_of_the_state_is_reported() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        create(&handle, "a", 1).await.unwrap();
        handle.snapshot().await.unwrap();
        runtime.clock.sleep(std::time::Duration::from_secs(1)).await;
        handle.stop().await.unwrap();
    });
    let snapshot = disk
        .files()
        .into_iter()
        .map(|(path, _)| path)
        .find(|path| path.extension().is_some_and(|end| end == "snapshot"))
        .unwrap();
    for (path, at) in [(snapshot, 60), (Path::new(DATA).join("metadata/quorum-state"), 20)] {
        assert!(disk.flip(&path, at, 2));
        assert!(matches!(start_error(&disk), Error::Corrupt { path: named, .. } if named == path));
        assert!(disk.flip(&path, at, 2));
    }
    life(2, &disk, async |runtime| assert_eq!(topic_names(&start(&runtime).await.image()), ["a"]));
}

#[test]
fn a_missing_file_of_the_log_is_reported() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = Service::start(&runtime, Config { segment_bytes_max: 1 << 10, ..config(DATA) }).await.unwrap();
        for number in 0..20 {
            create(&handle, &format!("topic-{number}"), number).await.unwrap();
        }
        disk.remove_file(&Path::new(DATA).join("metadata/00000000000000000003.log")).await.unwrap();
    });
    let error = start_error(&disk);
    assert!(error.to_string().contains("file 3 of the log before it is missing"), "{error}");
}

#[test]
fn a_newer_format_is_refused_in_words() {
    let (disk, ..) = two_topics();
    assert!(disk.flip(&log_path(), 11, 1 ^ 2));
    let error = start_error(&disk);
    assert!(matches!(error, Error::NewerFormat { found: 2, supported: 1, .. }), "{error}");
    assert!(error.to_string().contains("start the newer version"));
}

#[test]
fn another_nodes_folder_is_refused() {
    let (disk, ..) = two_topics();
    life(2, &disk, async |runtime| {
        let error = Service::start(&runtime, Config { node_id: BrokerId(2), ..config(DATA) }).await.err().unwrap();
        assert!(
            matches!(&error, Error::WrongFolder { what: "node", stored, given, .. } if stored == "1" && given == "2"),
            "{error}"
        );
        let other = Config { cluster_id: Some(millstream_types::ClusterId(uuid::Uuid::from_u128(5))), ..config(DATA) };
        assert!(matches!(Service::start(&runtime, other).await, Err(Error::WrongFolder { what: "cluster", .. })));
    });
}

#[test]
fn a_log_whose_owner_is_unknown_is_refused() {
    let (disk, ..) = two_topics();
    life(2, &disk, async |_| disk.remove_file(&Path::new(DATA).join("meta.properties")).await.unwrap());
    assert!(matches!(start_error(&disk), Error::Corrupt { path, .. } if path.ends_with("meta.properties")));
}

#[tokio::test]
async fn a_folder_in_use_is_refused_until_it_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let first = Service::start(&Runtime::real(), config(folder.path())).await.unwrap();
    let second = Service::start(&Runtime::real(), config(folder.path())).await;
    assert!(matches!(second, Err(Error::FolderInUse { .. })));
    create(&first, "unharmed", 1).await.unwrap();
    first.stop().await.unwrap();
    let third = Service::start(&Runtime::real(), config(folder.path())).await.unwrap();
    third.stop().await.unwrap();
}

#[test]
fn a_full_disk_stops_decisions_and_loses_nothing() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let handle = start(&runtime).await;
        create(&handle, "before", 1).await.unwrap();
        disk.set_fault(Some(Fault::Full));
        let error = create(&handle, "while", 2).await.unwrap_err();
        assert!(matches!(error, Error::Stopped { .. }), "{error}");
        assert!(handle.health().is_err());
        assert_eq!(topic_names(&handle.image()), ["before"], "what is committed can still be read");
        disk.set_fault(None);
    });
    life(2, &disk, async |runtime| {
        let handle = start(&runtime).await;
        assert_eq!(topic_names(&handle.image()), ["before"]);
        create(&handle, "after", 3).await.unwrap();
    });
}

#[test]
fn a_new_node_that_forms_no_cluster_must_know_its_own() {
    let disk = Arc::new(SimDisk::new());
    life(1, &disk, async |runtime| {
        let error = Service::start(&runtime, Config { form: false, ..config(DATA) }).await.err().unwrap();
        assert!(matches!(error, Error::NoClusterId { .. }), "{error}");
    });
}
