//! The project's own chores: `cargo xtask test [WHAT]`.
//!
//! `test` installs what tests need, starts it, runs everything and ends with a line
//! `N passed, N failed`. Not here: what is tested (`tests/` and the crates).

mod engine;
mod install;
mod run;
mod suite;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask test [WHAT]

WHAT is one of
  all      everything (the default)
  fmt      formatting
  lint     clippy, warnings denied
  unit     tests that need no engine
  e2e      end-to-end tests on a real Docker Engine
  ui       only those of the web page, in a real browser
  install  only install what tests need
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["test"] | ["test", "all"] => suite::all(),
        ["test", "fmt"] => suite::format(),
        ["test", "lint"] => suite::lint(),
        ["test", "unit"] => suite::unit(),
        ["test", "e2e"] => suite::end_to_end(""),
        ["test", "ui"] => suite::end_to_end("page::"),
        ["test", "install"] => install::everything(),
        _ => Err(format!("unknown command {words:?}\n{USAGE}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            run::say(&text);
            ExitCode::FAILURE
        }
    }
}
