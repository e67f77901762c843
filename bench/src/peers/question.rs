//! The questions every system is asked, in PromQL and in SQL.
//!
//! Keeps true: all texts of a question ask for the same groups, steps and windows. SQL answers
//! have the columns `key, t, v`, with `t` in Unix seconds.

use super::dataset::Dataset;
use super::metric::{CPU, MEMORY, METRICS};

/// What a question's answer is grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// One label.
    Label(&'static str),
    /// The metric and the container; SQL answers have a row per container and a column per
    /// metric.
    MetricAndContainer,
    /// The answer is a list of texts.
    Text,
}

/// Which rows of [`Question::promql`] and which path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// At one time.
    Instant {
        /// Unix seconds.
        time_s: i64,
    },
    /// At each step.
    Range {
        /// First step, Unix seconds.
        from_s: i64,
        /// Last step, Unix seconds.
        to_s: i64,
        /// Between steps.
        step_s: i64,
    },
    /// Values of a label.
    LabelValues {
        /// Start, Unix seconds.
        from_s: i64,
        /// End, Unix seconds.
        to_s: i64,
    },
}

/// Who is asked in PromQL, and so which names are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// The registry's.
    Plimsoll,
    /// Those the others were fed with.
    Peers,
}

/// One question.
#[derive(Debug, Clone)]
pub struct Question {
    /// Its name in the table of questions.
    pub id: &'static str,
    /// What it stands for.
    pub text: &'static str,
    /// What its answer is grouped by.
    pub key: Key,
    /// When and how.
    pub shape: Shape,
    /// The metric its values are of, position in [`METRICS`]; for units.
    pub metric: usize,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Rate over five minutes, summed by service.
    Rate,
    /// Rate over five minutes of one container.
    RateOf(String),
    TopMemory {
        span_s: i64,
    },
    MaxMemory,
    LastMemory,
    LastAll,
    Values(&'static str),
    /// 95th percentile of hourly rates, by service.
    Percentile {
        days: i64,
        from_s: i64,
    },
}

/// Window of a rate, seconds.
const WINDOW_S: i64 = 300;
const HOUR_S: i64 = 3_600;
/// How far a last point may lie back, seconds.
const LOOKBACK_S: i64 = 300;

/// Q1 to Q6.
pub fn short(data: &Dataset) -> Vec<Question> {
    let (start_s, end_s) = (data.start_ms / 1_000, data.end_ms / 1_000);
    let from_s = (end_s - 6 * HOUR_S).max(start_s) + 2 * WINDOW_S;
    let instant = Shape::Instant { time_s: end_s };
    let labels = Shape::LabelValues { from_s: start_s, to_s: end_s };
    let range = |from_s, step_s| Shape::Range { from_s, to_s: end_s, step_s };
    let of = |id, text, key, shape, metric, kind| Question { id, text, key, shape, metric, kind };
    let (service, id) = (Key::Label("service"), Key::Label("container_id"));
    let hours = range(start_s + HOUR_S, HOUR_S);
    let one = Kind::RateOf(data.one_container.clone());
    let top = Kind::TopMemory { span_s: end_s - start_s };
    vec![
        of("Q1", "CPU by service, last 6 h at 1 m", service, range(from_s, 60), CPU, Kind::Rate),
        of(
            "Q1b",
            "CPU by service, whole span at 5 m",
            service,
            range(start_s + 2 * WINDOW_S, 300),
            CPU,
            Kind::Rate,
        ),
        of("Q2", "top 10 of mean memory", id, instant.clone(), MEMORY, top),
        of("Q3", "max memory by node and hour", Key::Label("node"), hours, MEMORY, Kind::MaxMemory),
        of("Q4", "last memory of all containers", id, instant.clone(), MEMORY, Kind::LastMemory),
        of("Q4b", "last of all 24", Key::MetricAndContainer, instant, CPU, Kind::LastAll),
        of("Q5", "all services", Key::Text, labels.clone(), CPU, Kind::Values("service")),
        of("Q5b", "all container ids", Key::Text, labels, CPU, Kind::Values("container_id")),
        of("Q6", "CPU of one container, 6 h at 1 m", id, range(from_s, 60), CPU, one),
    ]
}

/// Q7 and Q8.
pub fn long(data: &Dataset) -> Vec<Question> {
    let (start_s, end_s) = (data.start_ms / 1_000, data.end_ms / 1_000);
    let key = Key::Label("service");
    let week = Shape::Range { from_s: end_s - 7 * 24 * HOUR_S, to_s: end_s, step_s: 600 };
    let days = (end_s - start_s) / (24 * HOUR_S);
    let percentile = Kind::Percentile { days, from_s: start_s };
    vec![
        Question {
            id: "Q7",
            text: "CPU by service, 7 d at 10 m",
            key,
            shape: week,
            metric: CPU,
            kind: Kind::Rate,
        },
        Question {
            id: "Q8",
            text: "p95 of hourly CPU by service, 30 d",
            key,
            shape: Shape::Instant { time_s: end_s },
            metric: CPU,
            kind: percentile,
        },
    ]
}

fn series(metric: usize, names: Names) -> String {
    match names {
        Names::Plimsoll => METRICS[metric].series.to_owned(),
        Names::Peers => METRICS[metric].peer_name(),
    }
}

impl Question {
    /// The label whose values are asked for, if that is the question.
    pub fn label(&self) -> Option<&'static str> {
        if let Kind::Values(label) = self.kind { Some(label) } else { None }
    }

