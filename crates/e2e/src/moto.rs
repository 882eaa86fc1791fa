//! A real S3 server (moto), in a process of its own.

use crate::client::clients_folder;
use crate::wait::eventually;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The server, with one bucket, `cold`.
pub struct Moto {
    process: Child,
    /// `HOST:PORT`.
    pub address: String,
}

impl Moto {
    /// Starts the server and makes the bucket.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
        let port = free.local_addr().expect("it is bound").port();
        drop(free);
        let process = Command::new(clients_folder().join("python/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto can be started");
        let address = format!("127.0.0.1:{port}");
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        eventually("moto makes a bucket", Duration::from_secs(60), || {
            let bucket = format!("http://{address}/cold");
            let made = runtime.block_on(async { reqwest::Client::new().put(bucket).send().await });
            made.ok().filter(|answer| answer.status().is_success())
        });
        Self { process, address }
    }

    /// Settings of a node that keeps what is cold there, reached at `address`: the server's own, or that of something in front of it.
    #[must_use]
    pub fn settings(address: &str) -> Vec<String> {
        vec![
            "tier.url=s3://cold/millstream".to_owned(),
            format!("tier.store.endpoint=http://{address}"),
            "tier.store.allow.http=true".to_owned(),
            "tier.store.access.key.id=test".to_owned(),
            "tier.store.secret.access.key=not-to-be-logged".to_owned(),
        ]
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
