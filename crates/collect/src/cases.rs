//! Runs case files: what stands before the line `----` is the input, what stands after it the
//! expected output. Lines that start with `#` are comments. `UPDATE_CASES=1` rewrites the
//! expected half.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array as _, StringArray};
use plimsoll_model::Batch;

/// The folder of this crate's cases.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}

/// Runs every case of one subsystem.
pub(crate) fn run_cases(name: &str, run: impl Fn(&str) -> String) {
    let mut paths: Vec<_> =
        std::fs::read_dir(folder(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty());
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, expected) = text.split_once("----\n").unwrap();
        let lines = head.split_inclusive('\n').filter(|line| !line.starts_with('#'));
        let input: String = lines.collect();
        let output = run(&input);
        if std::env::var_os("UPDATE_CASES").is_some() {
            std::fs::write(&path, format!("{head}----\n{output}")).unwrap();
        } else {
            assert_eq!(output, expected, "{}", path.display());
        }
    }
}

/// The columns of one row that are not null, a line each; time is left out.
pub(crate) fn columns(batch: &Batch, row: usize) -> String {
    let mut out = String::new();
    let fields = batch.rows().schema();
    for (field, column) in fields.fields().iter().zip(batch.rows().columns()).skip(1) {
        if column.is_null(row) {
            continue;
        }
        let name = field.name();
        if let Some(values) = column.as_primitive_opt::<Int64Type>() {
            writeln!(out, "{name} {}", values.value(row)).unwrap();
        } else if let Some(values) = column.as_primitive_opt::<Float64Type>() {
            writeln!(out, "{name} {}", values.value(row)).unwrap();
        } else {
            let texts = column.as_dictionary::<arrow_array::types::Int32Type>();
            let texts = texts.downcast_dict::<StringArray>().unwrap();
            let key = usize::try_from(texts.keys().value(row)).unwrap();
            writeln!(out, "{name} {}", texts.values().value(key)).unwrap();
        }
    }
    out
}

/// Makes the files of a case: each begins with `== path`; a text `=path` is a link to another.
pub(crate) fn plant(root: &Path, input: &str) {
    for section in format!("\n{input}").split("\n== ").skip(1) {
        let (name, text) = section.split_once('\n').unwrap_or((section, ""));
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.trim_end().strip_prefix('=') {
            Some(other) => std::fs::hard_link(root.join(other), path).unwrap(),
            None => std::fs::write(path, text).unwrap(),
        }
    }
}
