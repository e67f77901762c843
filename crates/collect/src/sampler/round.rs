//! One round over all containers: files at once, the engine with bounded concurrency, then the
//! batches.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt;
use plimsoll_model::chain;
use tokio::time::Instant;

use super::{Answer, ROUND_WAIT_MAX, Sampler};
use crate::collector::{CollectStatus, SourceChoice};
use crate::engine::EngineError;
use crate::engine::event::EngineEvent;
use crate::folder::Buffer;
use crate::reader::{Job, Outcome};
use crate::rows::Rows;

/// How often the state of a container that does not run is repeated, in milliseconds.
const STATE_EVERY_MS: i64 = 300_000;

impl Sampler {
    /// Samples everything once. False when nobody takes batches any more.
    pub(super) async fn round(&mut self) -> bool {
        let started = self.clock.monotonic();
        if !self.rows.is_empty() && !self.flush().await {
            return false;
        }
        self.round_samples = 0;
        self.round_containers = 0;
        let alive = self.known.values().filter(|known| known.facts.is_alive());
        let (files, ask): (Vec<_>, Vec<_>) = alive.partition(|known| self.reads_files(known));
        let jobs: Vec<Job> = files.iter().map(|known| known.job()).collect();
        let ask: Vec<Arc<str>> = ask.iter().map(|known| known.facts.id.clone()).collect();
        let from_files = jobs.len();
        self.fresh.clear();
        self.read_files(jobs, true).await;
        for id in &ask {
            self.ask(id);
        }
        let from_engine = self.answers.len();
        self.set_source(if from_engine > from_files { "engine" } else { "cgroup" });
        self.other_rows();
        self.record_deaths(false);
        self.remember(false).await;
        self.round_took = self.clock.monotonic().saturating_sub(started);
        self.finish_node_row();
        self.round_open = !self.answers.is_empty();
        if self.round_open {
            let wait = (self.options.interval / 2).min(ROUND_WAIT_MAX);
            self.flush_at = Some(Instant::now() + wait);
            return true;
        }
        self.flush().await
    }

    /// Reads the containers that just started or are about to end.
    pub(super) async fn read_fresh(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        let mut jobs: Vec<Job> = Vec::new();
        for id in fresh {
            let Some(known) = self.known.get(&id) else { continue };
            if !known.facts.is_alive() || jobs.iter().any(|job| job.id == id) {
                continue;
            }
            if self.reads_files(known) {
                jobs.push(known.job());
            } else {
                self.ask(&id);
            }
        }
        if !jobs.is_empty() {
            self.read_files(jobs, false).await;
        }
    }

    /// Reads files of containers, and of the machine if `with_node`, off the async threads.
    async fn read_files(&mut self, jobs: Vec<Job>, with_node: bool) {
        let (machine, clock, tables) = (self.machine.clone(), self.clock.clone(), self.tables);
        let node = with_node.then(|| self.node_reader.take()).flatten();
        let subject = self.node.clone();
        let work = move || {
            let outcomes = machine.read(jobs, &*clock);
            let node = node.map(|mut reader| {
                let mut rows = Rows::new(tables);
                let mut buffer = Buffer::default();
                let time_ms = clock.now_ms();
                rows.node.row(time_ms, &subject, &[]);
                let result =
                    reader.write(time_ms, &subject, &mut rows.node_builders(), &mut buffer);
                let devices = reader.device_names(&mut buffer);
                (reader, rows, result, devices)
            });
            (outcomes, node)
        };
        let Ok((outcomes, node)) = tokio::task::spawn_blocking(work).await else {
            self.totals.errors += 1;
            return;
        };
        if let Some((reader, rows, result, devices)) = node {
            self.node_reader = Some(reader);
            self.rows.take_node(rows);
            self.devices = Arc::new(devices);
            self.check(result);
        }
        for outcome in outcomes {
            self.outcome(outcome);
        }
    }

