//! A Docker Engine of the tests' own: in a network namespace of its own, with its data in a
//! temporary folder. It is stopped and its traces are removed when the value is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{check, command, say, succeeds};

/// A running engine with an image `bb` (busybox) in it.
pub(crate) struct Engine {
    folder: PathBuf,
    namespace: String,
    daemon: Child,
}

const START_MAX: Duration = Duration::from_secs(90);

impl Engine {
    /// Starts an engine and imports the image.
    pub(crate) fn start() -> Result<Self, String> {
        let id = std::process::id();
        let folder = std::env::temp_dir().join(format!("plimsoll-engine-{id}"));
        let namespace = format!("plimsoll-{id}");
        let problem = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
        std::fs::create_dir_all(&folder).map_err(|error| problem("make a folder", error))?;
        check(command("ip", &["netns", "add", &namespace]))?;
        let network = format!("/run/netns/{namespace}");
        let enter = format!("--net={network}");
        check(command("nsenter", &[&enter, "ip", "link", "set", "lo", "up"]))?;
        let log = File::create(folder.join("log")).map_err(|error| problem("make a log", error))?;
        let errors = log.try_clone().map_err(|error| problem("share the log", error))?;
        say(&format!("starting a Docker Engine in {}", folder.display()));
        let daemon = Command::new("nsenter")
            .arg(&enter)
            .arg("dockerd")
            .arg("--data-root")
            .arg(folder.join("data"))
            .arg("--exec-root")
            .arg(folder.join("exec"))
            .arg("--pidfile")
            .arg(folder.join("pid"))
            .arg("-H")
            .arg(format!("unix://{}", folder.join("docker.sock").display()))
            .stdout(Stdio::from(log))
            .stderr(Stdio::from(errors))
            .spawn()
            .map_err(|error| problem("start dockerd", error))?;
        let mut engine = Self { folder, namespace, daemon };
        engine.wait_ready()?;
        engine.import_image()?;
        Ok(engine)
    }

    /// `unix://...` of the engine's socket.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    fn wait_ready(&mut self) -> Result<(), String> {
        let started = Instant::now();
        while !succeeds("docker", &["-H", &self.host(), "version"]) {
            let ended = self.daemon.try_wait().ok().flatten();
            if ended.is_some() || started.elapsed() > START_MAX {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                let end: Vec<&str> = log.lines().rev().take(15).collect();
                return Err(format!("the Docker Engine did not start; its log ends: {end:#?}"));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn import_image(&self) -> Result<(), String> {
        let files = self.folder.join("image/bin");
        let problem = |error: std::io::Error| format!("cannot make the test image: {error}");
        std::fs::create_dir_all(&files).map_err(problem)?;
        std::fs::copy("/bin/busybox", files.join("busybox")).map_err(problem)?;
        let install = format!(
            "cd '{0}' && for tool in $(./bin/busybox --list); do \
             [ -e bin/$tool ] || ln -s busybox bin/$tool; done && mkdir -p tmp proc sys dev etc && \
             tar -c . | docker -H '{1}' import - bb",
            self.folder.join("image").display(),
            self.host()
        );
        check(command("sh", &["-c", &install]))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let host = self.host();
        let remove = format!(
            "docker -H '{host}' swarm leave --force; \
             docker -H '{host}' ps -aq | xargs -r docker -H '{host}' rm -f"
        );
        succeeds("sh", &["-c", &remove]);
        succeeds("kill", &[&self.daemon.id().to_string()]);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(20) {
            if self.daemon.try_wait().ok().flatten().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        // Only when it did not end by itself; the result changes nothing here.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        succeeds("ip", &["netns", "del", &self.namespace]);
        unmount_below(&self.folder);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn unmount_below(folder: &Path) {
    let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    for line in mounts.lines().rev() {
        let point = line.split(' ').nth(1).unwrap_or_default();
        if Path::new(point).starts_with(folder) {
            succeeds("umount", &["-l", point]);
        }
    }
    let namespaces = format!("{}", folder.join("exec/netns").display());
    if Path::new(&namespaces).exists() {
        succeeds("sh", &["-c", &format!("umount -l '{namespaces}'/*")]);
    }
}
