//! Envelopes, parameters, refusals and the endpoints that describe.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use plimsoll_model::Subject;
use plimsoll_serve::ServeLimits;
use serde_json::{Value, json};

use super::support::{NOW_MS, NOW_S, Rig, form, rows_of};

fn subject(id: &str, slot: &str) -> Subject {
    Subject {
        service: Arc::from("web"),
        stack: Arc::from("shop"),
        slot: Arc::from(slot),
        container: Arc::from(format!("shop_web.{id}")),
        container_id: Arc::from(id),
        node: Arc::from("n1"),
        cluster: Arc::from("main"),
        image: Arc::from("nginx:1"),
    }
}

/// Ten minutes of two containers: `c1` uses half a core to the end; `c2` a quarter, and exited two
/// minutes before the end. Their node has four CPUs that are half used.
async fn rig(limits: ServeLimits) -> Rig {
    let rig = Rig::new(limits);
    let (mut container, mut info) = (rows_of("container"), rows_of("container_info"));
    for (id, share) in [("c1", 5_000_000), ("c2", 2_500_000)] {
        for tick in 0..60 {
            let time_ms = NOW_MS - 600_000 + tick * 10_000;
            let is_dead = id == "c2" && tick >= 48;
            container.row(time_ms, &subject(id, id), &[]);
            container.text("state", Some(if is_dead { "exited" } else { "running" })).unwrap();
            container.int("last_seen_s", Some(time_ms / 1_000)).unwrap();
            if !is_dead {
                container.int("cpu_usage_us", Some(tick * share)).unwrap();
                container.int("memory_usage_bytes", Some(1 << 20)).unwrap();
                container.int("started_at_ms", Some(NOW_MS - 700_000)).unwrap();
            }
        }
        info.row(NOW_MS - 600_000, &subject(id, id), &[]);
        let labels = json!({ "com.shop.team": format!("team {id}\n\"x\"") }).to_string();
        info.text("labels", Some(&labels)).unwrap();
    }
    let (mut node, mut cpu) = (rows_of("node"), rows_of("node_cpu"));
    for tick in 0..60 {
        let time_ms = NOW_MS - 600_000 + tick * 10_000;
        let subject = Subject::node("main", "n1");
        node.row(time_ms, &subject, &[]);
        node.int("memory_total_bytes", Some(4 << 30)).unwrap();
        node.int("memory_free_bytes", Some(1 << 30)).unwrap();
        for number in ["0", "1", "2", "3"] {
            cpu.row(time_ms, &subject, &[number]);
            cpu.int("user_us", Some(tick * 4_000_000)).unwrap();
            cpu.int("system_us", Some(tick * 1_000_000)).unwrap();
            cpu.int("idle_us", Some(tick * 5_000_000)).unwrap();
        }
    }
    for rows in [container, info, node, cpu] {
        rig.store(rows).await;
    }
    rig
}

