//! One whole run: prepare, feed everybody in turn, ask everybody in turn, measure the limits of
//! the machine, judge.
//!
//! Keeps true: what one system cannot do does not end the run; it is missing in the report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_model::{Clock, SystemClock};
use serde::Serialize;

use super::answer::Answer;
use super::budget::{self, Measures, Verdict};
use super::dataset::{self, Dataset, Size};
use super::get::{self, Tools};
use super::http::Refusal;
use super::question::{self, Question};
use super::system::{Fed, Kind, System};
use super::{physical, recorded};
use crate::scenario;

/// What a run is asked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the report is called.
    pub title: String,
    /// The fleet everybody is fed.
    pub main: Size,
    /// The fleet with few containers and a long history.
    pub long: Size,
    /// Who takes part.
    pub systems: Vec<Kind>,
    /// How often each question is asked.
    pub rounds: usize,
}

impl Plan {
    /// Fits 20 minutes on 2 cores: 17 million samples, and 10 million over 30 days.
    pub fn quick() -> Self {
        Self::of("quick", 1, 4)
    }

    /// d6: 104 million samples, and 26 million over 30 days.
    pub fn whole() -> Self {
        Self::of("d6", 6, 10)
    }

    fn of(name: &str, hours: u32, long_nodes: u32) -> Self {
        let main = Size {
            name: format!("peers-{name}"),
            nodes: 100,
            containers_per_node: 20,
            hours,
            metrics: super::metric::METRICS.len(),
            scrapes_per_request: 1,
            ends_at_midnight: false,
        };
        let long = Size {
            name: format!("peers-{name}-long"),
            nodes: long_nodes,
            containers_per_node: 10,
            hours: 30 * 24,
            metrics: 1,
            scrapes_per_request: 60,
            ends_at_midnight: true,
        };
        let title = format!("Plimsoll beside others, {name}");
        Self { title, main, long, systems: Kind::ALL.to_vec(), rounds: 7 }
    }
}

/// What became of one question to one system.
#[derive(Debug, Clone, Serialize)]
pub enum Outcome {
    /// It has no such endpoint.
    Missing,
    /// It failed, and said this.
    Failed(String),
    /// It answered.
    Answered {
        /// Median CPU milliseconds of the system.
        cpu_ms: f64,
        /// Median milliseconds to the last byte.
        wall_ms: f64,
        /// Values in the answer.
        values: usize,
        /// How the answer differs from the reference, if it does.
        difference: Option<String>,
    },
}

/// One question and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// Its id.
    pub id: &'static str,
    /// What it stands for.
    pub text: &'static str,
    /// By system.
    pub outcomes: BTreeMap<Kind, Outcome>,
}

/// Everything a run found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was run.
    pub title: String,
    /// Versions of all programs.
    pub versions: Vec<(&'static str, String)>,
    /// How often each question was asked.
    pub rounds: usize,
    /// All numbers, by `<system>.<what>`.
    pub measures: Measures,
    /// Systems that did not take part or fell out, and why.
    pub problems: Vec<(Kind, String)>,
    /// All questions.
    pub questions: Vec<Asked>,
    /// All promises.
    pub verdicts: Vec<Verdict>,
}

type Running = BTreeMap<Kind, Box<dyn System>>;

/// Does a whole run; `target` is the build folder.
///
/// # Errors
///
/// When the data or the promises cannot be made or read.
pub fn run(plan: &Plan, target: &Path) -> Result<Report, String> {
    let budgets = budget::read(&scenario::folder().join("budgets.toml"))?;
    tell("getting the programs");
    let tools = get::tools(target);
    let data = target.join("bench-data");
    let now_ms = SystemClock::new().now_ms();
    tell("making the data");
    let main = dataset::prepare(&plan.main, &data, now_ms)?;
    let long = dataset::prepare(&plan.long, &data, now_ms)?;
    let work = tempfile::tempdir_in(&data).map_err(|error| error.to_string())?;
    let mut report = Report {
        title: plan.title.clone(),
        versions: get::versions(&tools),
        rounds: plan.rounds,
        measures: Measures::new(),
        problems: Vec::new(),
        questions: Vec::new(),
        verdicts: Vec::new(),
    };
    let stage = Stage { plan, tools: &tools, work: work.path(), now_ms };
    stage.short_history(&main, &mut report);
    stage.long_history(&long, &mut report);
    if plan.systems.contains(&Kind::Plimsoll)
        && let Err(error) = recorded::measure(&tools, work.path(), now_ms, &mut report.measures)
    {
        report.problems.push((Kind::Plimsoll, format!("recorded fleet: {error}")));
    }
    report.verdicts = budgets.iter().map(|one| budget::judge(one, &report.measures)).collect();
    Ok(report)
}

