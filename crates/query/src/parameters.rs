//! What URL parameters of all questions share: filters, ranges, choices, and how they are refused.
//!
//! Keeps true: what is wrong is named with the parameter, the value found and what is allowed; a
//! parameter nobody knows is an error.
//! Not here: parameters of one question (`history::request`), the text of times (`time`).

use plimsoll_model::{Dimension, ErrorClass, Filter, Matcher, Table, TimeRange};

use crate::nearest::nearest;
use crate::time::{TIME_ALLOWED, parse_time_ms};

/// Most filters of one question.
const FILTERS_MAX: usize = 32;
/// Range asked for when none is given: one hour, in milliseconds.
const RANGE_DEFAULT_MS: i64 = 3_600_000;
/// Prefix that makes any name a container label.
const LABEL_PREFIX: &str = "label.";
/// Prefix of container labels in cAdvisor's spelling.
const CADVISOR_LABEL_PREFIX: &str = "container_label_";

/// Why a question cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParameterError {
    /// A value is not one of those allowed.
    #[error("parameter `{parameter}`: found {found:?}, allowed is {allowed}")]
    Value {
        /// The parameter.
        parameter: String,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// A parameter that must be there is not.
    #[error("parameter `{parameter}` is missing, allowed is {allowed}")]
    Missing {
        /// The parameter.
        parameter: &'static str,
        /// What it may be.
        allowed: &'static str,
    },
    /// A parameter that holds one value is there twice.
    #[error("parameter `{parameter}` is given twice")]
    Twice {
        /// The parameter.
        parameter: String,
    },
    /// Nobody knows the parameter.
    #[error("parameter `{parameter}` is not known{hint}, allowed are {allowed}",
        hint = nearest.as_ref().map_or(String::new(), |name| format!(", did you mean `{name}`?")))]
    Unknown {
        /// The parameter.
        parameter: String,
        /// The known name most like it.
        nearest: Option<String>,
        /// All known names.
        allowed: String,
    },
}

impl ParameterError {
    /// Always the asker's mistake.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::Invalid
    }
}

/// One label that groups are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupLabel {
    /// A dimension of the table.
    Dimension(Dimension),
    /// A key column of the table, by index into [`Table::keys`].
    Key(usize),
    /// A label of the container, by name.
    Container(String),
}

impl GroupLabel {
    /// The name it has in an answer.
    pub fn name<'a>(&'a self, table: &'a Table) -> &'a str {
        match self {
            Self::Dimension(dimension) => dimension.name(),
            Self::Key(index) => table.keys().get(*index).map_or("", String::as_str),
            Self::Container(label) => label,
        }
    }
}

/// The value of a parameter that may be there once.
///
/// # Errors
///
/// [`ParameterError::Twice`].
pub fn single<'a>(
    pairs: &'a [(String, String)],
    name: &'static str,
) -> Result<Option<&'a str>, ParameterError> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let first = values.next();
    match values.next() {
        Some(_) => Err(ParameterError::Twice { parameter: name.to_owned() }),
        None => Ok(first),
    }
}

pub(crate) fn wrong(parameter: &str, found: &str, allowed: impl Into<String>) -> ParameterError {
    let (parameter, found) = (parameter.to_owned(), found.to_owned());
    ParameterError::Value { parameter, found, allowed: allowed.into() }
}

/// The value that a parameter names, or the default when it is not there.
///
/// # Errors
///
/// [`ParameterError::Value`] lists the names.
pub fn one_of<T: Copy>(
    parameter: &str,
    found: Option<&str>,
    allowed: &[(&str, T)],
    default: T,
) -> Result<T, ParameterError> {
    let Some(found) = found else { return Ok(default) };
    allowed.iter().find(|(name, _)| *name == found).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        wrong(parameter, found, format!("one of {}", names.join(", ")))
    })
}

