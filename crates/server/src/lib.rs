//! The incidents of the last hunt over HTTP, on loopback only.
//!
//! There is no authentication yet, so nothing but a loopback address is bound, nothing can be changed through it, and
//! a page of another site can neither read it nor reach it under a name of its own (DNS rebinding).

mod api;
mod guard;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use matagi_model::Time;
use tokio::net::TcpListener;

pub use api::router;

/// Where the server finds what it shows. The binary implements it for the lake.
pub trait HuntStore: Send + Sync + 'static {
    /// The document `matagi.hunt/1` of the last hunt in this language, as JSON; none when there was no hunt.
    ///
    /// May block: it is called off the async threads.
    ///
    /// # Errors
    /// When what is kept cannot be read.
    fn last_hunt(&self, lang: &str) -> Result<Option<String>, Box<dyn Error + Send + Sync>>;

    /// When that hunt was made; [`Time::UNKNOWN`] where nobody knows.
    fn hunted_at(&self) -> Time {
        Time::UNKNOWN
    }
}

/// Why the server did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address can be reached from other machines, and there is no authentication.
    #[error("cannot serve on {address}: without authentication only loopback is served (127.0.0.1 or [::1])")]
    NotLoopback {
        /// The address that was asked for.
        address: SocketAddr,
    },
    /// The address is taken or may not be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The runtime did not start, or the connection that accepts others broke.
    #[error("cannot serve")]
    Serve(#[from] io::Error),
}

/// How often it looks whether it shall stop: often enough that Ctrl-C feels immediate.
const STOP_CHECK: Duration = Duration::from_millis(100);

/// Serves until `is_stopped` says so; blocks the caller.
///
/// `ready` is told the address that was bound, which differs from `address` when that has port 0.
pub fn serve(
    store: Arc<dyn HuntStore>,
    address: SocketAddr,
    ready: impl FnOnce(SocketAddr),
    is_stopped: impl Fn() -> bool + Send + 'static,
) -> Result<(), ServerError> {
    if !address.ip().to_canonical().is_loopback() {
        return Err(ServerError::NotLoopback { address });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
        ready(listener.local_addr()?);
        let stopped = async move {
            while !is_stopped() {
                tokio::time::sleep(STOP_CHECK).await;
            }
        };
        // Not a graceful shutdown: a browser that keeps its connection open must not keep the process alive.
        tokio::select! {
            served = async { axum::serve(listener, router(store)).await } => served?,
            () = stopped => {}
        }
        Ok(())
    })
}
