//! Where the machine mounts its control groups, from `mountinfo`; never assumed.

use std::path::{Path, PathBuf};

use crate::fields;

/// One line of `mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MountInfo {
    /// `major:minor` of the file system.
    pub(crate) device_number: String,
    /// What part of the file system is mounted.
    pub(crate) root: String,
    /// Where, as the machine sees it.
    pub(crate) mount_point: String,
    /// Options of the mount.
    pub(crate) options: String,
    /// Type of the file system.
    pub(crate) fs_type: String,
    /// Device or other source.
    pub(crate) source: String,
    /// Options of the file system: for cgroup version 1 its controllers.
    pub(crate) super_options: String,
}

/// The mounts of the machine whose root folder is `root`.
///
/// Behind a prefix (`/host`) the first process's view is taken, because our own would name the
/// paths with the prefix already on them.
pub(crate) fn mounts(root: &Path) -> Vec<MountInfo> {
    let files: &[&str] = if root == Path::new("/") {
        &["proc/self/mountinfo"]
    } else {
        &["proc/1/mountinfo", "proc/self/mountinfo"]
    };
    let text = files.iter().find_map(|file| std::fs::read(root.join(file)).ok());
    text.map(|text| fields::lines(&text).filter_map(parse).collect()).unwrap_or_default()
}

/// Reads `36 35 98:0 /root /point opts shared:1 - type source super`.
fn parse(line: &[u8]) -> Option<MountInfo> {
    let line = std::str::from_utf8(line).ok()?;
    let (left, right) = line.split_once(" - ")?;
    let mut left = left.split(' ').skip(2);
    let mut right = right.split(' ');
    Some(MountInfo {
        device_number: left.next()?.to_owned(),
        root: unescape(left.next()?),
        mount_point: unescape(left.next()?),
        options: left.next()?.to_owned(),
        fs_type: right.next()?.to_owned(),
        source: unescape(right.next()?),
        super_options: right.next().unwrap_or("").to_owned(),
    })
}

/// Undoes the kernel's octal escapes (`\040` is a space).
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| *first == b'\\').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            u8::from_str_radix(digits, 8).ok()
        });
        out.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { tail.get(3..).unwrap_or(&[]) } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Controllers that a version 2 tree has.
#[expect(clippy::struct_excessive_bools, reason = "one per controller, as the kernel lists them")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Controllers {
    pub(crate) cpu: bool,
    pub(crate) memory: bool,
    pub(crate) pids: bool,
    pub(crate) io: bool,
}

/// Where each controller is mounted, prefixed with the root folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Hierarchies {
    pub(crate) cpu: Option<PathBuf>,
    pub(crate) cpuacct: Option<PathBuf>,
    pub(crate) memory: Option<PathBuf>,
    pub(crate) pids: Option<PathBuf>,
    pub(crate) blkio: Option<PathBuf>,
    /// The version 2 tree and those of its controllers that version 1 does not hold.
    pub(crate) unified: Option<(PathBuf, Controllers)>,
}

impl Hierarchies {
    /// Looks the mounts of the machine at `root` through.
    pub(crate) fn find(root: &Path) -> Self {
        let mut found = Self::default();
        let mut unified = None;
        for mount in mounts(root) {
            let path = prefixed(root, &mount.mount_point);
            match mount.fs_type.as_str() {
                "cgroup" => {
                    for controller in mount.super_options.split(',') {
                        let place = match controller {
                            "cpu" => &mut found.cpu,
                            "cpuacct" => &mut found.cpuacct,
                            "memory" => &mut found.memory,
                            "pids" => &mut found.pids,
                            "blkio" => &mut found.blkio,
                            _ => continue,
                        };
                        place.get_or_insert_with(|| path.clone());
                    }
                }
                "cgroup2" => {
                    unified.get_or_insert(path);
                }
                _ => {}
            }
        }
        found.unified = unified.and_then(|path| {
            let text = std::fs::read(path.join("cgroup.controllers")).ok()?;
            let has = |name: &str| fields::words(&text).any(|word| word == name.as_bytes());
            let controllers = Controllers {
                cpu: found.cpuacct.is_none() && has("cpu"),
                memory: found.memory.is_none() && has("memory"),
                pids: found.pids.is_none() && has("pids"),
                io: found.blkio.is_none() && has("io"),
            };
            (controllers != Controllers::default()).then_some((path, controllers))
        });
        found
    }

    /// The cgroup version that accounts memory and CPU here; `None` when nothing does.
    pub(crate) fn version(&self) -> Option<u64> {
        let v2 = self.unified.as_ref().is_some_and(|(_, on)| on.memory || on.cpu);
        match (v2, self.cpuacct.is_some() || self.memory.is_some()) {
            (true, _) => Some(2),
            (false, true) => Some(1),
            (false, false) => None,
        }
    }
}

/// `path` of the machine below our `root`.
pub(crate) fn prefixed(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_with_spaces_and_optional_fields_is_read() {
        let line =
            b"36 35 98:0 /a /mnt/my\\040disk rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw";
        let mount = parse(line).unwrap();
        assert_eq!(mount.mount_point, "/mnt/my disk");
        assert_eq!((mount.fs_type.as_str(), mount.source.as_str()), ("ext4", "/dev/sda1"));
        assert_eq!(mount.super_options, "rw");
        assert!(parse(b"36 35 98:0").is_none());
    }
}
