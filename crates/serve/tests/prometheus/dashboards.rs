//! Queries of dashboards over a made-up fleet: those that must answer do, and those that cannot
//! are known (docs/gaps/dashboards.md).

use serde_json::Value;

use super::support::{NOW_S, Rig, fleet};

const CASES: &str = include_str!("../cases/dashboards.txt");

async fn count(rig: &Rig, query: &str) -> usize {
    let data = rig.query(query).await;
    match &data["result"] {
        Value::Array(all) if data["resultType"] == "vector" => all.len(),
        _ => 1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_of_dashboards_have_data_or_are_known_not_to() {
    let rig = fleet().await;
    let server = rig.query("topk(1, node_load1)").await["result"][0]["metric"]["instance"].clone();
    let server = server.as_str().unwrap().split(':').next().unwrap().to_owned();
    let mut wrong = Vec::new();
    let queries = CASES.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut asked = 0;
    for line in queries {
        let (query, has_data) = match line.strip_prefix("- ") {
            Some(query) => (query, false),
            None => (line, true),
        };
        let query = query.replace("$server", &server);
        if (count(&rig, &query).await > 0) != has_data {
            wrong.push(line);
        }
        asked += 1;
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(asked > 100, "{asked} queries");
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_of_dashboards_have_values() {
    let rig = fleet().await;
    let range = format!("start={}&end={NOW_S}", NOW_S - 3_600);
    let values = async |label: &str, selector: &str| -> Vec<String> {
        let matcher = super::support::form(&[("match[]", selector)]);
        let path = format!("/api/v1/label/{label}/values?{range}&{matcher}");
        let answer = rig.get(&path).await.json();
        let all = answer["data"].as_array().expect("a list").iter();
        all.map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    let instances = values("instance", "{__name__=~\"container.*\"}").await;
    assert_eq!(instances.len(), 3, "{instances:?}");
    assert!(instances.iter().all(|instance| instance.ends_with(":8080")), "{instances:?}");
    let instances = values("instance", "node_boot_time_seconds").await;
    assert!(instances.iter().all(|instance| instance.ends_with(":9100")), "{instances:?}");
    assert!(values("name", "{__name__=~\"container.*\"}").await.len() >= 39);
    let stacks = values("container_label_com_docker_stack_namespace", "container_last_seen").await;
    assert_eq!(stacks, ["auth", "data", "shop"]);
    let names = values("__name__", "{job=\"cadvisor\"}").await;
    for name in ["container_cpu_usage_seconds_total", "machine_memory_bytes", "container_state"] {
        assert!(names.iter().any(|found| found == name), "{name}");
    }
    assert!(!names.iter().any(|name| name == "node_load1"));
    assert_eq!(values("state", "container_state").await, ["running"]);
}
