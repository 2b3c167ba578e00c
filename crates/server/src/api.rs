//! The page and the API. Everything is read, nothing can be changed.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use matagi_report::{HuntDocument, document, html, language};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::HuntStore;
use crate::guard::guard;

/// Hunts read at the same time; a document may be large, and each reader holds one in memory.
const READERS_MAX: usize = 4;

/// Why a request got no answer, and what would.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    error: String,
    hint: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status, error: error.into(), hint: hint.into() }
    }

    fn broken(error: &(dyn std::error::Error + 'static)) -> Self {
        let chain: Vec<String> =
            std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the last hunt cannot be read: {}", chain.join(": ")),
            "run `matagi hunt` again; `matagi doctor` looks at the lake",
        )
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

#[derive(Clone)]
struct Shared {
    store: Arc<dyn HuntStore>,
    readers: Arc<Semaphore>,
}

impl Shared {
    /// Reads the last hunt off the async threads and makes something of it there.
    async fn with_hunt<T, F>(&self, lang: &'static str, make: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(String, &dyn HuntStore) -> Result<T, Refusal> + Send + 'static,
    {
        let _reader = self.readers.acquire().await.map_err(|error| Refusal::broken(&error))?;
        let store = Arc::clone(&self.store);
        let task = spawn_blocking(move || match store.last_hunt(lang) {
            Ok(Some(json)) => make(json, store.as_ref()),
            Ok(None) => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "no hunt has been kept here",
                "`matagi hunt PATH...` reads evidence and hunts in it",
            )),
            Err(error) => Err(Refusal::broken(error.as_ref())),
        });
        task.await.map_err(|error| Refusal::broken(&error))?
    }
}

fn parsed(json: &str) -> Result<HuntDocument, Refusal> {
    serde_json::from_str(json).map_err(|error| Refusal::broken(&error))
}

/// What is served, without the socket.
pub fn router(store: Arc<dyn HuntStore>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/api/v1/health", get(health))
        .route("/api/v1/hunt", get(hunt))
        .route("/api/v1/incidents", get(incidents))
        .route("/api/v1/incidents/{id}", get(incident))
        .fallback(nothing_here)
        .method_not_allowed_fallback(read_only)
        .with_state(Shared { store, readers: Arc::new(Semaphore::new(READERS_MAX)) })
        .layer(middleware::from_fn(guard))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    lang: Option<String>,
}

type Question = Result<Query<Asked>, QueryRejection>;

/// The language asked for, else the browser's first.
fn lang_of(question: Question, headers: &HeaderMap) -> Result<&'static str, Refusal> {
    let Ok(Query(asked)) = question else {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the query cannot be read", "?lang=en or ?lang=ja"));
    };
    let preferred = || headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or("en");
    match asked.lang.as_deref() {
        None => Ok(language(preferred().split([',', ';']).next().unwrap_or("en").trim())),
        Some("en") => Ok("en"),
        Some("ja") => Ok("ja"),
        Some(_) => Err(Refusal::new(StatusCode::BAD_REQUEST, "no such language", "?lang=en or ?lang=ja")),
    }
}

async fn page(State(shared): State<Shared>, question: Question, headers: HeaderMap) -> Result<Response, Refusal> {
    let lang = lang_of(question, &headers)?;
    let page =
        shared.with_hunt(lang, move |json, store| Ok(html::page(&parsed(&json)?, lang, store.hunted_at()))).await?;
    let policy = format!("{}; frame-ancestors 'none'", html::content_security_policy());
    let policy = HeaderValue::try_from(policy).map_err(|error| Refusal::broken(&error))?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (VARY, HeaderValue::from_static("accept-language")),
    ];
    Ok((headers, page).into_response())
}

async fn hunt(State(shared): State<Shared>, question: Question, headers: HeaderMap) -> Result<Response, Refusal> {
    let lang = lang_of(question, &headers)?;
    let json = shared.with_hunt(lang, |json, _| parsed(&json).map(|document| document.to_json())).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json).into_response())
}

async fn incidents(State(shared): State<Shared>, question: Question, headers: HeaderMap) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Listing {
        schema: String,
        lang: String,
        incidents: Vec<document::IncidentDocument>,
    }
    let lang = lang_of(question, &headers)?;
    let document = shared.with_hunt(lang, |json, _| parsed(&json)).await?;
    let HuntDocument { schema, lang, incidents, .. } = document;
    Ok(Json(Listing { schema, lang, incidents }).into_response())
}

async fn incident(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    question: Question,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Whole {
        incident: document::IncidentDocument,
        findings: Vec<document::FindingDocument>,
    }
    let lang = lang_of(question, &headers)?;
    let whole = shared
        .with_hunt(lang, move |json, _| {
            let document = parsed(&json)?;
            let Some(incident) = document.incident(&id).cloned() else {
                let error = "no incident of the last hunt has this id";
                return Err(Refusal::new(StatusCode::NOT_FOUND, error, "see /api/v1/incidents"));
            };
            let findings = incident.findings.iter().filter_map(|id| document.finding(id).cloned()).collect();
            Ok(Whole { incident, findings })
        })
        .await?;
    Ok(Json(whole).into_response())
}

async fn health() -> Response {
    #[derive(Serialize)]
    struct Health {
        status: &'static str,
        version: &'static str,
        schema: &'static str,
    }
    Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION"), schema: document::SCHEMA }).into_response()
}

async fn nothing_here() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "there is nothing at this address",
        "/ is the page; /api/v1/hunt, /api/v1/incidents and /api/v1/incidents/{id} are the data",
    )
}

async fn read_only() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "nothing can be changed here", "everything is read with GET")
}
