//! A data folder of another version, of another node, damaged, or in use; ports that are taken; and a disk that is full.

use crate::kit::{PATIENCE, post, refused, rows, says};
use millstream_e2e::{Bystander, Node, binary, eventually, run_script};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Runs a second `millstream serve`, which must fail with this exit code and these words, and without having said that it listens.
#[track_caller]
fn not_served(data: &Path, kafka: &str, http: &str, code: i32, words: &[&str]) {
    let mut command = Command::new(binary());
    command.arg("serve").arg("--data-dir").arg(data).args(["--kafka", kafka, "--http", http]);
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(output.stdout.is_empty(), "it does not say that it listens");
    says(&error, words);
}

const ANY: &str = "127.0.0.1:0";

#[test]
fn a_folder_or_port_in_use_is_named_and_who_has_it_goes_on() {
    let node = Node::start(&[]);
    let mut bystander = Bystander::start(&node);
    let folder = tempfile::tempdir().unwrap();
    let data = node.data();
    let name = data.to_str().unwrap();
    not_served(&data, ANY, ANY, 1, &[name, "in use by another process", "stop that one, or name another folder"]);
    bystander.goes_on();
    let taken = ["another process has the port", "choose another port"];
    not_served(folder.path(), &node.kafka, ANY, 1, &[&taken[..], &["can't listen on", &node.kafka]].concat());
    not_served(folder.path(), ANY, &node.http, 1, &[&node.http, "HTTP"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is touched before the ports are had");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    not_served(&file, ANY, ANY, 1, &[file.to_str().unwrap(), "Not a directory"]);
    bystander.unharmed(&node);
}

#[test]
fn a_folder_of_another_version_or_node_is_refused_and_left_as_it_is() {
    let mut node = Node::start(&[]);
    let bystander = Bystander::start(&node);
    let mut other = Node::start(&[]);
    other.ok(&["topic", "create", "kept"]);
    assert!(other.stop());
    let data = other.data();
    let meta = data.join("meta.properties");
    let was = std::fs::read_to_string(&meta).unwrap();
    let with = |line: &str, instead: &str| {
        assert!(was.contains(line), "{was}");
        was.replace(line, instead)
    };
    let cluster = was.lines().find(|line| line.starts_with("cluster.id=")).unwrap();
    for (content, words) in [
        (with("version=1", "version=2"), ["has format 2", "reads up to 1", "start the newer version"]),
        (with("version=1", "version=0"), ["its version is 0", "expected 1", "older Kafka's folder must be upgraded"]),
        (with("node.id=1", "node.id=5"), ["belongs to node 5, not 1", "name the right data folder", "an empty one"]),
        (with(cluster, "cluster.id=zzz"), ["is damaged", "\"zzz\" is not a UUID in Kafka's form", "restore the file"]),
        ("\u{0}\u{1}".to_owned(), ["is damaged", "it has no version", "restore the file"]),
    ] {
        std::fs::write(&meta, &content).unwrap();
        not_served(&data, ANY, ANY, 1, &[&words[..], &["meta.properties"]].concat());
        assert_eq!(std::fs::read_to_string(&meta).unwrap(), content, "the file is left as it is");
    }
    std::fs::remove_file(&meta).unwrap();
    not_served(&data, ANY, ANY, 1, &["meta.properties", "the folder has a metadata log", "is missing"]);
    std::fs::write(&meta, &was).unwrap();
    // A metadata log of a version to come.
    let log = std::fs::read_dir(data.join("metadata")).unwrap().map(|entry| entry.unwrap().path());
    let log = log.filter(|path| path.extension().is_some_and(|end| end == "log")).min().unwrap();
    let bytes = std::fs::read(&log).unwrap();
    let mut damaged = bytes.clone();
    damaged[..4].copy_from_slice(b"\xff\xff\xff\xff");
    std::fs::write(&log, &damaged).unwrap();
    not_served(&data, ANY, ANY, 1, &["metadata", log.file_name().unwrap().to_str().unwrap()]);
    std::fs::write(&log, &bytes).unwrap();
    other.restart();
    assert!(other.ok(&["topic", "list"]).contains("kept"), "it is whole after all that");
    bystander.unharmed(&node);
    assert!(node.stop());
}

/// A small file system of its own, which only this holder and who enters its namespace see; it goes when the holder ends.
struct SmallDisk {
    holder: Child,
    _stdin: ChildStdin,
    mount: PathBuf,
}

impl SmallDisk {
    /// Mounts it at `mount`. As any user: a namespace of users lets everybody mount a tmpfs within it.
    fn mount(mount: &Path, size: &str) -> Self {
        std::fs::create_dir(mount).unwrap();
        let script = format!("mount -t tmpfs -o size={size} tmpfs \"$0\" && echo mounted && exec cat > /dev/null");
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(mount)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) makes the namespace of a small disk");
        let stdin = holder.stdin.take().unwrap();
        let mut said = String::new();
        let mut output = std::io::BufReader::new(holder.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut said).unwrap();
        assert_eq!(said, "mounted\n", "a full disk is tested on a tmpfs, which this machine does not let us mount");
        Self { holder, _stdin: stdin, mount: mount.to_owned() }
    }

    /// What runs a program where the disk is.
    fn runner(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        ["nsenter", "--user", "--mount", "--preserve-credentials", "--target", &target].map(str::to_owned).into()
    }

    /// A file on it, as it is seen from outside.
    fn path(&self, name: &str) -> PathBuf {
        let inside = self.mount.strip_prefix("/").unwrap();
        Path::new("/proc").join(self.holder.id().to_string()).join("root").join(inside).join(name)
    }

    /// Fills it to its last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.path("filler")).unwrap();
        for size in [1 << 20, 4 << 10, 1] {
            let piece = vec![1; size];
            while std::io::Write::write_all(&mut file, &piece).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.path("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn append(node: &Node, value: &str) -> (u16, String) {
    let body = json!({"records": [{"value": value}]}).to_string();
    post(node, "/v1/topics/target/records", &[("content-type", "application/json")], body)
}

#[test]
fn a_full_disk_refuses_appends_in_words_loses_nothing_and_takes_them_again_when_there_is_room() {
    let mut disk = None;
    let runner = |folder: &Path| {
        let made = SmallDisk::mount(&folder.join("data"), "48m");
        let runner = made.runner();
        disk = Some(made);
        runner
    };
    let mut node = Node::start_through(runner, &[]);
    let disk = disk.unwrap();
    let mut bystander = Bystander::start(&node);
    node.ok(&["topic", "create", "target", "--config", "retention.ms=-1"]);
    assert_eq!(append(&node, "before").0, 200);
    disk.fill();
    // The last page of a log may have room yet: what is larger than a page has none.
    let large = "x".repeat(20_000);
    let refusal = eventually("an append is refused", PATIENCE, || {
        let (status, answer) = append(&node, &large);
        (status != 200).then_some((status, answer))
    });
    assert_eq!(refusal.0, 503, "{}", refusal.1);
    says(
        &refusal.1,
        &["exhausted", "target-0", ".log: No space left on device", "make room on the disk, and try again"],
    );
    let client = run_script("once.py", &[&node.kafka, "target", &large.len().to_string()], &[]);
    assert_eq!(client, [json!({"told": "KAFKA_STORAGE_ERROR"})], "a real client is told too");
    // What is there is served all the while, and reads need no room.
    assert_eq!(node.ok(&["topic", "consume", "target"]), "before\n");
    assert_eq!(rows(&node.ok(&["sql", "-o", "json", "-c", "SELECT count(*) AS n FROM target"]))[0]["n"], 1);
    disk.free();
    eventually("the log takes appends again", PATIENCE, || (append(&node, "after").0 == 200).then_some(()));
    // librdkafka sends again what was refused meanwhile: nothing is lost or doubled, though it was told of the refusals.
    bystander.goes_on();
    let seen = bystander.end();
    let kept = bystander.read_back(&node);
    let unique: BTreeSet<u64> = kept.iter().copied().collect();
    assert_eq!(unique.len(), kept.len(), "nothing is there twice");
    assert!(kept.is_sorted(), "what it sent is in its order");
    assert!(seen.acked.iter().all(|number| unique.contains(number)), "nothing acknowledged is lost");
    let values = node.ok(&["topic", "consume", "target"]);
    node.kill_and_restart();
    assert_eq!(bystander.read_back(&node), kept, "and all of it is there after a kill");
    assert_eq!(node.ok(&["topic", "consume", "target"]), values);
    assert_eq!(append(&node, "at last").0, 200);
}

#[test]
fn metadata_on_a_full_disk_is_refused_in_words_and_is_whole_after_a_restart() {
    let mut disk = None;
    let runner = |folder: &Path| {
        let made = SmallDisk::mount(&folder.join("data"), "32m");
        let runner = made.runner();
        disk = Some(made);
        runner
    };
    let mut node = Node::start_through(runner, &[]);
    let disk = disk.unwrap();
    node.ok(&["topic", "create", "target"]);
    assert_eq!(append(&node, "before").0, 200);
    disk.fill();
    // The log of metadata has room in its last page for some records more.
    let error = eventually("a topic is refused", PATIENCE, || {
        let name = format!("t{}", std::fs::read_dir(disk.path("")).unwrap().count());
        let output = node.run(&["topic", "create", &format!("{name}-{}", "x".repeat(200))]);
        let _ = node.run(&["topic", "delete", &format!("{name}-{}", "x".repeat(200))]);
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
    });
    says(&error, &["No space left on device"]);
    assert_eq!(node.ok(&["topic", "consume", "target"]), "before\n", "what is there is served all the while");
    disk.free();
    node.kill();
    node.restart();
    node.ok(&["topic", "create", "another"]);
    assert_eq!(append(&node, "after").0, 200);
    assert_eq!(node.ok(&["topic", "consume", "target"]), "before\nafter\n");
    refused(&node, &["topic", "create", "another"], 1, &["exists already"]);
}
