//! The machine's own numbers, from `/proc`, `/sys` and its file systems.
//!
//! Every file is below one root folder, so that a collector in a container reads the machine
//! through a mount such as `/host`. Holds NULL: a file that is missing leaves its columns null.
//! Not here: containers (`cgroup`), what the engine says of the machine (`engine`).

mod cpu;
mod disk;
mod filesystem;
mod memory;
pub(crate) mod network;

use std::path::{Path, PathBuf};

use plimsoll_model::batch::RowError;
use plimsoll_model::{BatchBuilder, Subject};

pub(crate) use cpu::Topology;
pub(crate) use disk::DeviceNames;

use crate::cgroup::MountInfo;
use crate::fields;
use crate::folder::{Buffer, Folder};

/// Reads one machine.
#[derive(Debug)]
pub(crate) struct NodeReader {
    root: PathBuf,
    proc: Folder,
    topology: Topology,
    mounts: Vec<MountInfo>,
}

/// Builders of the tables a machine has rows in.
pub(crate) struct NodeBuilders<'a> {
    pub(crate) node: &'a mut BatchBuilder,
    pub(crate) cpu: &'a mut BatchBuilder,
    pub(crate) disk: &'a mut BatchBuilder,
    pub(crate) filesystem: &'a mut BatchBuilder,
    pub(crate) network: &'a mut BatchBuilder,
}

impl NodeReader {
    /// Opens the machine at `root`; `None` when it has no `proc` there.
    pub(crate) fn open(root: &Path) -> Option<Self> {
        let proc = Folder::open(&root.join("proc"))?;
        let mut buffer = Buffer::default();
        let topology = proc.read("cpuinfo", &mut buffer).map(Topology::parse).unwrap_or_default();
        Some(Self { root: root.to_owned(), proc, topology, mounts: Vec::new() })
    }

    /// Bytes of memory and release of the kernel: with them a machine is told from another.
    pub(crate) fn fingerprint(&self) -> (Option<u64>, Option<String>) {
        let mut buffer = Buffer::default();
        let memory = self.proc.read("meminfo", &mut buffer).and_then(memory::total_bytes);
        let release = self.proc.read("sys/kernel/osrelease", &mut buffer);
        let release = release.map(|text| String::from_utf8_lossy(text).trim().to_owned());
        (memory, release)
    }

    /// Writes the rows of one moment. The row of `node` must have been started already.
    pub(crate) fn write(
        &mut self,
        time_ms: i64,
        subject: &Subject,
        rows: &mut NodeBuilders<'_>,
        buffer: &mut Buffer,
    ) -> Result<(), RowError> {
        self.topology.write(rows.node)?;
        if let Some(text) = self.proc.read("stat", buffer) {
            cpu::write(text, time_ms, subject, rows)?;
        }
        if let Some(text) = self.proc.read("meminfo", buffer) {
            memory::write_meminfo(text, rows.node)?;
        }
        if let Some(text) = self.proc.read("vmstat", buffer) {
            memory::write_vmstat(text, rows.node)?;
        }
        self.write_small_files(rows.node, buffer)?;
        if let Some(text) = self.proc.read("diskstats", buffer) {
            disk::write(text, &self.root, time_ms, subject, rows.disk)?;
        }
        let net = ["1/net/dev", "net/dev"].iter().find_map(|file| {
            self.proc.read(file, buffer).filter(|text| !text.is_empty()).map(<[u8]>::to_vec)
        });
        if let Some(text) = net {
            network::write(&text, &self.root, time_ms, subject, rows.network)?;
        }
        self.mounts = crate::cgroup::mounts(&self.root);
        filesystem::write(&self.mounts, &self.root, time_ms, subject, rows.filesystem)
    }

    fn write_small_files(
        &self,
        node: &mut BatchBuilder,
        buffer: &mut Buffer,
    ) -> Result<(), RowError> {
        if let Some(text) = self.proc.read("loadavg", buffer) {
            let mut loads = fields::words(text).map(float);
            for column in ["load1", "load5", "load15"] {
                node.float(column, loads.next().flatten())?;
            }
        }
        if let Some(text) = self.proc.read("uptime", buffer) {
            let whole = text.split(|byte| *byte == b'.').next().and_then(fields::number);
            node.unsigned("uptime_s", whole)?;
        }
        if let Some(text) = self.proc.read("sys/fs/file-nr", buffer) {
            let mut words = fields::words(text);
            node.unsigned("files_open", words.next().and_then(fields::number))?;
            node.unsigned("files_open_max", words.nth(1).and_then(fields::number))?;
        }
        let files = [
            ("pressure/cpu", "cpu_pressure_some_us", "cpu_pressure_full_us"),
            ("pressure/memory", "memory_pressure_some_us", "memory_pressure_full_us"),
            ("pressure/io", "io_pressure_some_us", "io_pressure_full_us"),
        ];
        for (file, some_column, full_column) in files {
            if let Some(text) = self.proc.read(file, buffer) {
                let (some, full) = fields::pressure(text);
                node.unsigned(some_column, some)?;
                node.unsigned(full_column, full)?;
            }
        }
        Ok(())
    }

    /// The names of the machine's block devices.
    pub(crate) fn device_names(&self, buffer: &mut Buffer) -> DeviceNames {
        self.proc.read("diskstats", buffer).map(DeviceNames::parse).unwrap_or_default()
    }
}

/// What the collector itself uses: CPU microseconds and resident bytes.
pub(crate) fn own_usage() -> (Option<u64>, Option<u64>) {
    let mut buffer = Buffer::default();
    let Some(own) = Folder::open(Path::new("/proc/self")) else { return (None, None) };
    let cpu = own.read("stat", &mut buffer).and_then(|text| {
        // The name in parentheses may hold spaces; fields are counted behind it.
        let at = text.iter().rposition(|byte| *byte == b')')?;
        let mut words = fields::words(text.get(at + 1..)?).skip(11).map(fields::number);
        Some((words.next()?? + words.next()??) * cpu::TICK_US)
    });
    let memory = own.read("statm", &mut buffer).and_then(|text| {
        let pages = fields::words(text).nth(1).and_then(fields::number)?;
        pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
    });
    (cpu, memory)
}

fn float(word: &[u8]) -> Option<f64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
