//! The settings: what `schemas/config.toml` allows, from file, environment and command line.
//!
//! Keeps true: every value was checked against its type, range and choices; a key nobody knows
//! is an error that names the nearest one. The command line is stronger than the environment,
//! the environment than the file, the file than the default.
//! Not here: the list of keys (`schemas/config.toml`).

mod schema;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use plimsoll_query::nearest::nearest;
use plimsoll_store::retention::Rule;
use toml::Value;

use schema::{Key, Schema};

/// Keys that this version reads from a file but cannot act on: settings that promise protection
/// or another place for data must not be ignored in silence.
const NOT_YET: &[(&str, &str)] = &[
    ("tls", "certificate"),
    ("tls", "key"),
    ("tls", "client_ca"),
    ("auth", "tokens"),
    ("storage", "url"),
    ("collect", "docker_tls"),
];

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SettingsError {
    /// The program's own list of keys is broken.
    #[error("the list of settings this program was built with cannot be read")]
    Schema {
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// The file cannot be read.
    #[error("cannot read the settings in {path}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the settings in {path} are not TOML", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key nobody knows.
    #[error("{origin}: there is no setting `{key}`{hint}",
        hint = nearest.as_ref().map_or(String::new(), |name| format!(", did you mean `{name}`?")))]
    Unknown {
        /// Where it stands.
        origin: String,
        /// The key.
        key: String,
        /// The allowed key most like it.
        nearest: Option<String>,
    },
    /// A value that is not allowed.
    #[error("{origin}: setting `{key}`: found {found}, allowed is {allowed}")]
    Value {
        /// Where it stands.
        origin: String,
        /// The key.
        key: String,
        /// The value.
        found: String,
        /// What it may be.
        allowed: String,
    },
    /// A setting that this version cannot act on.
    #[error("{origin}: setting `{key}` is not supported by this version; leave it out")]
    NotYet {
        /// Where it stands.
        origin: String,
        /// The key.
        key: String,
    },
}

/// A value given on the command line.
#[derive(Debug, Clone)]
pub(crate) struct Override {
    flag: &'static str,
    section: &'static str,
    key: &'static str,
    value: String,
}

impl Override {
    /// The value of `flag` for a key.
    pub(crate) fn new(
        flag: &'static str,
        section: &'static str,
        key: &'static str,
        value: impl Into<String>,
    ) -> Self {
        Self { flag, section, key, value: value.into() }
    }
}

/// One setting that was given.
#[derive(Debug, Clone)]
struct Given {
    value: Value,
    origin: String,
}

/// All settings, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    schema: Schema,
    given: BTreeMap<(String, String), Given>,
}

