//! The admin address shows figures and the bill, changes faults while the system runs, and runs
//! schedules at once.

use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::json;

use crate::{
    faults::{FaultSpec, Faults},
    metrics::{Instruments, Metrics},
    scheduler::{Scheduler, TickError},
    serve,
    system::{Accountant, Shown},
};

/// The parts of the system that the admin address shows and changes.
pub(crate) struct Admin {
    pub(crate) instruments: Arc<Instruments>,
    pub(crate) accountant: Arc<Accountant>,
    pub(crate) faults: Faults,
    pub(crate) scheduler: Arc<Scheduler>,
}

/// The answer to `GET /metrics`.
#[derive(Serialize)]
struct Figures {
    #[serde(flatten)]
    metrics: Metrics,
    bill: Option<Shown>,
}

impl Admin {
    pub(crate) async fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if let (&Method::POST, Some(function)) =
            (request.method(), request.uri().path().strip_prefix("/schedules/"))
        {
            return self.tick(function).await;
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/") => serve::text(
                StatusCode::OK,
                "GET /metrics                every AWS call by function and operation, the \
                 functions' figures, queue depths, the bill\n\
                 GET /faults                 the random faults in force\n\
                 POST /faults                sets them: \
                 seed=7,kill=500ms,duplicate=5%,fail=5%,lose=1%, or the JSON of GET (empty: none)\n\
                 POST /schedules/<function>  invokes a scheduled function now and waits for its \
                 answer\n",
            ),
            (&Method::GET, "/metrics") => self.figures().await,
            (&Method::GET, "/faults") => serve::json(StatusCode::OK, &self.faults.spec()),
            (&Method::POST, "/faults") => {
                match FaultSpec::read(&String::from_utf8_lossy(request.body())) {
                    Ok(spec) => {
                        self.faults.set(spec);
                        serve::json(StatusCode::OK, &self.faults.spec())
                    }
                    Err(error) => {
                        serve::json(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "error": error }))
                    }
                }
            }
            _ => serve::json(
                StatusCode::NOT_FOUND,
                &json!({ "error": "there are GET /, GET /metrics, GET /faults, POST /faults and \
                    POST /schedules/<function>" }),
            ),
        }
    }

    /// Only a template of Posthaste has a bill: for any other the answer goes without one.
    async fn figures(&self) -> Response<Bytes> {
        let bill = self.accountant.shown().await;
        let bill = bill.inspect_err(|error| tracing::warn!("there is no bill: {error:#}")).ok();
        serve::json(StatusCode::OK, &Figures { metrics: self.instruments.read(), bill })
    }

    async fn tick(&self, function: &str) -> Response<Bytes> {
        let (status, error) = match self.scheduler.tick(function).await {
            Ok(()) => return serve::json(StatusCode::OK, &json!({})),
            Err(error @ TickError::NoSchedule(_)) => (StatusCode::NOT_FOUND, error),
            Err(error @ TickError::Failed { .. }) => (StatusCode::BAD_GATEWAY, error),
        };
        serve::json(status, &json!({ "error": error.to_string() }))
    }
}
