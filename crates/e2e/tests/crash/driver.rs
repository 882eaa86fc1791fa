//! The producer under which the node is killed.

use millstream_e2e::clients_folder;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long an acknowledgement may take, the node's restart included. Generous, since the machine is shared.
const PATIENCE: Duration = Duration::from_secs(120);
/// Acknowledgements after which the load is taken to be back.
const ENOUGH: u64 = 60;

/// librdkafka, idempotent, acks=all, always with records on their way.
pub struct Driver {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
    acked: u64,
}

/// What the driver sent, and where it was told that it is.
pub struct Sent {
    pub count: u64,
    /// Number, partition, offset; in the order of the acknowledgements.
    pub acked: Vec<(u64, i64, i64)>,
}

impl Driver {
    pub fn start(bootstrap: &str, topic: &str, partitions: u64) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/python/crashing.py");
        let mut command = Command::new(clients_folder().join("python/bin/python"));
        command.arg(program).args([bootstrap, topic, &partitions.to_string()]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { process, stdin, lines, acked: 0 }
    }

    /// Waits until the node acknowledges again what it is sent now.
    pub fn goes_on(&mut self) {
        for line in self.lines.try_iter() {
            self.acked = line["acked"].as_u64().unwrap_or(self.acked);
        }
        let enough = self.acked + ENOUGH;
        while self.acked < enough {
            let line = self.lines.recv_timeout(PATIENCE).expect("the node acknowledges nothing any more");
            self.acked = line["acked"].as_u64().unwrap_or(self.acked);
        }
    }

    /// Lets it send what it has begun, and says what came of it.
    pub fn end(mut self) -> Sent {
        self.stdin = None;
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("the driver ends with what it saw");
            let Some(done) = line["done"].as_array() else { continue };
            assert_eq!(line["errors"], serde_json::json!([]), "no record may fail: it is tried until it is answered");
            let one = |ack: &Value| (ack[0].as_u64().unwrap(), ack[1].as_i64().unwrap(), ack[2].as_i64().unwrap());
            let sent = Sent { count: line["sent"].as_u64().unwrap(), acked: done.iter().map(one).collect() };
            assert_eq!(sent.acked.len() as u64, sent.count, "every record is acknowledged in the end");
            return sent;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
