//! `plimsoll retention` and `plimsoll delete`: ask a running server what retention would take,
//! or tell it to delete.
//!
//! Not here: what the server does (`serve::retention`).

use serde_json::Value;

use crate::terminal::Terminal;

/// Why the server did not do as told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum KeepError {
    /// Nobody answers there.
    #[error("no server answers at {server}: start it, or give --server")]
    NoServer { server: String, source: reqwest::Error },
    /// The server answered with an error.
    #[error("the server refused ({status}): {message}")]
    Refused { status: u16, message: String },
    /// The answer is not what this program understands.
    #[error("the server at {server} answers in another form: is it another version?")]
    Form { server: String },
    /// The terminal is gone.
    #[error("cannot write to the terminal")]
    Terminal { source: std::io::Error },
}

/// Prints what retention would take now: one line per segment, and the totals.
///
/// # Errors
///
/// [`KeepError`].
pub(crate) fn dry_run(server: &str, terminal: &mut Terminal) -> Result<(), KeepError> {
    let data = ask(server, reqwest::Method::GET, "/api/v1/retention", &[])?;
    let form = || KeepError::Form { server: server.to_owned() };
    let told = |source| KeepError::Terminal { source };
    let segments = data.get("segments").and_then(Value::as_array).ok_or_else(form)?;
    if !segments.is_empty() {
        terminal
            .line(&row(["table", "resolution", "date", "rows", "bytes", "why"]))
            .map_err(told)?;
    }
    for segment in segments {
        let field = |name: &str| match segment.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let (table, resolution, day) = (field("table"), field("resolution"), field("date"));
        let (rows, bytes, why) = (field("rows"), field("bytes"), field("reason"));
        let line = row([&table, &resolution, &day, &rows, &bytes, &why]);
        terminal.line(&line).map_err(told)?;
    }
    let total = |name: &str| data.get(name).and_then(Value::as_u64).ok_or_else(form);
    let line = format!(
        "{} segments, {} rows and {} of {} bytes would go",
        segments.len(),
        total("rows")?,
        total("bytes")?,
        total("bytes_live")?
    );
    terminal.line(&line).map_err(told)
}

fn row(cells: [&str; 6]) -> String {
    let [table, resolution, date, rows, bytes, why] = cells;
    format!("{table:<18} {resolution:<10} {date:<10} {rows:>12} {bytes:>14} {why}")
}

/// Deletes what the selectors choose in a range of time.
///
/// # Errors
///
/// [`KeepError`].
pub(crate) fn delete(
    server: &str,
    selectors: &[String],
    from: &str,
    to: &str,
    terminal: &mut Terminal,
) -> Result<(), KeepError> {
    let mut pairs = vec![("from", from), ("to", to)];
    pairs.extend(selectors.iter().map(|selector| ("match[]", selector.as_str())));
    let data = ask(server, reqwest::Method::DELETE, "/api/v1/series", &pairs)?;
    let deletions = data.get("deletions").and_then(Value::as_array);
    let deletions = deletions.ok_or_else(|| KeepError::Form { server: server.to_owned() })?;
    let numbers: Vec<String> = deletions.iter().map(Value::to_string).collect();
    let line = format!("deleted, as number {} in the audit log", numbers.join(", "));
    terminal.line(&line).map_err(|source| KeepError::Terminal { source })
}

/// Asks the server and gives the `data` of its answer.
fn ask(
    server: &str,
    method: reqwest::Method,
    path: &str,
    pairs: &[(&str, &str)],
) -> Result<Value, KeepError> {
    let no_server = |source| KeepError::NoServer { server: server.to_owned(), source };
    let url = format!("{}{path}", server.trim_end_matches('/'));
    let client = reqwest::blocking::Client::new();
    let answer = client.request(method, url).query(pairs).send().map_err(no_server)?;
    let status = answer.status();
    let body: Value = answer.json().unwrap_or_default();
    if !status.is_success() {
        let message = body.get("error").and_then(Value::as_str).unwrap_or_default().to_owned();
        return Err(KeepError::Refused { status: status.as_u16(), message });
    }
    body.get("data").cloned().ok_or_else(|| KeepError::Form { server: server.to_owned() })
}