/// Says on standard error what is going on.
pub(super) fn tell(text: &str) {
    eprintln!("peers: {text}");
}

struct Stage<'a> {
    plan: &'a Plan,
    tools: &'a Tools,
    work: &'a Path,
    now_ms: i64,
}

impl Stage<'_> {
    /// Ingest, size, memory, Q1 to Q6, and the limits of the machine.
    fn short_history(&self, data: &Dataset, report: &mut Report) {
        let mut running = self.feed_in_turn(data, report);
        if let Some(system) = running.get_mut(&Kind::ClickHouse) {
            tell("trying codecs of clickhouse");
            match system.other_codecs(data) {
                Ok(sizes) => smallest(&sizes, data.samples, &mut report.measures),
                Err(error) => report.problems.push((Kind::ClickHouse, error)),
            }
        }
        self.ask_in_turn(&question::short(data), &mut running, report);
        let mut folders = end(running, report);
        tell("measuring the limits of the machine");
        let folder = folders.remove(&Kind::Plimsoll);
        let limits = physical::measure(
            data,
            folder.as_deref(),
            self.work,
            self.now_ms,
            self.plan.rounds,
            &mut report.measures,
        );
        if let Err(error) = limits {
            report.problems.push((Kind::Plimsoll, format!("limits: {error}")));
        }
    }

    /// Q7 and Q8.
    fn long_history(&self, data: &Dataset, report: &mut Report) {
        let mut running = Running::new();
        for kind in self.plan.systems.iter().copied().filter(|kind| kind.answers()) {
            tell(&format!("feeding 30 days to {}", kind.name()));
            let folder = self.work.join(format!("long-{}", kind.name()));
            let fed = kind
                .start(self.tools, &folder)
                .and_then(|mut system| system.feed(data).map(|_| system));
            match fed {
                Ok(system) => drop(running.insert(kind, system)),
                Err(error) => report.problems.push((kind, format!("30 days: {error}"))),
            }
        }
        self.ask_in_turn(&question::long(data), &mut running, report);
        end(running, report);
    }

    /// Feeds all systems, round by round; the last instance of each is kept running.
    fn feed_in_turn(&self, data: &Dataset, report: &mut Report) -> Running {
        let mut running = Running::new();
        let mut costs: BTreeMap<Kind, Vec<Fed>> = BTreeMap::new();
        let rounds = self.plan.systems.iter().map(|kind| kind.rounds()).max().unwrap_or(0);
        for round in 0..rounds {
            for kind in self.plan.systems.iter().copied().filter(|kind| round < kind.rounds()) {
                tell(&format!("feeding {}, round {}", kind.name(), round + 1));
                let folder = self.work.join(format!("{}-{round}", kind.name()));
                let fed = kind
                    .start(self.tools, &folder)
                    .and_then(|mut system| system.feed(data).map(|fed| (system, fed)));
                let (mut system, fed) = match fed {
                    Ok(fed) => fed,
                    Err(error) => {
                        report.problems.push((kind, error));
                        continue;
                    }
                };
                if let Some(caveat) = fed.caveat.filter(|_| round == 0) {
                    report.problems.push((kind, caveat.to_owned()));
                }
                costs.entry(kind).or_default().push(fed);
                if round + 1 == kind.rounds() && kind.answers() {
                    running.insert(kind, system);
                } else {
                    if let Err(error) = system.end() {
                        report.problems.push((kind, error));
                    }
                    // A leftover goes with the folder around it.
                    let _ = std::fs::remove_dir_all(&folder);
                }
            }
        }
        for (kind, fed) in costs {
            note_costs(kind, &fed, data.samples, &mut report.measures);
        }
        running
    }

    fn ask_in_turn(&self, questions: &[Question], running: &mut Running, report: &mut Report) {
        for question in questions {
            tell(&format!("asking {}", question.id));
            let (answers, times) = self.ask(question, running);
            let reference = answers.get(&Kind::Prometheus).or_else(|| {
                answers.iter().find(|(kind, _)| **kind != Kind::Plimsoll).map(|(_, answer)| answer)
            });
            let mut outcomes = BTreeMap::new();
            for (kind, times) in times {
                let outcome = match times {
                    Err(Refusal::Missing) => Outcome::Missing,
                    Err(Refusal::Failed(error)) => Outcome::Failed(error),
                    Ok((cpu_ms, wall_ms)) => {
                        let answer = answers.get(&kind);
                        let difference =
                            answer.zip(reference).and_then(|(mine, other)| mine.difference(other));
                        let values = answer.map_or(0, Answer::values);
                        // An answer without values is none.
                        if values > 0 {
                            let name = |what| format!("{}.{what}.{}", kind.name(), question.id);
                            report.measures.insert(name("query_cpu_ms"), cpu_ms);
                            report.measures.insert(name("query_ms"), wall_ms);
                            Outcome::Answered { cpu_ms, wall_ms, values, difference }
                        } else {
                            Outcome::Failed("the answer is empty".to_owned())
                        }
                    }
                };
                outcomes.insert(kind, outcome);
            }
            report.questions.push(Asked { id: question.id, text: question.text, outcomes });
        }
    }

    /// Asks everybody once for the answer, then in turn for the time; gives medians of CPU and
    /// wall clock.
    #[expect(clippy::type_complexity, reason = "used once, right above")]
    fn ask(
        &self,
        question: &Question,
        running: &mut Running,
    ) -> (BTreeMap<Kind, Answer>, BTreeMap<Kind, Result<(f64, f64), Refusal>>) {
        let mut answers = BTreeMap::new();
        let mut refusals = BTreeMap::new();
        let mut times: BTreeMap<Kind, Vec<(f64, f64)>> = BTreeMap::new();
        for round in 0..=self.plan.rounds {
            for (kind, system) in &mut *running {
                if refusals.contains_key(kind) {
                    continue;
                }
                match system.ask(question, round == 0) {
                    Err(refusal) => drop(refusals.insert(*kind, refusal)),
                    Ok(asked) if round == 0 => {
                        answers.extend(asked.answer.map(|answer| (*kind, answer)));
                    }
                    Ok(asked) => {
                        times.entry(*kind).or_default().push((asked.cpu_ms, asked.wall_ms));
                    }
                }
            }
        }
        let mut outcomes: BTreeMap<Kind, Result<(f64, f64), Refusal>> = BTreeMap::new();
        for (kind, times) in times {
            let cpu_ms = median(times.iter().map(|(cpu_ms, _)| *cpu_ms));
            let wall_ms = median(times.iter().map(|(_, wall_ms)| *wall_ms));
            outcomes.insert(kind, Ok((cpu_ms, wall_ms)));
        }
        outcomes.extend(refusals.into_iter().map(|(kind, refusal)| (kind, Err(refusal))));
        (answers, outcomes)
    }
}

