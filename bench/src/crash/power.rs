//! Power cuts on real file systems, without cutting any power.
//!
//! The data directory lies on a file system in an image file, and the image lies on XFS, which
//! can copy a file in an instant by sharing its blocks. Such a copy, taken while the writer
//! writes, holds just what had reached the disk: mounting it is what a machine finds after the
//! power came back.

use std::path::{Path, PathBuf};
use std::process::Command;

/// File systems the guest image may have.
pub const FILE_SYSTEMS: &[&str] = &["ext4", "xfs", "btrfs"];

/// The mounted rig. Everything is unmounted and removed when it is dropped.
#[derive(Debug)]
pub struct Rig {
    folder: PathBuf,
    mounts: Vec<PathBuf>,
}

impl Rig {
    /// Builds the rig in `folder` with a guest file system of one of [`FILE_SYSTEMS`].
    ///
    /// # Errors
    ///
    /// A sentence that names the command that failed; making file systems and mounting them
    /// needs root, `xfsprogs` and, for Btrfs, `btrfs-progs`.
    pub fn build(folder: &Path, file_system: &str) -> Result<Self, String> {
        let mut rig = Self { folder: folder.to_path_buf(), mounts: Vec::new() };
        let make_guest = match file_system {
            "ext4" => "mkfs.ext4 -q -F",
            "xfs" => "mkfs.xfs -q -f",
            "btrfs" => "mkfs.btrfs -q -f",
            other => return Err(format!("file system {other:?}: allowed are {FILE_SYSTEMS:?}")),
        };
        sh(&rig.folder, "mkdir -p host guest snapshot && truncate -s 3G host.img")?;
        sh(&rig.folder, "mkfs.xfs -q -f -m reflink=1 host.img")?;
        rig.mount("host.img", "host")?;
        sh(&rig.folder, "truncate -s 1G host/disk.img")?;
        sh(&rig.folder, &format!("{make_guest} host/disk.img"))?;
        rig.mount("host/disk.img", "guest")?;
        Ok(rig)
    }

    /// Where the writer's data directory lies.
    pub fn data(&self) -> PathBuf {
        self.folder.join("guest/data")
    }

    /// Takes what the disk holds at this moment, mounts it, lets `look` look, and throws it
    /// away.
    ///
    /// # Errors
    ///
    /// A sentence that names the command that failed, or what `look` said.
    pub fn cut<T>(&mut self, look: impl FnOnce(&Path) -> Result<T, String>) -> Result<T, String> {
        sh(&self.folder, "cp --reflink=always host/disk.img host/snapshot.img")?;
        // XFS refuses a second file system with the id of one that is mounted.
        let options = if self.is_xfs() { "loop,nouuid" } else { "loop" };
        self.mount_with("host/snapshot.img", "snapshot", options)?;
        let result = look(&self.folder.join("snapshot/data"));
        self.unmount_last();
        sh(&self.folder, "rm host/snapshot.img")?;
        result
    }

    fn is_xfs(&self) -> bool {
        let kind =
            Command::new("findmnt").args(["-no", "FSTYPE"]).arg(self.folder.join("guest")).output();
        kind.is_ok_and(|output| output.stdout.starts_with(b"xfs"))
    }

    fn mount(&mut self, image: &str, point: &str) -> Result<(), String> {
        self.mount_with(image, point, "loop")
    }

    fn mount_with(&mut self, image: &str, point: &str, options: &str) -> Result<(), String> {
        sh(&self.folder, &format!("mount -o {options} {image} {point}"))?;
        self.mounts.push(self.folder.join(point));
        Ok(())
    }

    fn unmount_last(&mut self) {
        if let Some(point) = self.mounts.pop() {
            // A busy mount is let go as soon as it is free.
            let _ = sh(&self.folder, &format!("umount {0} || umount -l {0}", point.display()));
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        while !self.mounts.is_empty() {
            self.unmount_last();
        }
    }
}

fn sh(folder: &Path, script: &str) -> Result<(), String> {
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(folder)
        .output()
        .map_err(|error| format!("cannot run a shell: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{script}` failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