/// The half-open range of `from` and `to`; without them the hour before now.
///
/// # Errors
///
/// [`ParameterError`] when one is no time, or the range is empty.
pub fn range(pairs: &[(String, String)], now_ms: i64) -> Result<TimeRange, ParameterError> {
    let (from, to) = (single(pairs, "from")?, single(pairs, "to")?);
    let read = |parameter, text: &str| {
        parse_time_ms(text, now_ms).map_err(|_| wrong(parameter, text, TIME_ALLOWED))
    };
    let end_ms = to.map_or(Ok(now_ms), |text| read("to", text))?;
    let start_ms = match from {
        Some(text) => read("from", text)?,
        None => end_ms.saturating_sub(RANGE_DEFAULT_MS),
    };
    if start_ms >= end_ms {
        let (parameter, found) = from.map_or(("to", to), |from| ("from", Some(from)));
        return Err(wrong(parameter, found.unwrap_or("now"), "a time `from` before the time `to`"));
    }
    Ok(TimeRange::new(start_ms, end_ms))
}

/// Reads every pair whose name is not in `known` as a filter: one over dimensions and keys of
/// the table, one over labels of the container.
///
/// `name=value` asks for equality, `name=~value` for a regular expression anchored at both
/// ends; `name!=` and `name!=~` ask for the opposite.
///
/// # Errors
///
/// [`ParameterError`] when a name is neither dimension, key nor `label.name`, or a pattern is
/// not a regular expression.
pub fn filters(
    pairs: &[(String, String)],
    table: &'static Table,
    known: &[&str],
) -> Result<(Filter, Filter), ParameterError> {
    let (mut of_rows, mut of_labels) = (Filter::default(), Filter::default());
    let mut filters = 0;
    for (key, value) in pairs.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
        let (name, negated) = match key.strip_suffix('!') {
            Some(name) => (name, true),
            None => (key.as_str(), false),
        };
        let Some(label) = label_named(name, table) else {
            return Err(unknown(key, name, table, known));
        };
        filters += 1;
        if filters > FILTERS_MAX {
            return Err(wrong(key, value, format!("at most {FILTERS_MAX} filters in all")));
        }
        let matcher = match (value.strip_prefix('~'), negated) {
            (Some(pattern), false) => Matcher::matches(label.name(table), pattern),
            (Some(pattern), true) => Matcher::not_matches(label.name(table), pattern),
            (None, false) => Ok(Matcher::equal(label.name(table), value)),
            (None, true) => Ok(Matcher::not_equal(label.name(table), value)),
        };
        let allowed = "a value, or `~` and a regular expression (RE2 syntax)";
        let matcher = matcher.map_err(|_| wrong(key, value, allowed))?;
        match label {
            GroupLabel::Container(_) => of_labels.push(matcher),
            GroupLabel::Dimension(_) | GroupLabel::Key(_) => of_rows.push(matcher),
        }
    }
    Ok((of_rows, of_labels))
}

/// A dimension, a key, or a container label: one with `label.` before it, a dot inside it, or
/// spelled as cAdvisor does.
pub(crate) fn label_named(name: &str, table: &'static Table) -> Option<GroupLabel> {
    if let Some(label) = name.strip_prefix(LABEL_PREFIX) {
        let label = (!label.is_empty()).then(|| GroupLabel::Container(label.to_owned()));
        return label.filter(|_| has_labels(table));
    }
    let dimension = Dimension::from_name(name).filter(|it| table.dimensions().contains(it));
    if let Some(dimension) = dimension {
        return Some(GroupLabel::Dimension(dimension));
    }
    if let Some(index) = table.keys().iter().position(|key| key == name) {
        return Some(GroupLabel::Key(index));
    }
    let looks_so = name.contains('.') || name.starts_with(CADVISOR_LABEL_PREFIX);
    let is_label = has_labels(table) && looks_so;
    is_label.then(|| GroupLabel::Container(name.to_owned()))
}

pub(crate) fn has_labels(table: &Table) -> bool {
    table.dimensions().contains(&Dimension::ContainerId)
}

pub(crate) fn names_of(table: &'static Table) -> Vec<&'static str> {
    let dimensions = table.dimensions().iter().map(|dimension| dimension.name());
    dimensions.chain(table.keys().iter().map(String::as_str)).collect()
}

fn unknown(key: &str, name: &str, table: &'static Table, known: &[&str]) -> ParameterError {
    let names = || known.iter().copied().chain(names_of(table));
    let mut allowed: Vec<&str> = names().collect();
    if has_labels(table) {
        allowed.push("label.<name>");
    }
    ParameterError::Unknown {
        parameter: key.to_owned(),
        nearest: nearest(name, names()).map(str::to_owned),
        allowed: allowed.join(", "),
    }
}