    fn outcome(&mut self, outcome: Outcome) {
        let now_ms = self.clock.now_ms();
        let Some(known) = self.known.get_mut(&outcome.id) else { return };
        let Some((reader, mut sample)) = outcome.read else {
            known.files_missing();
            if self.options.source == SourceChoice::Auto {
                self.ask(&outcome.id);
            }
            return;
        };
        known.reader = Some(reader);
        self.round_containers += 1;
        known.complete(&mut sample, self.facts.memory_total_bytes);
        let result = self.rows.sample(known, &sample, now_ms, &self.devices);
        self.check(result);
    }

    /// Asks the engine for the numbers of one container, unless it is being asked or hangs.
    fn ask(&mut self, id: &Arc<str>) {
        let Some(engine) = self.engine.clone().filter(|_| self.engine_up) else { return };
        if !self.breaker.ask(id, self.clock.monotonic()) {
            return;
        }
        let (permits, id) = (self.permits.clone(), id.clone());
        let windows = self.facts.windows;
        self.round_containers += 1;
        let question = async move {
            // The semaphore is never closed; without a permit the answer is merely unbounded.
            let permit = permits.acquire_owned().await.ok();
            let answer = engine.stats(&id, windows).await;
            drop(permit);
            (id, answer)
        };
        self.answers.push(question.boxed());
    }

    /// Takes an answer of the engine. False when nobody takes batches any more.
    pub(super) async fn answer(&mut self, (id, answer): Answer) -> bool {
        match answer {
            Ok(sample) => {
                self.breaker.answered(&id);
                let now_ms = self.clock.now_ms();
                let known = self.known.get_mut(&id);
                if let Some((known, mut sample)) = known.zip(sample)
                    && sample.time_ms > known.last_sample_ms
                {
                    known.complete(&mut sample, self.facts.memory_total_bytes);
                    let result = self.rows.sample(known, &sample, now_ms, &self.devices);
                    self.check(result);
                }
            }
            Err(error) => {
                match error {
                    EngineError::TimedOut { .. } => {
                        self.breaker.timed_out(&id, self.clock.monotonic());
                    }
                    _ => self.breaker.answered(&id),
                }
                if !matches!(error, EngineError::Gone { .. }) {
                    self.totals.errors += 1;
                    tracing::debug!(container_id = %id, error = %chain(&error), "stats failed");
                }
            }
        }
        if self.round_open && self.answers.is_empty() { self.flush().await } else { true }
    }

    /// States that are due again, hourly infos, kills the engine did not tell of.
    fn other_rows(&mut self) {
        let now_ms = self.clock.now_ms();
        let ids: Vec<Arc<str>> = self.known.keys().cloned().collect();
        for id in ids {
            let Some(known) = self.known.get_mut(&id) else { continue };
            let due = now_ms.saturating_sub(known.state_row_at_ms) >= STATE_EVERY_MS;
            let state_is_due = due && !known.facts.is_alive() && self.engine_up;
            if known.oom_was_not_told(now_ms) {
                let time_ms = known.facts.finished_at_ms.unwrap_or(now_ms);
                let mut event =
                    EngineEvent::inferred(time_ms, "container", "oom", None, BTreeMap::new());
                event.actor_id = id.clone();
                event.actor_name = Some(known.facts.name.clone());
                let result = self.rows.event(&event, &known.subject.clone());
                self.check(result);
            }
            if state_is_due {
                self.state_row(&id, now_ms);
            }
            self.info_row(&id, now_ms);
        }
    }

    /// Completes the row of `node` with what does not stand in the machine's files.
    fn finish_node_row(&mut self) {
        let result = self.try_finish_node_row();
        self.check(result);
    }