    /// The PromQL text.
    pub fn promql(&self, names: Names) -> String {
        let metric = series(self.metric, names);
        match &self.kind {
            Kind::Rate => format!("sum by (service) (rate({metric}[5m]))"),
            Kind::RateOf(id) => format!("rate({metric}{{container_id=\"{id}\"}}[5m])"),
            Kind::TopMemory { span_s } => {
                format!("topk(10, avg_over_time({metric}[{span_s}s]))")
            }
            Kind::MaxMemory => format!("max by (node) (max_over_time({metric}[1h]))"),
            Kind::LastMemory => metric,
            Kind::LastAll => {
                let mut all: Vec<String> = (0..METRICS.len()).map(|at| series(at, names)).collect();
                all.dedup();
                format!("{{__name__=~\"{}\"}}", all.join("|"))
            }
            Kind::Values(label) => (*label).to_owned(),
            Kind::Percentile { days, .. } => format!(
                "quantile_over_time(0.95, sum by (service) (rate({metric}[1h]))[{days}d:1h])"
            ),
        }
    }

    /// The text for ClickHouse.
    pub fn clickhouse(&self) -> String {
        // Rates on a grid are a preview that has to be asked for.
        format!("{} SETTINGS enable_time_series_aggregate_functions = 1", self.clickhouse_text())
    }

    fn clickhouse_text(&self) -> String {
        let field = METRICS[self.metric].field;
        match &self.kind {
            Kind::Rate | Kind::RateOf(_) => {
                let (key, filter) = self.rate_filter();
                let (from_s, to_s, step_s) = self.steps();
                self.clickhouse_rate(key, &filter, [from_s, to_s, step_s, WINDOW_S])
            }
            Kind::Percentile { from_s, .. } => {
                let (_, to_s, _) = self.steps();
                let steps = [from_s + HOUR_S, to_s, HOUR_S, HOUR_S];
                let inner = self.clickhouse_rate("service", "", steps);
                format!(
                    "SELECT key, {to_s} AS t, quantileExactInclusive(0.95)(v) AS v \
                     FROM ({inner}) GROUP BY key"
                )
            }
            Kind::LastAll => {
                let last = |m: &super::metric::Metric| format!("argMax({0}, ts) AS {0}_", m.field);
                let columns: Vec<String> = METRICS.iter().map(last).collect();
                let since = self.since(|seconds| format!("toDateTime64({seconds}, 3, 'UTC')"));
                format!(
                    "SELECT container_id, {} FROM samples WHERE {since} GROUP BY container_id",
                    columns.join(", ")
                )
            }
            _ => self.common(
                "argMax",
                "toUnixTimestamp",
                |seconds| format!("toDateTime64({seconds}, 3, 'UTC')"),
                field,
            ),
        }
    }

    fn clickhouse_rate(&self, key: &str, filter: &str, steps: [i64; 4]) -> String {
        let field = METRICS[self.metric].field;
        let [from_s, to_s, step_s, window_s] = steps;
        let at = |seconds: i64| format!("toDateTime64({seconds}, 3, 'UTC')");
        let (from, to) = (at(from_s), at(to_s));
        format!(
            "SELECT key, {from_s} + {step_s} * (n - 1) AS t, assumeNotNull(r) AS v FROM (\
             SELECT key, sumForEach(grid) AS s FROM (\
             SELECT {key} AS key, container_id, \
             timeSeriesRateToGrid({from}, {to}, {step_s}, {window_s})(ts, toFloat64({field})) \
             AS grid FROM samples WHERE ts >= {since} AND ts <= {to}{filter} \
             GROUP BY key, container_id) GROUP BY key) \
             ARRAY JOIN s AS r, arrayEnumerate(s) AS n WHERE r IS NOT NULL",
            since = at(from_s - window_s),
        )
    }

