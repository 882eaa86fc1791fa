//! An HTTP endpoint that answers as it is told and remembers what it was sent.

use millstream_runtime::Tasks;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Debug, Clone)]
pub struct Request {
    pub head: String,
    pub body: String,
}

pub struct Endpoint {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    /// The statuses of the next answers; 200 afterwards. Status 0 closes the connection.
    script: Arc<Mutex<VecDeque<u16>>>,
}

impl Endpoint {
    pub async fn start(tasks: &Tasks, script: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script.iter().copied().collect()));
        let (kept, answers, owner) = (requests.clone(), script.clone(), tasks.clone());
        tasks.spawn_until_stopped("endpoint", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                owner.spawn_until_stopped("connection", serve(stream, kept.clone(), answers.clone()));
            }
        });
        Self { url, requests, script }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().clone()
    }

    pub fn script_left(&self) -> usize {
        self.script.lock().len()
    }
}

async fn serve(mut stream: TcpStream, requests: Arc<Mutex<Vec<Request>>>, script: Arc<Mutex<VecDeque<u16>>>) {
    let mut buffer = Vec::new();
    loop {
        let Some(head_end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
            continue;
        };
        let head = String::from_utf8(buffer[..head_end].to_vec()).unwrap().to_lowercase();
        let len =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |len| len.parse().unwrap());
        while buffer.len() < head_end + 4 + len {
            stream.read_buf(&mut buffer).await.unwrap();
        }
        let body = String::from_utf8(buffer[head_end + 4..head_end + 4 + len].to_vec()).unwrap();
        buffer.drain(..head_end + 4 + len);
        requests.lock().push(Request { head, body });
        let status = script.lock().pop_front().unwrap_or(200);
        if status == 0 {
            return;
        }
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}
