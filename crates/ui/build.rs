//! Builds the web page with npm and lists its files for `src/lib.rs`.
//!
//! Works on a copy of `web/` in `OUT_DIR`, so the source tree stays as it is. Packages come from
//! `package-lock.json` and are installed only when that file changed. Where npm is missing or
//! fails, the page is `web/missing.html` and the build goes on with a warning.
//!
//! `PLIMSOLL_UI=required` turns that warning into an error (releases and checks use it);
//! `PLIMSOLL_UI=none` does without npm in any case.

use std::error::Error;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// What of `web/` makes the page; the rest (tests, packages, earlier builds) does not matter.
const SOURCES: &[&str] = &[
    "index.html",
    "missing.html",
    "package-lock.json",
    "package.json",
    "public",
    "src",
    "tsconfig.json",
    "vite.config.ts",
];

fn main() -> Result<(), Box<dyn Error>> {
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo::rerun-if-env-changed=PLIMSOLL_UI");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed=web/{source}");
    }
    let wish = env::var("PLIMSOLL_UI").unwrap_or_default();
    let built = if wish == "none" { Err("PLIMSOLL_UI=none".into()) } else { npm(&web, &out) };
    let (files, is_built) = match built {
        Ok(dist) => (list(&dist)?, true),
        Err(error) if wish == "required" => return Err(error),
        Err(error) => {
            println!("cargo::warning=the web page is left out: {error}");
            (vec![("index.html".to_owned(), web.join("missing.html"))], false)
        }
    };
    fs::write(out.join("assets.rs"), rust(&files, is_built)?)?;
    Ok(())
}

/// Builds the page; the folder of its files.
fn npm(web: &Path, out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let copy = out.join("web");
    fs::create_dir_all(&copy)?;
    for source in SOURCES {
        let there = copy.join(source);
        if there.is_dir() {
            fs::remove_dir_all(&there)?;
        }
        copy_all(&web.join(source), &there)?;
    }
    let lock = fs::read(copy.join("package-lock.json"))?;
    let stamp = copy.join("installed-lock.json");
    if fs::read(&stamp).ok().as_deref() != Some(lock.as_slice()) {
        let words = ["ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"];
        let patience = ["--fetch-retries=1", "--fetch-timeout=30000", "--prefer-offline"];
        run(&copy, &[words.as_slice(), &patience].concat())?;
        fs::write(&stamp, &lock)?;
    }
    run(&copy, &["run", "build"])?;
    let dist = copy.join("dist");
    if dist.join("index.html").is_file() { Ok(dist) } else { Err("npm built no page".into()) }
}

fn run(folder: &Path, words: &[&str]) -> Result<(), Box<dyn Error>> {
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let mut command = Command::new(npm);
    command.args(words).current_dir(folder).stdin(Stdio::null());
    let done = command.output().map_err(|error| format!("npm cannot be run: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&done.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains(" warn ")).take(4).collect();
    Err(format!("npm {} failed ({}): {}", words.join(" "), done.status, lines.join(" / ")).into())
}

fn copy_all(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Names and paths of all files below a folder, sorted by name; gzipped twins are left out.
fn list(folder: &Path) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|ending| ending != "gz") {
                let name = path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/");
                found.push((name, path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The list as Rust.
fn rust(files: &[(String, PathBuf)], is_built: bool) -> Result<String, Box<dyn Error>> {
    let mut text = format!("const IS_BUILT: bool = {is_built};\n");
    text.push_str("const ASSETS: &[(&str, Asset)] = &[\n");
    for (name, path) in files {
        let twin = PathBuf::from(format!("{}.gz", path.display()));
        let gzip = if twin.is_file() {
            format!("Some(include_bytes!({:?}))", twin.display().to_string())
        } else {
            "None".to_owned()
        };
        let mut hasher = DefaultHasher::new();
        hasher.write(&fs::read(path)?);
        writeln!(
            text,
            "({name:?}, Asset {{ bytes: include_bytes!({path:?}), gzip: {gzip}, \
             content_type: {kind:?}, etag: {etag:?}, is_immutable: {is_immutable} }}),",
            path = path.display().to_string(),
            kind = content_type(path)?,
            etag = format!("\"{:016x}\"", hasher.finish()),
            is_immutable = name.starts_with("assets/"),
        )?;
    }
    text.push_str("];\n");
    Ok(text)
}

fn content_type(path: &Path) -> Result<&'static str, Box<dyn Error>> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    Ok(match ending {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "woff2" => "font/woff2",
        _ => return Err(format!("{} has no content type in build.rs", path.display()).into()),
    })
}
