//! A folder of kernel files that is read again and again.
//!
//! The folder stays open and its files are opened anew for each read: that costs two system calls
//! more than keeping every file open, and saves a file descriptor and the kernel's buffer for each
//! of the thirty files of a container. A folder whose cgroup was removed answers nothing.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Largest kernel file that is read; the rest of a longer one is left out.
const FILE_BYTES_MAX: usize = 4 << 20;
/// What the buffer starts with and grows by.
const CHUNK_BYTES: usize = 16 << 10;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
}

/// The buffer files are read into; one serves any number of folders.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
}

impl Folder {
    /// Opens a folder; `None` when it is not there or not readable.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).ok().map(|fd| Self { fd })
    }

    /// Reads one file whole; `None` when it is not there or cannot be read.
    pub(crate) fn read<'a>(&self, name: &str, buffer: &'a mut Buffer) -> Option<&'a [u8]> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.fd, name, flags, Mode::empty()).ok()?;
        let mut filled = 0;
        loop {
            if buffer.bytes.len() < filled + CHUNK_BYTES {
                buffer.bytes.resize(filled + CHUNK_BYTES, 0);
            }
            match rustix::io::read(&file, buffer.bytes.get_mut(filled..)?) {
                Ok(0) => break,
                Ok(bytes) => filled += bytes,
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
            if filled >= FILE_BYTES_MAX {
                break;
            }
        }
        buffer.bytes.get(..filled)
    }

    /// Reads a file that is one number.
    pub(crate) fn number(&self, name: &str, buffer: &mut Buffer) -> Option<u64> {
        self.read(name, buffer).and_then(crate::fields::number)
    }

    /// Inode and device of what `name` leads to, links followed.
    pub(crate) fn inode(&self, name: &str) -> Option<(u64, u64)> {
        let stat = rustix::fs::statat(&self.fd, name, rustix::fs::AtFlags::empty()).ok()?;
        Some((stat.st_dev, stat.st_ino))
    }
}
