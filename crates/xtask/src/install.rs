//! Installs what the tests need: Debian packages and Python packages in a folder of their own.

use std::path::PathBuf;

use crate::run::{check, command, root, say, succeeds, target};

/// Debian package and a program or file that shows it is there.
const DEBIAN: &[(&str, &str)] = &[
    ("docker.io", "/usr/sbin/dockerd"),
    ("iptables", "/usr/sbin/iptables"),
    ("iproute2", "/bin/ip"),
    ("busybox-static", "/bin/busybox"),
    ("python3-venv", "/usr/share/doc/python3-venv"),
    ("xfsprogs", "/sbin/mkfs.xfs"),
    ("btrfs-progs", "/bin/btrfs"),
    ("e2fsprogs", "/sbin/mkfs.ext4"),
    ("chromium", "/usr/bin/chromium"),
    ("curl", "/usr/bin/curl"),
];

/// Packages from PyPI that tests use to read what Plimsoll wrote.
const PYTHON: &[&str] = &["duckdb", "pyarrow"];

/// Python with the test packages.
pub(crate) fn python() -> PathBuf {
    target().join("test-python/bin/python")
}

/// Installs what is missing.
pub(crate) fn everything() -> Result<(), String> {
    debian()?;
    python_packages()?;
    node_packages()
}

/// What drives the browser in the tests of the page.
fn node_packages() -> Result<(), String> {
    let folder = root().join("tests/ui");
    if folder.join("node_modules/playwright-core").exists() {
        return Ok(());
    }
    if !succeeds("npm", &["--version"]) {
        return Err("tests of the page need Node and npm: install them".to_owned());
    }
    let mut install = command("npm", &["ci", "--no-audit", "--no-fund"]);
    install.current_dir(folder);
    check(install)
}

fn debian() -> Result<(), String> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(_, path)| !std::path::Path::new(path).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !succeeds("apt-get", &["--version"]) {
        return Err(format!("tests need {missing:?} and there is no apt-get: install them"));
    }
    say(&format!("installing Debian packages {missing:?}"));
    check(command("apt-get", &["-q", "update"]))?;
    let mut install = command("apt-get", &["-qy", "install", "--no-install-recommends"]);
    install.args(&missing).env("DEBIAN_FRONTEND", "noninteractive");
    // Packages of services must not start them: the tests start their own.
    install.env("RUNLEVEL", "1");
    check(install)
}

fn python_packages() -> Result<(), String> {
    let python = python();
    let imports = format!("import {}", PYTHON.join(", "));
    let python_text = python.to_string_lossy().into_owned();
    if succeeds(&python_text, &["-c", &imports]) {
        return Ok(());
    }
    let folder = target().join("test-python");
    let folder = folder.to_string_lossy().into_owned();
    check(command("python3", &["-m", "venv", &folder]))?;
    let mut arguments = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    arguments.extend(PYTHON);
    check(command(&python_text, &arguments))
}
