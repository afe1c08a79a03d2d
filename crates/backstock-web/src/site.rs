//! Everything that is answered: the list of addresses, and what their handlers share.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use backstock_operations::{Environment, OperationError};

use crate::address::{PublicAddress, RETURNED_PATH};
use crate::guard::{self, BODY_LIMIT_BYTES};
use crate::sessions::Sessions;
use crate::{link, pages};

/// Everything that is answered. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Site {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    environment: Arc<Environment>,
    address: PublicAddress,
    hosts: Vec<String>,
    sessions: Sessions,
}

impl Site {
    /// The site of this environment, which browsers reach by `address`, while `listen` is listened on.
    pub fn new(environment: Arc<Environment>, address: PublicAddress, listen: SocketAddr) -> Self {
        let hosts = address.hosts(listen);
        Self { shared: Arc::new(Shared { environment, address, hosts, sessions: Sessions::default() }) }
    }

    /// Every address and its handler.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/style.css", get(style))
            .route(RETURNED_PATH, get(link::returned))
            .route("/link/{token}", get(link::ask).post(link::take))
            .fallback(async || pages::nothing_here())
            .method_not_allowed_fallback(async || pages::not_that_way())
            .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
            .layer(axum::middleware::from_fn_with_state(self.clone(), guard::guard))
            .with_state(self.clone())
    }

    /// Whether a request that names this host is meant for us.
    pub(crate) fn is_meant(&self, host: Option<&str>) -> bool {
        host.is_some_and(|host| self.shared.hosts.iter().any(|own| own.eq_ignore_ascii_case(host)))
    }

    pub(crate) fn address(&self) -> &PublicAddress {
        &self.shared.address
    }

    pub(crate) fn sessions(&self) -> &Sessions {
        &self.shared.sessions
    }

    /// Runs an operation on a thread that may block. None where it ended by a fault in the program.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Environment) -> Result<T, OperationError> + Send + 'static,
    ) -> Option<Result<T, OperationError>> {
        let environment = self.shared.environment.clone();
        tokio::task::spawn_blocking(move || operation(&environment)).await.ok()
    }
}

async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../assets/style.css"))
}
