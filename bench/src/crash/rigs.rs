//! The rigs: kill a writer, cut the power of its disk, fill its disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::crash::power::{Rig, SmallDisk};
use crate::crash::process::{Orders, Writer};
use crate::crash::{Tally, judge};

/// Cycles after which a directory is emptied: reading all of it must stay cheap.
const CYCLES_PER_DIRECTORY: u64 = 25;
/// Frames that are sent again after a restart.
const FRAMES_AGAIN: usize = 20;

/// How a rig runs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Kills or power cuts.
    pub cycles: u64,
    /// Draws their moments.
    pub seed: u64,
    /// Bugs planted in the writer.
    pub sabotage: String,
    /// Whether missing Debian packages are installed.
    pub install: bool,
}

/// Pseudo-random numbers that are the same for the same seed (xorshift64*).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn between_ms(&mut self, low: u64, high: u64) -> Duration {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        Duration::from_millis(low + number % (high - low))
    }
}

/// Kills a writer again and again (R1); every restart goes on with what the one before left.
///
/// # Errors
///
/// A sentence that says what could not be started or read.
pub fn kills(plan: &Plan) -> Result<Tally, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let data = folder.path().join("data");
    let mut dice = Dice(plan.seed.max(1));
    let (mut tally, mut times) = (Tally::default(), Vec::new());
    let (mut acked, mut acked_before) = (BTreeSet::new(), 0);
    let mut orders = Orders { sabotage: plan.sabotage.clone(), ..Orders::default() };
    for cycle in 0..plan.cycles {
        if cycle % CYCLES_PER_DIRECTORY == 0 {
            let _ = std::fs::remove_dir_all(&data);
            acked_before += acked.len() as u64;
            acked.clear();
            (orders.first, orders.again) = (0, Vec::new());
        }
        let started = Instant::now();
        let writer = Writer::start(&data, &orders)?;
        times.push(started.elapsed());
        std::thread::sleep(dice.between_ms(5, 500));
        let heard = writer.kill()?;
        tally.duplicated += heard.twice;
        acked.extend(heard.acked);
        // Every second time the next writer has to replay by itself.
        let found = judge::read(&data, cycle % 2 == 0)?;
        judge::compare(&found, &acked, &mut tally);
        orders.first = found.next();
        orders.again = found.frames.iter().rev().take(FRAMES_AGAIN).copied().collect();
        tally.cycles += 1;
        tally.restarts += 2;
        tally.acked = acked_before + acked.len() as u64;
        if !tally.is_clean() {
            break;
        }
    }
    println!("restart_ms p50={} p99={}", percentile(&mut times, 50), percentile(&mut times, 99));
    Ok(tally)
}

fn percentile(times: &mut [Duration], percent: usize) -> u128 {
    times.sort();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).map_or(0, Duration::as_millis)
}

/// Cuts the power of a disk with `file_system` again and again while a writer writes (R2).
///
/// # Errors
///
/// A sentence that says what could not be mounted, started or read.
pub fn power_cuts(plan: &Plan, file_system: &str) -> Result<Tally, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut rig = Rig::build(folder.path(), file_system, plan.install)?;
    let mut dice = Dice(plan.seed.max(1));
    let mut tally = Tally::default();
    let data = rig.data();
    let orders = Orders { sabotage: plan.sabotage.clone(), ..Orders::default() };
    let mut writer = Writer::start(&data, &orders)?;
    let mut acked_before = 0;
    for cycle in 0..plan.cycles {
        std::thread::sleep(dice.between_ms(5, 250));
        if !writer.is_alive() {
            return Err("the writer ended by itself".to_owned());
        }
        let acked = writer.heard().acked;
        let found = rig.cut(|folder| judge::read(folder, true))?;
        judge::compare(&found, &acked, &mut tally);
        tally.cycles += 1;
        tally.restarts += 1;
        tally.acked = acked_before + acked.len() as u64;
        if !tally.is_clean() {
            break;
        }
        if (cycle + 1) % CYCLES_PER_DIRECTORY == 0 {
            acked_before += writer.kill()?.acked.len() as u64;
            std::fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
            writer = Writer::start(&data, &orders)?;
        }
    }
    Ok(tally)
}

/// Fills a small disk while a writer writes, frees it, and kills the writer (R10).
///
/// Each cycle: frames are acknowledged; the disk is filled to the last byte and none is any more,
/// but the writer lives; space is freed and frames are acknowledged again without a restart; kill.
///
/// # Errors
///
/// A sentence that says which of this did not happen in time.
pub fn disk_full(plan: &Plan) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for cycle in 0..plan.cycles {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let disk = SmallDisk::build(folder.path())?;
        let data = disk.folder().join("data");
        // Every second time the store stops early, before writes fail.
        let disk_free_bytes_min = if cycle % 2 == 0 { 0 } else { 8 << 20 };
        let sabotage = plan.sabotage.clone();
        let orders = Orders { disk_free_bytes_min, sabotage, ..Orders::default() };
        let mut writer = Writer::start(&data, &orders)?;
        until(&mut writer, "frames before", |writer| writer.acked() > 200)?;
        disk.fill()?;
        until(&mut writer, "refusals while full", |writer| writer.heard().refusals > 20)?;
        if cycle % 4 >= 2 {
            // Killed while full, and restarted while full.
            tally.acked += finish(writer, &data, &mut tally)?;
            tally.cycles += 1;
            continue;
        }
        let acked = writer.acked();
        disk.free()?;
        until(&mut writer, "frames after", |writer| writer.acked() > acked + 200)?;
        tally.acked += finish(writer, &data, &mut tally)?;
        tally.cycles += 1;
    }
    Ok(tally)
}

fn finish(writer: Writer, data: &Path, tally: &mut Tally) -> Result<u64, String> {
    let acked = writer.kill()?.acked;
    let found = judge::read(data, false)?;
    judge::compare(&found, &acked, tally);
    tally.restarts += 1;
    Ok(acked.len() as u64)
}

// Waits for a state of the writer; 20 seconds at most.
fn until(
    writer: &mut Writer,
    what: &str,
    mut is_so: impl FnMut(&Writer) -> bool,
) -> Result<(), String> {
    let started = Instant::now();
    while !is_so(writer) {
        if !writer.is_alive() {
            return Err(format!("the writer ended while waiting for {what}"));
        }
        if started.elapsed() > Duration::from_secs(20) {
            return Err(format!("no {what} within 20 seconds"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
