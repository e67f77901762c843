//! Reads the files of containers and of the machine; everything here may block.
//!
//! A network namespace that containers share is read once a round, for its owner, and the
//! machine's own never. Not here: when to read, and what becomes of it (`sampler`).

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_model::Clock;

use crate::cgroup::{ContainerCgroup, Hierarchies, Scan};
use crate::folder::{Buffer, Folder};
use crate::proc::network::container_networks;
use crate::usage::Sample;

/// Device and inode of a network namespace.
type Namespace = (u64, u64);

/// The open files of one run of one container.
#[derive(Debug)]
pub(crate) struct ContainerReader {
    cgroup: ContainerCgroup,
    process: Option<(Folder, Namespace)>,
}

/// A container to be read.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: Arc<str>,
    pub(crate) cgroup_parent: String,
    pub(crate) pid: Option<u32>,
    /// Whether its network is its own.
    pub(crate) owns_network: bool,
    /// The files, once they are open.
    pub(crate) reader: Option<Arc<ContainerReader>>,
}

/// What came of a job.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) id: Arc<str>,
    /// `None`: no control group here, or no longer.
    pub(crate) read: Option<(Arc<ContainerReader>, Sample)>,
}

/// Where the machine keeps its files.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    root: PathBuf,
    hierarchies: Hierarchies,
    host_network: Option<Namespace>,
}

impl Machine {
    /// Looks at the machine below `root`.
    pub(crate) fn find(root: &Path) -> Self {
        let first = Folder::open(&root.join("proc/1"));
        let host_network = first.and_then(|first| first.inode("ns/net"));
        Self { root: root.to_owned(), hierarchies: Hierarchies::find(root), host_network }
    }

    /// The cgroup version in use.
    pub(crate) fn cgroup_version(&self) -> Option<u64> {
        self.hierarchies.version()
    }

    /// Reads containers one after the other.
    pub(crate) fn read(&self, mut jobs: Vec<Job>, clock: &dyn Clock) -> Vec<Outcome> {
        // Owners of a network come before those who only share it.
        jobs.sort_by_key(|job| !job.owns_network);
        let mut buffer = Buffer::default();
        let mut scan = Scan::default();
        let mut namespaces: HashSet<Namespace> = self.host_network.into_iter().collect();
        jobs.into_iter()
            .map(|job| {
                let reader = match &job.reader {
                    Some(reader) => Some(reader.clone()),
                    None => self.open(&job, &mut scan, &mut buffer).map(Arc::new),
                };
                let read = reader.and_then(|reader| {
                    let mut sample = Sample { time_ms: clock.now_ms(), ..Sample::default() };
                    if !reader.cgroup.read(&mut sample, &mut buffer) {
                        return None;
                    }
                    if let Some((process, namespace)) = &reader.process
                        && namespaces.insert(*namespace)
                        && let Some(text) = process.read("net/dev", &mut buffer)
                    {
                        sample.networks = container_networks(text);
                    }
                    Some((reader, sample))
                });
                Outcome { id: job.id, read }
            })
            .collect()
    }

    fn open(&self, job: &Job, scan: &mut Scan, buffer: &mut Buffer) -> Option<ContainerReader> {
        let cgroup = ContainerCgroup::open(&self.hierarchies, &job.id, &job.cgroup_parent, scan)?;
        let pid = job.pid.or_else(|| cgroup.first_pid(buffer));
        let process = pid.filter(|_| job.owns_network).and_then(|pid| {
            let process = Folder::open(&self.root.join("proc").join(pid.to_string()))?;
            // The same number may be another process here, in another namespace of processes.
            let own = process.read("cgroup", buffer)?;
            let id = job.id.as_bytes();
            if !own.windows(id.len().max(1)).any(|part| part == id) {
                return None;
            }
            let namespace = process.inode("ns/net")?;
            Some((process, namespace))
        });
        Some(ContainerReader { cgroup, process })
    }
}
