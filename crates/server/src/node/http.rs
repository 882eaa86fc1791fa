//! The HTTP server of a node.

use millstream_admin::Node as Api;
use millstream_runtime::Runtime;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves the API until the node stops; what is being answered then is finished.
pub fn serve(runtime: &Runtime, listener: TcpListener, api: Arc<Api>) {
    let shutdown = runtime.tasks.shutdown();
    let server = axum::serve(listener, millstream_admin::router(api))
        .with_graceful_shutdown(async move { shutdown.requested().await });
    let stopped = runtime.tasks.shutdown();
    let clock = runtime.clock.clone();
    runtime.tasks.spawn("http", async move {
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
}

/// How long answers that were begun may take when the node stops: a reader that follows a topic never ends by itself.
const GRACE: std::time::Duration = std::time::Duration::from_secs(2);
