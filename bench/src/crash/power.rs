//! Power cuts on real file systems, without cutting any power.
//!
//! The data directory lies on a file system in an image file, and the image lies on XFS, which
//! can copy a file in an instant by sharing its blocks. Such a copy, taken while the writer
//! writes, holds just what had reached the disk: mounting it is what a machine finds after the
//! power came back.

use std::path::{Path, PathBuf};
use std::process::Command;

/// File systems the guest image may have.
pub const FILE_SYSTEMS: &[&str] = &["ext4", "ext4-writeback", "xfs", "btrfs"];

/// Programs a rig needs and the Debian packages that have them.
const TOOLS: &[(&str, &str)] =
    &[("mkfs.ext4", "e2fsprogs"), ("mkfs.xfs", "xfsprogs"), ("mkfs.btrfs", "btrfs-progs")];

/// The mounted rig. Everything is unmounted and removed when it is dropped.
#[derive(Debug)]
pub struct Rig {
    folder: PathBuf,
    mounts: Vec<PathBuf>,
    /// How the guest is mounted.
    options: String,
}

impl Rig {
    /// Builds the rig in `folder` with a guest file system of one of [`FILE_SYSTEMS`].
    ///
    /// # Errors
    ///
    /// A sentence that names the command that failed; making file systems and mounting them
    /// needs root, `xfsprogs` and, for Btrfs, `btrfs-progs`. `install`: get those when missing.
    pub fn build(folder: &Path, file_system: &str, install: bool) -> Result<Self, String> {
        let (make_guest, options) = match file_system {
            "ext4" => ("mkfs.ext4 -q -F", "loop"),
            "ext4-writeback" => ("mkfs.ext4 -q -F", "loop,data=writeback"),
            "xfs" => ("mkfs.xfs -q -f", "loop"),
            "btrfs" => ("mkfs.btrfs -q -f", "loop"),
            other => return Err(format!("file system {other:?}: allowed are {FILE_SYSTEMS:?}")),
        };
        require(&["mkfs.xfs", make_guest.split(' ').next().unwrap_or_default()], install)?;
        let options = options.to_owned();
        let mut rig = Self { folder: folder.to_path_buf(), mounts: Vec::new(), options };
        sh(&rig.folder, "mkdir -p host guest snapshot && truncate -s 3G host.img")?;
        sh(&rig.folder, "mkfs.xfs -q -f -m reflink=1 host.img")?;
        rig.mount_with("host.img", "host", "loop")?;
        sh(&rig.folder, "truncate -s 1G host/disk.img")?;
        sh(&rig.folder, &format!("{make_guest} host/disk.img"))?;
        let options = rig.options.clone();
        rig.mount_with("host/disk.img", "guest", &options)?;
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
        self.snapshot()?;
        // XFS refuses a second file system with the id of one that is mounted.
        let unnamed = if self.is_xfs() { ",nouuid" } else { "" };
        let options = format!("{}{unnamed}", self.options);
        self.mount_with("host/snapshot.img", "snapshot", &options)?;
        let result = look(&self.folder.join("snapshot/data"));
        self.unmount_last();
        sh(&self.folder, "rm host/snapshot.img")?;
        result
    }

    /// Keeps what the disk holds at this moment.
    ///
    /// # Errors
    ///
    /// A sentence that names the command that failed.
    pub fn snapshot(&self) -> Result<(), String> {
        sh(&self.folder, "cp --reflink=always host/disk.img host/snapshot.img")
    }

    /// Mounts what [`Rig::snapshot`] kept where the disk was mounted, instead of it.
    ///
    /// # Errors
    ///
    /// A sentence that names the command that failed.
    pub fn put_snapshot_in_place(&mut self) -> Result<(), String> {
        self.unmount_last();
        let options = self.options.clone();
        self.mount_with("host/snapshot.img", "guest", &options)
    }

    fn is_xfs(&self) -> bool {
        let kind =
            Command::new("findmnt").args(["-no", "FSTYPE"]).arg(self.folder.join("guest")).output();
        kind.is_ok_and(|output| output.stdout.starts_with(b"xfs"))
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

/// A small ext4 disk of its own. It is unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Makes one of 96 MiB in `folder`; needs root.
    ///
    /// # Errors
    ///
    /// A sentence that names the command that failed.
    pub fn build(folder: &Path) -> Result<Self, String> {
        require(&["mkfs.ext4"], false)?;
        sh(folder, "mkdir -p small && truncate -s 96M small.img && mkfs.ext4 -q -F small.img")?;
        sh(folder, "mount -o loop small.img small")?;
        Ok(Self { folder: folder.join("small") })
    }

    /// Where it is mounted.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Takes all space there is.
    ///
    /// # Errors
    ///
    /// A sentence, when the disk is not full afterwards.
    pub fn fill(&self) -> Result<(), String> {
        // The last blocks are found one by one; a sync first, so that none is promised twice.
        sh(
            &self.folder,
            "sync; for size in 1M 64k 4k 1k; do \
             dd if=/dev/zero of=fill.$size bs=$size status=none 2>/dev/null; sync; done; \
             ! dd if=/dev/zero of=fill.last bs=64k count=1 status=none 2>/dev/null",
        )
    }

    /// Gives the space back.
    ///
    /// # Errors
    ///
    /// A sentence that names the command that failed.
    pub fn free(&self) -> Result<(), String> {
        sh(&self.folder, "rm -f fill.*; sync")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let point = self.folder.display().to_string();
        let _ = sh(Path::new("/"), &format!("umount {point} || umount -l {point}"));
    }
}

/// Makes sure that programs are there.
fn require(programs: &[&str], install: bool) -> Result<(), String> {
    for program in programs {
        if sh(Path::new("/"), &format!("command -v {program}")).is_ok() {
            continue;
        }
        let package = TOOLS.iter().find(|(name, _)| name == program).map_or("", |tool| tool.1);
        if !install {
            return Err(format!("{program} is missing: install the Debian package {package}"));
        }
        eprintln!("{program} is missing: installing the Debian package {package}");
        let script = format!("DEBIAN_FRONTEND=noninteractive apt-get install -y {package}");
        sh(Path::new("/"), &script)?;
    }
    Ok(())
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
