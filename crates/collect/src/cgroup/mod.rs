//! Containers' control groups: where they are and what their files say.
//!
//! Each controller is looked up by itself, because machines mount version 1, version 2 or both,
//! and a mounted version 2 tree may have no controllers at all.
//! Not here: which containers there are (`engine`), rows (`rows`).

mod find;
mod mounts;
mod v1;
pub(crate) mod v2;

use std::path::Path;

pub(crate) use find::Scan;
pub(crate) use mounts::{Hierarchies, MountInfo, mounts, prefixed};

use crate::folder::{Buffer, Folder};
use crate::usage::{ContainerUsage, Sample};

/// The open folders of one container, by controller.
#[derive(Debug, Default)]
pub(crate) struct ContainerCgroup {
    v1: v1::Folders,
    v2: Option<(Folder, mounts::Controllers)>,
}

impl ContainerCgroup {
    /// Opens the folders of a container; `None` when no controller has any.
    ///
    /// `parent`: the container's cgroup parent where it has one of its own. `scan`: what an
    /// earlier look through the trees in this round found.
    pub(crate) fn open(
        hierarchies: &Hierarchies,
        id: &str,
        parent: &str,
        scan: &mut Scan,
    ) -> Option<Self> {
        let mut open = |mount: Option<&Path>| {
            let mount = mount?;
            let path = find::find(mount, id, parent, scan)?;
            Folder::open(&path)
        };
        let v1 = v1::Folders {
            cpu: open(hierarchies.cpu.as_deref()),
            cpuacct: open(hierarchies.cpuacct.as_deref()),
            memory: open(hierarchies.memory.as_deref()),
            pids: open(hierarchies.pids.as_deref()),
            blkio: open(hierarchies.blkio.as_deref()),
        };
        let v2 = hierarchies.unified.as_ref().and_then(|(mount, controllers)| {
            open(Some(mount)).map(|folder| (folder, *controllers))
        });
        let found = Self { v1, v2 };
        (found.v1.any() || found.v2.is_some()).then_some(found)
    }

    /// Reads all files into `sample`. False when the container's cgroup is gone.
    pub(crate) fn read(&self, sample: &mut Sample, buffer: &mut Buffer) -> bool {
        self.v1.read(sample, buffer);
        if let Some((folder, controllers)) = &self.v2 {
            v2::read(folder, *controllers, sample, buffer);
        }
        sample.usage.set_working_set();
        sample.usage.set_cpu_limit();
        let ContainerUsage { cpu_usage_us, memory_usage_bytes, pids, .. } = sample.usage;
        cpu_usage_us.is_some() || memory_usage_bytes.is_some() || pids.is_some()
    }

    /// First process listed in the container's cgroup, where the engine did not say.
    pub(crate) fn first_pid(&self, buffer: &mut Buffer) -> Option<u32> {
        let folder = self.v2.as_ref().map(|(folder, _)| folder).or_else(|| self.v1.first())?;
        let text = folder.read("cgroup.procs", buffer)?;
        let pid = crate::fields::lines(text).next().and_then(crate::fields::number)?;
        u32::try_from(pid).ok()
    }
}

#[cfg(test)]
mod tests;
