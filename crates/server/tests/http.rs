//! The server as a browser, a script and an attacker see it.

#![allow(clippy::unwrap_used, reason = "helpers of tests panic like tests")]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use matagi_model::{
    AnalyticMeta, Entity, Evidence, Finding, Incident, Origin, Role, Sentence, Severity, Stage, Table, Text, Time, Uid,
};
use matagi_report::Hunt;
use matagi_server::{HuntStore, ServerError, router, serve};
use serde_json::Value;
use tower::ServiceExt;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/test",
    catalogue: &["MBX-022"],
    title: Text::new("A rule <hides> mail", "メールを隠すルール"),
    question: Text::new("Which rules hide mail?", "メールを隠すルールはどれか"),
    stage: Stage::Persistence,
    attack: &["T1564.008"],
    scans: &[],
    parameters: &[],
    reasons: &[],
};

/// A store of one real document.
struct OneHunt;

impl HuntStore for OneHunt {
    fn last_hunt(&self, lang: &str) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
        let evidence = Evidence {
            event_uid: Uid::of(&[b"x"]),
            table: Table::Saas,
            time: Time(1_710_198_729_000_000),
            origin: Origin { path: "audit.csv".into(), record: 7 },
            fact: "New-InboxRule".into(),
        };
        let finding =
            Finding::new(&META, Severity::High, evidence).about(Entity::user("anna@aozora.example"), Role::Victim);
        let incident = Incident {
            id: "I-0123456789".into(),
            title: Sentence::new("takeover", [("user", "anna".to_owned())]),
            severity: Severity::High,
            score: 70.0,
            reasons: Vec::new(),
            first_time: finding.first_time(),
            last_time: finding.last_time(),
            entities: finding.entities().map(|(entity, role)| (entity.clone(), role)).collect(),
            findings: vec![finding.id()],
            stages: Vec::new(),
            left_behind: Vec::new(),
            exposure: Vec::new(),
            narrative: Vec::new(),
            next_steps: Vec::new(),
        };
        let (findings, incidents) = ([finding], [incident]);
        let hunt = Hunt { findings: &findings, incidents: &incidents, ..Hunt::default() };
        Ok(Some(matagi_report::document(&hunt, &matagi_report::phrasebook(), lang).to_json()))
    }
}

/// A store that holds what a test says.
struct Holds(Result<Option<String>, String>);

impl HuntStore for Holds {
    fn last_hunt(&self, _lang: &str) -> Result<Option<String>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.clone()?)
    }
}

async fn ask_of(store: impl HuntStore, request: Request<Body>) -> Response<Body> {
    router(Arc::new(store)).oneshot(request).await.unwrap()
}

fn get(path: &str) -> axum::http::request::Builder {
    Request::get(path).header("host", "127.0.0.1:8787")
}

async fn ask(path: &str) -> Response<Body> {
    ask_of(OneHunt, get(path).body(Body::empty()).unwrap()).await
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(to_bytes(response.into_body(), 10_000_000).await.unwrap().to_vec()).unwrap()
}

async fn json(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).unwrap()
}