    /// The text for DuckDB.
    pub fn duckdb(&self) -> String {
        let field = METRICS[self.metric].field;
        match &self.kind {
            Kind::Rate | Kind::RateOf(_) => {
                let (key, filter) = self.rate_filter();
                let (from_s, to_s, step_s) = self.steps();
                self.duckdb_rate(key, &filter, [from_s, to_s, step_s, WINDOW_S])
            }
            Kind::Percentile { from_s, .. } => {
                let (_, to_s, _) = self.steps();
                let steps = [from_s + HOUR_S, to_s, HOUR_S, HOUR_S];
                let inner = self.duckdb_rate("service", "", steps);
                format!(
                    "SELECT key, {to_s} AS t, quantile_cont(v, 0.95) AS v \
                     FROM ({inner}) GROUP BY key"
                )
            }
            Kind::LastAll => {
                let last = |m: &super::metric::Metric| format!("arg_max({}, ts)", m.field);
                let columns: Vec<String> = METRICS.iter().map(last).collect();
                let since = self.since(|seconds| format!("make_timestamp_ms({seconds}000)"));
                format!(
                    "SELECT container_id, {} FROM samples WHERE {since} GROUP BY container_id",
                    columns.join(", ")
                )
            }
            _ => self.common(
                "arg_max",
                "epoch",
                |seconds| format!("make_timestamp_ms({seconds}000)"),
                field,
            ),
        }
    }

    /// Growth per bucket, then a sliding sum of as many buckets as the window has.
    fn duckdb_rate(&self, key: &str, filter: &str, steps: [i64; 4]) -> String {
        let field = METRICS[self.metric].field;
        let [from_s, to_s, step_s, window_s] = steps;
        let bucket_s = gcd(step_s, window_s);
        let before = window_s / bucket_s - 1;
        // One scrape more than the window, for the growth up to its first sample.
        let since_ms = (from_s - window_s - 20) * 1_000;
        format!(
            "SELECT key, {from_s} + n * {bucket_s} AS t, v FROM (\
             SELECT key, n, sum(grew) OVER (PARTITION BY key ORDER BY n \
             RANGE BETWEEN {before} PRECEDING AND CURRENT ROW) / {window_s}.0 AS v FROM (\
             SELECT key, CAST(ceil((epoch_ms(ts) - {from_s}000) / {bucket_s}000.0) AS BIGINT) \
             AS n, sum(CASE WHEN grew < 0 THEN x ELSE grew END) AS grew FROM (\
             SELECT {key} AS key, ts, {field} AS x, {field} - lag({field}) OVER \
             (PARTITION BY container_id ORDER BY ts) AS grew FROM samples \
             WHERE ts > make_timestamp_ms({since_ms}) AND ts <= make_timestamp_ms({to_s}000)\
             {filter}) GROUP BY ALL)) WHERE n >= 0 AND n * {bucket_s} % {step_s} = 0"
        )
    }

    /// What both databases say in nearly the same words.
    fn common(
        &self,
        last: &str,
        seconds_of: &str,
        at: impl Fn(i64) -> String,
        field: &str,
    ) -> String {
        let (from_s, to_s, _) = self.steps();
        match &self.kind {
            Kind::TopMemory { span_s } => format!(
                "SELECT container_id AS key, {to_s} AS t, avg({field}) AS v FROM samples \
                 WHERE ts > {} AND ts <= {} GROUP BY container_id ORDER BY v DESC LIMIT 10",
                at(to_s - span_s),
                at(to_s)
            ),
            Kind::MaxMemory => {
                let start_s = from_s - HOUR_S;
                let hour = format!("ceil(({seconds_of}(ts) - {start_s}) / {HOUR_S}.0)");
                format!(
                    "SELECT node AS key, {start_s} + {HOUR_S} * CAST({hour} AS BIGINT) AS t, \
                     max({field}) AS v FROM samples WHERE ts > {} AND ts <= {} GROUP BY node, t",
                    at(start_s),
                    at(to_s)
                )
            }
            Kind::LastMemory => format!(
                "SELECT container_id AS key, {to_s} AS t, {last}({field}, ts) AS v FROM samples \
                 WHERE ts > {} AND ts <= {} GROUP BY container_id",
                at(to_s - LOOKBACK_S),
                at(to_s)
            ),
            Kind::Values(label) => format!("SELECT DISTINCT {label} AS key FROM samples"),
            _ => String::new(),
        }
    }

    fn since(&self, at: impl Fn(i64) -> String) -> String {
        let (_, to_s, _) = self.steps();
        format!("ts > {} AND ts <= {}", at(to_s - LOOKBACK_S), at(to_s))
    }

    fn rate_filter(&self) -> (&'static str, String) {
        match &self.kind {
            Kind::RateOf(id) => ("container_id", format!(" AND container_id = '{id}'")),
            _ => ("service", String::new()),
        }
    }

    fn steps(&self) -> (i64, i64, i64) {
        match self.shape {
            Shape::Instant { time_s } => (time_s, time_s, 1),
            Shape::Range { from_s, to_s, step_s } => (from_s, to_s, step_s),
            Shape::LabelValues { from_s, to_s } => (from_s, to_s, 1),
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