    fn try_finish_node_row(&mut self) -> Result<(), plimsoll_model::batch::RowError> {
        let facts = self.facts.clone();
        if self.rows.node.num_rows() == 0 {
            // The engine is on another machine: it alone can say what that machine has.
            self.rows.node.row(self.clock.now_ms(), &self.node, &[]);
            self.rows.node.unsigned("cpu_cores", facts.cpu_cores)?;
            self.rows.node.unsigned("memory_total_bytes", facts.memory_total_bytes)?;
        }
        self.rows.engine(&facts)?;
        let counts = self.counts;
        let told = |count: u64| Some(count).filter(|_| self.engine_up && self.settled);
        let (own_cpu_us, own_memory_bytes) = crate::proc::own_usage();
        let offset_ms = self.options.gauges.time_offset_ms.load(Ordering::Relaxed);
        let queue_bytes = self.options.gauges.queue_bytes.load(Ordering::Relaxed);
        let shipped_dropped = self.options.gauges.rows_dropped.load(Ordering::Relaxed);
        let dropped = self.totals.rows_dropped.saturating_add(shipped_dropped);
        let running = told(counts.running);
        let (paused, stopped) = (told(counts.paused), told(counts.stopped));
        let row = &mut self.rows.node;
        row.int("engine_up", Some(i64::from(self.engine_up)))?;
        row.unsigned("containers_running", running)?;
        row.unsigned("containers_paused", paused)?;
        row.unsigned("containers_stopped", stopped)?;
        row.int("collect_took_ms", i64::try_from(self.round_took.as_millis()).ok())?;
        row.text("collect_source", Some(self.source))?;
        row.unsigned("containers_collected", Some(self.round_containers))?;
        row.int("collect_failed", Some(i64::from(!self.engine_up && self.source == "engine")))?;
        row.unsigned("collect_errors", Some(self.totals.errors))?;
        row.unsigned("samples_dropped", Some(dropped))?;
        row.unsigned("queue_bytes", Some(queue_bytes))?;
        row.int("time_offset_ms", Some(offset_ms).filter(|offset| *offset != i64::MIN))?;
        row.unsigned("collector_cpu_us", own_cpu_us)?;
        row.unsigned("collector_memory_bytes", own_memory_bytes)?;
        row.int("collector_started_at_ms", Some(self.started_at_ms))
    }

    fn set_source(&mut self, source: &'static str) {
        let before = std::mem::replace(&mut self.source, source);
        if before != source && !before.is_empty() {
            self.note("collector", "source", Some(source.to_owned()), BTreeMap::new());
        }
    }

    /// Sends all rows that wait. False when nobody takes batches any more.
    pub(super) async fn flush(&mut self) -> bool {
        self.flush_at = None;
        self.round_open = false;
        let batches = match self.rows.take() {
            Ok(batches) => batches,
            Err(error) => {
                self.check(Err(error));
                Vec::new()
            }
        };
        let mut alive = true;
        for batch in batches {
            let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
            let samples = u64::try_from(batch.samples()).unwrap_or(u64::MAX);
            let limit = self.options.interval;
            match tokio::time::timeout(limit, self.out.send(batch)).await {
                Ok(Ok(())) => {
                    self.totals.samples = self.totals.samples.saturating_add(samples);
                    self.round_samples = self.round_samples.saturating_add(samples);
                }
                Ok(Err(_)) => alive = false,
                Err(_) => {
                    self.totals.rows_dropped = self.totals.rows_dropped.saturating_add(rows);
                    tracing::error!(rows, reason = "receiver is full", "rows dropped");
                }
            }
        }
        self.publish();
        alive
    }

    fn publish(&self) {
        let alive = self.known.values().filter(|known| known.facts.is_alive()).count();
        #[expect(clippy::cast_precision_loss, reason = "far fewer samples than 2^52")]
        let per_second = self.round_samples as f64 / self.options.interval.as_secs_f64().max(0.001);
        let status = CollectStatus {
            node: self.node.node.to_string(),
            engine_up: self.engine_up,
            engine_name: self.facts.engine_name.clone().unwrap_or_default(),
            engine_version: self.facts.engine_version.clone().unwrap_or_default(),
            source: self.source.to_owned(),
            containers: alive,
            containers_known: self.known.len(),
            containers_left_out: self.counts.left_out,
            samples_per_second: per_second,
            samples_total: self.totals.samples,
            rows_dropped: self.totals.rows_dropped,
            errors: self.totals.errors,
            round_took_ms: u64::try_from(self.round_took.as_millis()).unwrap_or(u64::MAX),
        };
        self.status.send_replace(status);
    }
}