#[tokio::test(flavor = "multi_thread")]
async fn save_and_test_of_grafana_answers() {
    let rig = rig(ServeLimits::default()).await;
    let expected = r#"{"status":"success","data":{"resultType":"scalar","result":[4,"2"]}}"#;
    let answer = rig.post("/api/v1/query", &[("query", "1+1"), ("time", "4")]).await;
    assert_eq!((answer.text(), answer.kind.as_str()), (expected, "application/json"));
    let answer = rig.get("/api/v1/query?query=1%2B1&time=4&unknown=x").await;
    assert_eq!(answer.text(), expected, "GET is as POST, unknown parameters are ignored");
    let build = rig.get("/api/v1/status/buildinfo").await.json();
    assert_eq!(build["data"]["version"], "3.0.0");
    assert_eq!(build["data"].get("features"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn instant_and_range_queries_answer_in_prometheus_form() {
    let rig = rig(ServeLimits::default()).await;
    let query = "container_cpu_usage_seconds_total{name=\"shop_web.c1\"}";
    let answer = rig.query(query).await;
    let metric = &answer["result"][0]["metric"];
    let expected = json!({
        "__name__": "container_cpu_usage_seconds_total", "cluster": "main",
        "container": "shop_web.c1", "container_id": "c1", "cpu": "total",
        "container_label_com_shop_team": "team c1\n\"x\"", "id": "/docker/c1", "image": "nginx:1",
        "instance": "n1:8080", "job": "cadvisor", "name": "shop_web.c1", "node": "n1",
        "service": "web", "slot": "c1", "stack": "shop",
    });
    assert_eq!(metric, &expected);
    assert_eq!(answer["result"][0]["value"], json!([NOW_S, "295"]));
    let pairs = [
        (
            "query",
            "sum by (service) (rate(container_cpu_usage_seconds_total{service=\"web\"}[2m]))",
        ),
        ("start", &(NOW_S - 300).to_string()),
        ("end", &(NOW_S - 180).to_string()),
        ("step", "1m"),
        ("stats", "all"),
    ];
    let answer = rig.post("/api/v1/query_range", &pairs).await;
    let start = concat!(
        r#"{"status":"success","data":{"resultType":"matrix","#,
        r#""result":[{"metric":{"service":"web"},"values":[["#
    );
    assert!(answer.text().starts_with(start), "{}", answer.text());
    let data = &answer.json()["data"];
    let values = data["result"][0]["values"].as_array().unwrap();
    assert_eq!(values.len(), 3);
    assert_eq!(values[0], json!([NOW_S - 300, "0.75"]));
    assert_eq!(data["stats"]["samples"]["series"], 2);
    let by_url = rig.get(&format!("/api/v1/query_range?{}", form(&pairs[..4]))).await.json();
    assert_eq!(by_url["data"]["result"], data["result"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dead_are_gone_at_once_and_the_machine_is_the_root() {
    let rig = rig(ServeLimits::default()).await;
    let number = async |query: &str| -> Vec<Value> {
        let all = rig.query(query).await["result"].as_array().unwrap().clone();
        all.into_iter().map(|one| one["value"][1].clone()).collect()
    };
    assert_eq!(number("count(container_last_seen{image!=\"\"})").await, ["1"]);
    let before = format!("count(container_last_seen{{image!=\"\"}} @ {})", NOW_S - 130);
    assert_eq!(number(&before).await, ["2"]);
    assert_eq!(number("count(container_memory_usage_bytes{name=~\".+\"})").await, ["1"]);
    assert_eq!(number("count(container_spec_memory_limit_bytes{name=~\".+\"} == 0)").await, ["1"]);
    assert_eq!(number("container_state{state=\"exited\"}").await.len(), 1);
    assert_eq!(number("rate(container_cpu_usage_seconds_total{id=\"/\"}[5m])").await, ["2"]);
    assert_eq!(number("container_memory_usage_bytes{id=\"/\"}").await, ["3221225472"]);
    assert_eq!(number("count(node_cpu{mode=\"system\"})").await, ["4"]);
    assert_eq!(number("up").await, ["1", "1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_values_and_series_are_found() {
    let rig = rig(ServeLimits::default()).await;
    let names = rig.get("/api/v1/labels").await.json();
    let has = |name: &str| names["data"].as_array().unwrap().contains(&json!(name));
    assert!(has("__name__") && has("container_label_com_shop_team") && has("mode") && has("state"));
    let values = rig.get("/api/v1/label/name/values").await.json();
    assert_eq!(values["data"], json!(["shop_web.c1", "shop_web.c2"]));
    let values = rig.get("/api/v1/label/U__container__id/values?limit=1").await.json();
    assert_eq!(values["data"], json!(["c1"]));
    assert_eq!(values["warnings"], json!(["results truncated due to limit"]));
    let one = [("match[]", "container_cpu_usage_seconds_total{name=~\".+c2\"}")];
    let series = rig.post("/api/v1/series", &one).await.json();
    assert_eq!(series["data"].as_array().unwrap().len(), 1, "{series}");
    assert_eq!(series["data"][0]["container_id"], "c2");
    let before = [one[0], ("start", "1000"), ("end", "2000")];
    let series = rig.post("/api/v1/series", &before).await;
    assert_eq!(series.text(), r#"{"status":"success","data":[]}"#);
    let all = [("match[]", "{__name__!=\"\"}"), ("limit", "5")];
    let series = rig.post("/api/v1/series", &all).await.json();
    assert_eq!(series["data"].as_array().unwrap().len(), 5);
    let meaning = rig.get("/api/v1/metadata?metric=container_last_seen").await.json();
    assert_eq!(meaning["data"]["container_last_seen"][0]["type"], "gauge");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_those_of_prometheus() {
    let rig = rig(ServeLimits::default()).await;
    for (path, status, kind, part) in [
        ("/api/v1/query?query=sum(", 400, "bad_data", "invalid parameter \"query\": "),
        ("/api/v1/query", 400, "bad_data", "invalid parameter \"query\": "),
        (
            "/api/v1/query?query=1&time=x",
            400,
            "bad_data",
            "cannot parse \"x\" to a valid timestamp",
        ),
        ("/api/v1/query_range?query=1&start=2&end=1&step=1", 400, "bad_data", "must not be before"),
        ("/api/v1/query_range?query=1&start=1&end=2&step=0", 400, "bad_data", "zero or negative"),
        ("/api/v1/query_range?query=1&start=1&end=2", 400, "bad_data", "parameter \"step\""),
        ("/api/v1/query_range?query=1&start=0&end=11001&step=1", 400, "bad_data", "11,000 points"),
        (
            "/api/v1/query_range?query=x[5m]&start=1&end=2&step=1",
            400,
            "bad_data",
            "for range query",
        ),
        ("/api/v1/series", 400, "bad_data", "no match[] parameter provided"),
        ("/api/v1/series?match[]=1", 400, "bad_data", "invalid parameter \"match[]\""),
        (
            "/api/v1/query?query=node_cpu_seconds_total*on(node)node_cpu_seconds_total",
            422,
            "execution",
            "many-to-many matching not allowed",
        ),
        ("/api/v1/query?query=node_cpu_seconds_total&timeout=0s", 503, "timeout", "timed out"),
    ] {
        let answer = rig.get(path).await;
        let body = answer.json();
        assert_eq!(answer.status.as_u16(), status, "{path}: {body}");
        assert_eq!(
            (&body["status"], &body["errorType"]),
            (&json!("error"), &json!(kind)),
            "{path}"
        );
        assert!(body["error"].as_str().unwrap().contains(part), "{path}: {body}");
    }
    let limits = ServeLimits { query_series_max: 3, ..ServeLimits::default() };
    let few = self::rig(limits).await;
    let answer = few.get("/api/v1/query?query=node_cpu_seconds_total").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("more than 3 series"), "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_prometheus_reads_samples() {
    let rig = rig(ServeLimits::default()).await;
    let field = |number: u8, bytes: &[u8]| {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    };
    let time = |number: u8, mut value: u64| {
        let mut bytes = vec![number << 3];
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    };
    let now_ms = u64::try_from(NOW_MS).unwrap();
    let name = [field(2, b"__name__"), field(3, b"machine_memory_bytes")].concat();
    let query = [time(1, now_ms - 15_000), time(2, now_ms), field(3, &name)].concat();
    let body = snap::raw::Encoder::new().compress_vec(&field(1, &query)).unwrap();
    let request = Request::post("/api/v1/read").body(Body::from(body)).unwrap();
    let answer = rig.ask(request).await;
    assert_eq!((answer.status, answer.kind.as_str()), (StatusCode::OK, "application/x-protobuf"));
    let answer = snap::raw::Decoder::new().decompress_vec(&answer.body).unwrap();
    let sample = [[0x09].as_slice(), &4_294_967_296_f64.to_le_bytes(), &time(2, now_ms - 10_000)];
    let sample = field(2, &sample.concat());
    assert!(answer.windows(sample.len()).any(|part| part == sample), "{answer:?}");
    assert!(answer.windows(7).any(|part| part == b"n1:8080"));
    let broken = Request::post("/api/v1/read").body(Body::from("x")).unwrap();
    assert_eq!(rig.ask(broken).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_answers_as_clients_expect() {
    let rig = rig(ServeLimits::default()).await;
    for (path, data) in [
        ("/api/v1/query_exemplars?query=x", json!([])),
        ("/api/v1/rules", json!({ "groups": [] })),
        ("/api/v1/alerts", json!({ "alerts": [] })),
        ("/api/v1/status/config", json!({ "yaml": "" })),
        ("/api/v1/status/flags", json!({})),
        ("/api/v1/format_query?query=sum%28x%29by(a)", json!("sum by (a) (x)")),
    ] {
        let answer = rig.get(path).await.json();
        assert_eq!((&answer["status"], &answer["data"]), (&json!("success"), &data), "{path}");
    }
    for path in ["/api/v1/status/runtimeinfo", "/api/v1/status/tsdb", "/api/v1/targets"] {
        assert_eq!(rig.get(path).await.json()["status"], "success", "{path}");
    }
    for path in ["/-/healthy", "/-/ready"] {
        assert_eq!(rig.get(path).await.status, StatusCode::OK, "{path}");
    }
    let limited = [("query", "node_cpu_seconds_total"), ("limit", "3")];
    let limited = rig.post("/api/v1/query", &limited).await.json();
    assert_eq!(limited["data"]["result"].as_array().unwrap().len(), 3);
    assert_eq!(limited["warnings"], json!(["results truncated due to limit"]));
    let noted = [("query", "rate(container_memory_usage_bytes[5m])")];
    let noted = rig.post("/api/v1/query", &noted).await.json();
    assert!(noted["infos"][0].as_str().unwrap().contains("might not be a counter"), "{noted}");
    let text = rig.get("/federate?match[]=machine_memory_bytes").await;
    let expected = format!(
        "# TYPE machine_memory_bytes gauge\nmachine_memory_bytes{{cluster=\"main\",\
         instance=\"n1:8080\",job=\"cadvisor\",node=\"n1\"}} 4294967296 {}\n",
        NOW_MS - 10_000
    );
    assert_eq!(text.text(), expected);
}
