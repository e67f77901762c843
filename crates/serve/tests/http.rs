//! The routes over a store in a temporary folder: answers, refusals, headers, and the document.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use plimsoll_ingest::{Ingest, IngestLimits};
use plimsoll_model::{Batch, BatchBuilder, Subject, time::ManualClock};
use plimsoll_serve::{ServeLimits, Server, ServerParts, openapi_json};
use plimsoll_store::{Store, StoreOptions};
use plimsoll_wire::{FrameId, SenderId, encode};
use serde_json::Value;
use tower::ServiceExt as _;

/// 2026-11-20T08:00:00Z.
const NOW_MS: i64 = 1_795_161_600_000;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the answer is JSON")
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the answer is text")
    }
}

fn router(limits: ServeLimits) -> (tempfile::TempDir, Router) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let mut options = StoreOptions::new(dir.path());
    options.disk_free_bytes_min = 0;
    let store = Store::open(options, clock.clone()).unwrap();
    let ingest = Ingest::new(store.clone(), IngestLimits::default());
    let parts = ServerParts { store, ingest, clock, limits, collector: None };
    (dir, Server::new(parts).router())
}

async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Answer { status, headers, body }
}

async fn get(router: &Router, path: &str) -> Answer {
    ask(router, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Two containers of `web`, one sample a 10 s for 10 minutes: half a core and a quarter.
fn frames() -> Vec<u8> {
    let mut container = BatchBuilder::new(Batch::find_table("container").unwrap());
    let mut info = BatchBuilder::new(Batch::find_table("container_info").unwrap());
    for (id, share) in [("c1", 5_000_000), ("c2", 2_500_000)] {
        let subject = Subject {
            service: Arc::from("web"),
            stack: Arc::from("shop"),
            container: Arc::from(format!("shop_web.{id}")),
            container_id: Arc::from(id),
            node: Arc::from("n1"),
            ..Subject::default()
        };
        for tick in 0..60 {
            container.row(NOW_MS - 600_000 + tick * 10_000, &subject, &[]);
            container.int("cpu_usage_us", Some(tick * share)).unwrap();
            container.int("memory_working_set_bytes", Some(1 << 20)).unwrap();
            container.int("started_at_ms", Some(NOW_MS - 700_000)).unwrap();
            container.text("state", Some("running")).unwrap();
        }
        info.row(NOW_MS - 600_000, &subject, &[]);
        let labels = format!("{{\"team\":\"{}\"}}", if id == "c1" { "=red" } else { "blue" });
        info.text("labels", Some(&labels)).unwrap();
    }
    let id = |sequence| FrameId { sender: SenderId([1; 16]), epoch: 1, sequence };
    let frames = [container, info].into_iter().zip(1..);
    frames.flat_map(|(rows, n)| encode(&rows.finish().unwrap(), id(n)).unwrap()).collect()
}

async fn filled() -> (tempfile::TempDir, Router) {
    let (dir, router) = router(ServeLimits::default());
    let post = Request::post("/api/v1/frames").body(Body::from(frames())).unwrap();
    let answer = ask(&router, post).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.json()["data"]["new"], 2);
    (dir, router)
}

#[tokio::test(flavor = "multi_thread")]
async fn history_answers_in_every_form() {
    let (_dir, router) = filled().await;
    let asked = "/api/v1/history?metric=cpu&by=service&from=-8m&to=-2m&step=1m";
    let data = &get(&router, asked).await.json()["data"];
    assert_eq!((&data["unit"], &data["step_ms"]), (&"cores".into(), &60_000.into()));
    assert_eq!(data["groups"][0]["labels"]["service"], "web");
    assert_eq!(
        data["groups"][0]["values"],
        serde_json::json!([0.75, 0.75, 0.75, 0.75, 0.75, 0.75])
    );
    assert_eq!(data["coverage"], 1.0);

    let csv = get(&router, &format!("{asked}&format=csv&by=")).await;
    assert_eq!(csv.status, StatusCode::BAD_REQUEST, "`by` is there twice");
    let asked = "/api/v1/history?metric=cpu&by=label.team&from=-8m&to=-7m&step=1m";
    let csv = get(&router, &format!("{asked}&format=csv")).await;
    let expected = "time,team,value,unit\r\n2026-11-20T07:52:00Z,'=red,0.5,cores\r\n\
         2026-11-20T07:52:00Z,blue,0.25,cores\r\n";
    assert_eq!(csv.text(), expected);

    let arrow = Request::get(asked).header(header::ACCEPT, "application/vnd.apache.arrow.stream");
    let arrow = ask(&router, arrow.body(Body::empty()).unwrap()).await;
    assert_eq!(arrow.headers[header::CONTENT_TYPE], "application/vnd.apache.arrow.stream");
    assert_eq!(&arrow.body[..4], [0xff, 0xff, 0xff, 0xff], "the continuation mark of a stream");
    let parquet = get(&router, &format!("{asked}&format=parquet")).await;
    assert_eq!(
        (&parquet.body[..4], &parquet.body[parquet.body.len() - 4..]),
        (&b"PAR1"[..], &b"PAR1"[..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_containers_by_dimension_and_label() {
    let (_dir, router) = filled().await;
    let sum = |query: &'static str| {
        let router = router.clone();
        async move {
            let path = format!("/api/v1/history?metric=cpu&by=&from=-5m&to=-4m&step=1m&{query}");
            let answer = get(&router, &path).await.json();
            answer["data"]["groups"][0]["values"][0].as_f64()
        }
    };
    assert_eq!(sum("").await, Some(0.75));
    assert_eq!(sum("container_id=~c[2-9]").await, Some(0.25));
    assert_eq!(sum("container!=shop_web.c1").await, Some(0.25));
    assert_eq!(sum("label.team=%3Dred").await, Some(0.5));
    assert_eq!(sum("stack=none").await, None);
    assert_eq!(sum("stat=sum&across=max").await, Some(30.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_in_one_envelope() {
    let (_dir, router) = filled().await;
    for (path, status, kind, part) in [
        (
            "/api/v1/history?metric=cpu&step=0s",
            400,
            "bad_data",
            "parameter `step`: found \"0s\", allowed is a duration from 1s to 365d",
        ),
        ("/api/v1/history?metric=cpu&setp=1m", 400, "bad_data", "did you mean `step`?"),
        ("/api/v1/history", 400, "bad_data", "parameter `metric` is missing"),
        ("/api/v1/inventory?form=-1h", 400, "bad_data", "did you mean `from`?"),
        ("/api/v1/nothing", 404, "not_found", "there is no /api/v1/nothing"),
        ("/api/v1/frames", 405, "bad_data", "does not take GET"),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
        let body = answer.json();
        assert_eq!(
            (&body["status"], &body["errorType"]),
            (&"error".into(), &kind.into()),
            "{path}"
        );
        assert!(body["error"].as_str().unwrap().contains(part), "{path}: {body}");
    }
    let post = Request::post("/api/v1/frames").body(Body::from("these are not frames")).unwrap();
    let answer = ask(&router, post).await;
    assert_eq!(
        (answer.status, &answer.json()["errorType"]),
        (StatusCode::BAD_REQUEST, &"bad_data".into())
    );
    let asked = Request::get("/api/v1/history?metric=cpu").header(header::ACCEPT, "image/png");
    let answer = ask(&router, asked.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn limit_bodies_and_answers_are_bounded() {
    let limits = ServeLimits { body_bytes_max: 100, query_rows_max: 10, ..ServeLimits::default() };
    let (_dir, small) = router(limits);
    let post = Request::post("/api/v1/frames").body(Body::from(frames())).unwrap();
    let answer = ask(&small, post).await;
    assert_eq!(
        (answer.status, &answer.json()["errorType"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &"too_many".into())
    );
    let limits = ServeLimits { query_rows_max: 10, ..ServeLimits::default() };
    let (_dir, few) = router(limits);
    ask(&few, Request::post("/api/v1/frames").body(Body::from(frames())).unwrap()).await;
    let answer = get(&few, "/api/v1/history?metric=cpu").await;
    assert_eq!(
        (answer.status, &answer.json()["errorType"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &"execution".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_lists_what_there_is() {
    let (_dir, router) = filled().await;
    let data = &get(&router, "/api/v1/inventory").await.json()["data"];
    assert_eq!(data["containers"].as_array().unwrap().len(), 2);
    assert_eq!(data["containers"][0]["labels"]["team"], "=red");
    assert_eq!(data["containers"][0]["running"], true);
    assert_eq!(
        (&data["services"][0]["containers"], &data["services"][0]["stack"]),
        (&2.into(), &"shop".into())
    );
    assert_eq!(
        (&data["nodes"][0]["node"], &data["nodes"][0]["running"]),
        (&"n1".into(), &2.into())
    );
    let one = &get(&router, "/api/v1/inventory?label.team=blue").await.json()["data"];
    assert_eq!(one["containers"].as_array().unwrap().len(), 1);
    let before = &get(&router, "/api/v1/inventory?from=-9h&to=-8h").await.json()["data"];
    assert_eq!(before["containers"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_answer_and_every_answer_is_guarded() {
    let (_dir, router) = filled().await;
    let status = get(&router, "/api/v1/status").await.json();
    assert_eq!(status["data"]["ingest"]["frames_new"], 2);
    for path in ["/healthz", "/readyz", "/openapi.json", "/", "/plain", "/page.css", "/nothing"] {
        let answer = get(&router, path).await;
        assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.headers[header::REFERRER_POLICY], "no-referrer", "{path}");
        let head = ask(&router, Request::head(path).body(Body::empty()).unwrap()).await;
        assert_eq!((head.status, head.body.len()), (answer.status, 0), "{path}");
    }
    let page = get(&router, "/plain").await;
    assert!(page.text().contains("2 containers of 1 services run on 1 nodes"), "{}", page.text());
    assert!(!page.text().contains("<script"));
    let metrics = get(&router, "/metrics").await;
    assert!(metrics.text().contains("plimsoll_ingest_frames_total{result=\"new\"} 2\n"));
    assert!(metrics.text().contains("# TYPE plimsoll_http_requests_total counter\n"));
    let zipped = Request::get("/openapi.json").header(header::ACCEPT_ENCODING, "gzip");
    let zipped = ask(&router, zipped.body(Body::empty()).unwrap()).await;
    assert_eq!(zipped.headers[header::CONTENT_ENCODING], "gzip");
}

#[test]
fn the_document_is_the_one_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/api/openapi.json");
    let actual = openapi_json().unwrap();
    if std::env::var_os("UPDATE_API").is_some() {
        std::fs::write(path, &actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(actual == expected, "schemas/api/openapi.json is old: UPDATE_API=1 writes it anew");
}
