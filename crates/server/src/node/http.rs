//! The HTTP server of a node.

use millstream_admin::Node as Api;
use millstream_runtime::{Runtime, Tasks};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long answers that were begun may take when the node stops: a reader that follows a topic never ends by itself.
const GRACE: Duration = Duration::from_secs(2);

/// The API as it is served.
pub struct HttpServing(Tasks);

impl HttpServing {
    /// Takes no request more, and returns when those that had begun are answered or have taken too long.
    pub async fn stop_and_wait(&self) {
        self.0.stop_and_wait(2 * GRACE).await;
    }
}

/// Serves the API until it is told to stop, or the node is.
pub fn serve(runtime: &Runtime, listener: TcpListener, api: Arc<Api>) -> HttpServing {
    let tasks = runtime.tasks.child();
    let shutdown = tasks.shutdown();
    let server = axum::serve(listener, millstream_admin::router(api))
        .with_graceful_shutdown(async move { shutdown.requested().await });
    let stopped = tasks.shutdown();
    let clock = runtime.clock.clone();
    tasks.spawn("http", async move {
        let limit = async {
            stopped.requested().await;
            clock.sleep(GRACE).await;
        };
        tokio::select! {
            biased;
            outcome = async { server.await } => {
                if let Err(error) = outcome {
                    tracing::error!(%error, "HTTP is served no more");
                }
            }
            () = limit => {}
        }
    });
    HttpServing(tasks)
}