/// Ends all of them; removes what they kept, but for Plimsoll.
fn end(running: Running, report: &mut Report) -> BTreeMap<Kind, PathBuf> {
    let mut folders = BTreeMap::new();
    for (kind, mut system) in running {
        match system.end() {
            Ok(folder) if kind == Kind::Plimsoll => drop(folders.insert(kind, folder)),
            // A leftover goes with the folder around it.
            Ok(folder) => drop(std::fs::remove_dir_all(folder)),
            Err(error) => report.problems.push((kind, error)),
        }
    }
    folders
}

fn note_costs(kind: Kind, fed: &[Fed], samples: u64, measures: &mut Measures) {
    let samples = samples as f64;
    let middle = |of: fn(&Fed) -> f64| median(fed.iter().map(of));
    let accepted_s = middle(|fed| fed.accepted_cpu_s);
    let merged_s = middle(|fed| fed.merged_cpu_s);
    let mut note = |what: &str, value: f64| {
        measures.insert(format!("{}.{what}", kind.name()), value);
    };
    note("accepted_per_cpu_s", samples / accepted_s.max(1e-3));
    note("merged_per_cpu_s", samples / merged_s.max(1e-3));
    note("merged_cpu_s", merged_s);
    note("bytes_per_sample", middle(|fed| fed.bytes as f64) / samples);
    note("peak_memory_bytes", middle(|fed| fed.peak_memory_bytes as f64));
}

/// The size of the database is that with its best codec.
fn smallest(sizes: &[(String, u64)], samples: u64, measures: &mut Measures) {
    let name = format!("{}.bytes_per_sample", Kind::ClickHouse.name());
    for (codec, bytes) in sizes {
        let per_sample = *bytes as f64 / samples as f64;
        measures.insert(format!("clickhouse.codec {codec} bytes_per_sample"), per_sample);
        measures.entry(name.clone()).and_modify(|best| *best = best.min(per_sample));
    }
}

/// The middle one; 0 of none.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}