#[tokio::test]
async fn the_page_speaks_the_language_that_is_asked_for() {
    let english = text(ask("/").await).await;
    assert!(english.contains("<html lang=\"en\">") && english.contains("A rule &lt;hides&gt; mail"));
    assert!(text(ask("/?lang=ja").await).await.contains("anna のメールボックス乗っ取り"));
    let request = get("/").header("accept-language", "ja-JP,ja;q=0.9,en;q=0.5").body(Body::empty()).unwrap();
    assert!(text(ask_of(OneHunt, request).await).await.contains("<html lang=\"ja\">"));
    assert_eq!(ask("/?lang=xx").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask("/?lang=en&lang=ja").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_data_is_the_document() {
    let hunt = json(ask("/api/v1/hunt").await).await;
    assert_eq!(hunt["schema"], "matagi.hunt/1");
    let incidents = json(ask("/api/v1/incidents?lang=ja").await).await;
    assert_eq!(incidents["incidents"][0]["title"], "anna のメールボックス乗っ取り");
    let one = json(ask("/api/v1/incidents/i-0123456789").await).await;
    assert_eq!(one["incident"]["id"], "I-0123456789");
    assert_eq!(one["findings"][0], hunt["findings"][0]);
    assert_eq!(json(ask("/api/v1/health").await).await["status"], "ok");
}

#[tokio::test]
async fn what_is_not_there_is_said_with_a_hint() {
    for path in ["/favicon.ico", "/api/v1/incidents/I-nothing", "/api/v2/hunt", "/../../etc/passwd", "/%00"] {
        let response = ask(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let body = json(response).await;
        assert!(body["error"].is_string() && body["hint"].is_string(), "{path}: {body}");
    }
    let none = ask_of(Holds(Ok(None)), get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    assert!(text(none).await.contains("matagi hunt"));
}

#[tokio::test]
async fn a_store_that_fails_or_holds_nonsense_is_an_error_not_a_panic() {
    for held in [Err("the disk is gone".to_owned()), Ok(Some("{\"schema\":".to_owned())), Ok(Some(String::new()))] {
        let response = ask_of(Holds(held.clone()), get("/").body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        let body = text(response).await;
        assert!(held.is_ok() || body.contains("the disk is gone"), "{body}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    for path in ["/", "/api/v1/hunt", "/nothing"] {
        let response = ask(path).await;
        let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'none'"), "{path}");
        assert!(header("content-security-policy").ends_with("frame-ancestors 'none'"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
    }
}

#[tokio::test]
async fn another_site_can_neither_name_nor_ask_this_server() {
    let status = async |request: axum::http::request::Builder| {
        ask_of(OneHunt, request.body(Body::empty()).unwrap()).await.status()
    };
    assert_eq!(
        status(Request::get("/").header("host", "rebound.evil.example:8787")).await,
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(
        status(Request::get("http://evil.example/").header("host", "127.0.0.1")).await,
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(status(Request::get("/")).await, StatusCode::BAD_REQUEST);
    assert_eq!(status(get("/").header("host", "evil.example")).await, StatusCode::BAD_REQUEST);
    assert_eq!(status(get("/api/v1/hunt").header("origin", "http://evil.example")).await, StatusCode::FORBIDDEN);
    assert_eq!(status(get("/api/v1/hunt").header("origin", "null")).await, StatusCode::FORBIDDEN);
    assert_eq!(status(get("/api/v1/hunt").header("origin", "http://localhost:8787")).await, StatusCode::OK);
}

#[tokio::test]
async fn nothing_can_be_changed_or_sent() {
    let post = Request::post("/api/v1/hunt").header("host", "localhost").body(Body::empty()).unwrap();
    assert_eq!(ask_of(OneHunt, post).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    let with_body = get("/").header("content-length", "5").body(Body::from("hello")).unwrap();
    assert_eq!(ask_of(OneHunt, with_body).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let long = format!("/api/v1/incidents/{}", "x".repeat(5_000));
    assert_eq!(ask(&long).await.status(), StatusCode::URI_TOO_LONG);
}

#[test]
fn other_machines_are_refused_before_anything_is_bound() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
        let address: SocketAddr = address.parse().unwrap();
        let error = serve(Arc::new(OneHunt), address, |_| panic!("bound {address}"), || true).unwrap_err();
        assert!(matches!(error, ServerError::NotLoopback { .. }), "{error}");
        assert!(error.to_string().contains("authentication"), "{error}");
    }
}

#[test]
fn a_real_socket_answers_and_stops() {
    let stopped = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    let server = std::thread::spawn({
        let stopped = Arc::clone(&stopped);
        let address = "127.0.0.1:0".parse().unwrap();
        move || {
            serve(
                Arc::new(OneHunt),
                address,
                |bound| tell.send(bound).unwrap(),
                move || stopped.load(Ordering::Relaxed),
            )
        }
    });
    let bound = told.recv().unwrap();
    assert_ne!(bound.port(), 0);
    let taken = serve(Arc::new(OneHunt), bound, |_| panic!("bound twice"), || true).unwrap_err();
    assert!(matches!(taken, ServerError::Listen { .. }), "{taken}");
    let mut connection = TcpStream::connect(bound).unwrap();
    write!(connection, "GET /api/v1/health HTTP/1.1\r\nHost: {bound}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    // The other end is this very test.
    #[expect(clippy::disallowed_methods, reason = "the answer is our own")]
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with('}'), "{answer}");
    let _idle = TcpStream::connect(bound).unwrap();
    stopped.store(true, Ordering::Relaxed);
    server.join().unwrap().unwrap();
}
