//! How full the machine's file systems are.
//!
//! Only file systems on local devices are asked: a network file system whose server is gone
//! would hold the collector up.

use std::path::Path;

use plimsoll_model::batch::RowError;
use plimsoll_model::{BatchBuilder, Subject};

use crate::cgroup::MountInfo;

const FS_TYPES: &[&str] = &[
    "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "jfs", "msdos",
    "ntfs", "ntfs3", "reiserfs", "ubifs", "vfat", "xfs", "zfs",
];
/// Mounts below these belong to containers.
const CONTAINER_PATHS: &[&str] = &[
    "/var/lib/docker/",
    "/var/lib/containers/",
    "/var/lib/containerd/",
    "/var/lib/kubelet/",
    "/run/docker/",
    "/run/containerd/",
];

/// Writes a row per file system, named by its shortest mount point.
pub(super) fn write(
    mounts: &[MountInfo],
    root: &Path,
    time_ms: i64,
    subject: &Subject,
    filesystem: &mut BatchBuilder,
) -> Result<(), RowError> {
    for mount in chosen(mounts) {
        let keys = [mount.source.as_str(), mount.mount_point.as_str(), mount.fs_type.as_str()];
        filesystem.row(time_ms, subject, &keys);
        let readonly = mount.options.split(',').any(|option| option == "ro");
        filesystem.unsigned("readonly", Some(u64::from(readonly)))?;
        let path = crate::cgroup::prefixed(root, &mount.mount_point);
        let answer = rustix::fs::statvfs(&path);
        filesystem.unsigned("device_error", Some(u64::from(answer.is_err())))?;
        let Ok(answer) = answer else { continue };
        // POSIX counts blocks in units of the fragment size.
        let bytes = |blocks: u64| blocks.checked_mul(answer.f_frsize);
        filesystem.unsigned("size_bytes", bytes(answer.f_blocks))?;
        filesystem.unsigned("free_bytes", bytes(answer.f_bfree))?;
        filesystem.unsigned("avail_bytes", bytes(answer.f_bavail))?;
        filesystem.unsigned("files", Some(answer.f_files))?;
        filesystem.unsigned("files_free", Some(answer.f_ffree))?;
    }
    Ok(())
}

fn chosen(mounts: &[MountInfo]) -> Vec<&MountInfo> {
    let mut chosen: Vec<&MountInfo> = Vec::new();
    for mount in mounts {
        let local = FS_TYPES.contains(&mount.fs_type.as_str());
        let foreign = CONTAINER_PATHS.iter().any(|path| mount.mount_point.starts_with(path));
        if !local || foreign {
            continue;
        }
        let rank = |mount: &MountInfo| (mount.root != "/", mount.mount_point.len());
        match chosen.iter_mut().find(|known| known.device_number == mount.device_number) {
            Some(known) if rank(mount) < rank(known) => *known = mount,
            Some(_) => {}
            None => chosen.push(mount),
        }
    }
    chosen
}