impl Settings {
    /// Reads the settings from file, environment and command line.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        overrides: &[Override],
    ) -> Result<Self, SettingsError> {
        let schema = Schema::embedded()?;
        let mut settings = Self { schema, given: BTreeMap::new() };
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
            settings.read_file(path, &text)?;
        }
        for (name, text) in environment {
            settings.read_variable(&name, &text)?;
        }
        for given in overrides {
            settings.read_text(given.flag.to_owned(), given.section, given.key, &given.value)?;
        }
        settings.check_together()?;
        Ok(settings)
    }

    fn read_file(&mut self, path: &Path, text: &str) -> Result<(), SettingsError> {
        let parsed: toml::Table = toml::from_str(text).map_err(|source| SettingsError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        let origin = path.display().to_string();
        for (section, keys) in parsed {
            let Value::Table(keys) = keys else {
                return Err(self.unknown(origin, section));
            };
            for (key, value) in keys {
                self.put(origin.clone(), &section, &key, value)?;
            }
            if !self.schema.sections().any(|known| known == section) {
                return Err(self.unknown(origin, section));
            }
        }
        Ok(())
    }

    /// `PLIMSOLL_<SECTION>_<KEY>`; other variables, also those that container platforms make
    /// from the name of a service, are none of ours.
    fn read_variable(&mut self, name: &str, text: &str) -> Result<(), SettingsError> {
        let Some(rest) = name.strip_prefix("PLIMSOLL_") else { return Ok(()) };
        let rest = rest.to_lowercase();
        let mut sections =
            self.schema.sections().map(str::to_owned).collect::<Vec<_>>().into_iter();
        let found = sections.find_map(|section| {
            let key = rest.strip_prefix(section.as_str())?.strip_prefix('_')?.to_owned();
            Some((section, key))
        });
        match found {
            Some((section, key)) => self.read_text(name.to_owned(), &section, &key, text),
            None => Ok(()),
        }
    }

    fn read_text(
        &mut self,
        origin: String,
        section: &str,
        key: &str,
        text: &str,
    ) -> Result<(), SettingsError> {
        let Some(known) = self.schema.key(section, key) else {
            return Err(self.unknown(origin, format!("{section}.{key}")));
        };
        let value = known.value_of_text(text).ok_or_else(|| refused(known, &origin, text))?;
        self.put(origin, section, key, value)
    }

    fn put(
        &mut self,
        origin: String,
        section: &str,
        key: &str,
        value: Value,
    ) -> Result<(), SettingsError> {
        let Some(known) = self.schema.key(section, key) else {
            return Err(self.unknown(origin, format!("{section}.{key}")));
        };
        if !known.allows(&value) {
            return Err(refused(known, &origin, &value.to_string()));
        }
        if NOT_YET.contains(&(section, key)) {
            return Err(SettingsError::NotYet { origin, key: known.path() });
        }
        self.given.insert((section.to_owned(), key.to_owned()), Given { value, origin });
        Ok(())
    }

    fn unknown(&self, origin: String, key: String) -> SettingsError {
        let names: Vec<String> = self.schema.keys().map(Key::path).collect();
        let names = names.iter().map(String::as_str).chain(self.schema.sections());
        let nearest = nearest(&key, names).map(str::to_owned);
        SettingsError::Unknown { origin, key, nearest }
    }

    /// What one key alone cannot say: coarser data is kept at least as long as finer.
    fn check_together(&self) -> Result<(), SettingsError> {
        let ages = ["raw_days", "five_minute_days", "hour_days"];
        for pair in ages.windows(2) {
            let [finer, coarser] = pair else { continue };
            let (least, found) = (self.int("retention", finer), self.int("retention", coarser));
            if found < least {
                let given = self.given.get(&("retention".to_owned(), (*coarser).to_owned()));
                return Err(SettingsError::Value {
                    origin: given.map_or("default".to_owned(), |given| given.origin.clone()),
                    key: format!("retention.{coarser}"),
                    found: found.to_string(),
                    allowed: format!("at least retention.{finer}, which is {least}"),
                });
            }
        }
        for rule in self.list("retention", "rules") {
            if let Err(error) = Rule::parse(rule) {
                let given = self.given.get(&("retention".to_owned(), "rules".to_owned()));
                return Err(SettingsError::Value {
                    origin: given.map_or("default".to_owned(), |given| given.origin.clone()),
                    key: "retention.rules".to_owned(),
                    found: rule.to_owned(),
                    allowed: format!(
                        "a selector and ages such as {{stack=\"batch\"}} raw=2d ({})",
                        plimsoll_model::chain(&error)
                    ),
                });
            }
        }
        Ok(())
    }

    fn value(&self, section: &str, key: &str) -> Option<&Value> {
        let known = self.schema.key(section, key);
        debug_assert!(known.is_some(), "setting {section}.{key} is not declared");
        let given = self.given.get(&(section.to_owned(), key.to_owned()));
        given.map(|given| &given.value).or_else(|| known?.default.as_ref())
    }

    /// Whether a key was given, by whatever way.
    pub(crate) fn is_given(&self, section: &str, key: &str) -> bool {
        self.given.contains_key(&(section.to_owned(), key.to_owned()))
    }

    /// A text setting; empty when it has neither value nor default.
    pub(crate) fn text(&self, section: &str, key: &str) -> &str {
        self.value(section, key).and_then(Value::as_str).unwrap_or_default()
    }

    /// A flag.
    pub(crate) fn flag(&self, section: &str, key: &str) -> bool {
        self.value(section, key).and_then(Value::as_bool).unwrap_or_default()
    }

    /// A number; 0 when it has neither value nor default.
    pub(crate) fn int(&self, section: &str, key: &str) -> i64 {
        self.optional_int(section, key).unwrap_or_default()
    }

    /// A number that may be left out.
    pub(crate) fn optional_int(&self, section: &str, key: &str) -> Option<i64> {
        self.value(section, key).and_then(Value::as_integer)
    }

    /// A number that is a count or a size.
    pub(crate) fn count(&self, section: &str, key: &str) -> usize {
        usize::try_from(self.int(section, key)).unwrap_or(0)
    }

    /// The texts of a list.
    pub(crate) fn list(&self, section: &str, key: &str) -> impl Iterator<Item = &str> {
        let values = self.value(section, key).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str)
    }

    /// All settings as TOML, with where each comes from.
    pub(crate) fn show(&self) -> String {
        let mut text = String::new();
        for section in self.schema.sections() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "[{section}]");
            for known in self.schema.keys().filter(|key| key.section == section) {
                let given = self.given.get(&(section.to_owned(), known.name.clone()));
                let (key, line) = (&known.name, &known.default);
                let _ = match (given, line) {
                    (Some(given), _) => {
                        writeln!(text, "{key} = {} # {}", given.value, given.origin)
                    }
                    (None, Some(default)) => writeln!(text, "{key} = {default}"),
                    (None, None) => writeln!(text, "# {key} is not set"),
                };
            }
            text.push('\n');
        }
        text
    }
}

fn refused(known: &Key, origin: &str, found: &str) -> SettingsError {
    SettingsError::Value {
        origin: origin.to_owned(),
        key: known.path(),
        found: found.to_owned(),
        allowed: known.allowed(),
    }
}

#[cfg(test)]
mod tests;
