//! The Docker Engine that the test command started, driven by its command line.

use std::process::{Command, Output};

/// The engine under test. Containers it made are removed when the value is dropped.
pub struct Engine {
    host: String,
    made: Vec<String>,
}

impl Default for Engine {
    fn default() -> Self {
        Self::from_environment()
    }
}

impl Engine {
    /// The engine named by `PLIMSOLL_TEST_ENGINE`.
    ///
    /// # Panics
    ///
    /// When the variable is not set: end-to-end tests are run by `cargo xtask test`, which
    /// installs and starts what they need.
    pub fn from_environment() -> Self {
        let host = std::env::var("PLIMSOLL_TEST_ENGINE")
            .expect("no engine to test against: run `cargo xtask test e2e`");
        Self { host, made: Vec::new() }
    }

    /// Its address, `unix://...`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Runs `docker ARGUMENTS` and gives what it printed.
    ///
    /// # Panics
    ///
    /// When it fails, with what it said.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self.try_docker(arguments);
        assert!(
            output.status.success(),
            "docker {arguments:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs `docker ARGUMENTS`, whatever comes of it.
    pub fn try_docker(&self, arguments: &[&str]) -> Output {
        Command::new("docker").arg("-H").arg(&self.host).args(arguments).output().unwrap()
    }

    /// Starts a container of the test image in the background and gives its id. It is removed
    /// with this value.
    pub fn run(&mut self, name: &str, options: &[&str], script: &str) -> String {
        self.made.push(name.to_owned());
        self.try_docker(&["rm", "-f", name]);
        let mut arguments = vec!["run", "-d", "--name", name];
        arguments.extend(options);
        arguments.extend(["bb", "sh", "-c", script]);
        self.docker(&arguments)
    }

    /// One field of `docker inspect`, by Go template.
    pub fn inspect(&self, name: &str, template: &str) -> String {
        self.docker(&["inspect", "--format", template, name])
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for name in &self.made {
            self.try_docker(&["rm", "-f", name]);
        }
    }
}
