//! What configuration keys exist, read from `schemas/config.toml`.
//!
//! Not here: reading a configuration file (each crate has one struct per section).

use std::sync::LazyLock;

use serde::Deserialize;

use super::file::RegistryError;
use super::schema;

/// All sections and keys of `plimsoll.toml`, in the order of the documentation.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct ConfigSchema {
    format: u32,
    #[serde(rename = "section")]
    sections: Vec<ConfigSection>,
    #[serde(rename = "key")]
    keys: Vec<ConfigKey>,
}

/// One section (`[server]`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigSection {
    /// Name in brackets.
    pub name: String,
    /// What its keys are about.
    pub help: String,
}

/// One key of a section.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigKey {
    /// The section it stands in.
    pub section: String,
    /// Its name; a number's name ends in its unit.
    pub key: String,
    /// What may be written.
    #[serde(rename = "type")]
    pub value_type: ConfigType,
    /// What holds when nothing is written; `None`: as its help says.
    pub default: Option<ConfigValue>,
    /// Unit of a number.
    pub unit: Option<String>,
    /// Smallest number allowed.
    pub min: Option<i64>,
    /// Largest number allowed.
    pub max: Option<i64>,
    /// The words allowed; empty: any.
    #[serde(default)]
    pub choices: Vec<String>,
    /// Registry format version that added it.
    pub since: u32,
    /// What it does.
    pub help: String,
}

/// What may be written for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConfigType {
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// A text.
    Text,
    /// A file or folder, relative to the working folder.
    Path,
    /// A list of texts.
    List,
}

/// A default.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ConfigValue {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text or path.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
}

/// The embedded file.
const TEXT: &str = include_str!("../../../../schemas/config.toml");

// A broken embedded file cannot pass the tests.
static EMBEDDED: LazyLock<ConfigSchema> =
    LazyLock::new(|| ConfigSchema::parse(TEXT).unwrap_or_default());

impl ConfigSchema {
    /// The keys this program was built with.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads the text of a `config.toml` schema.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        schema::parse("config", text, |file: &Self| file.format)
    }

    /// All sections.
    pub fn sections(&self) -> &[ConfigSection] {
        &self.sections
    }

    /// All keys of one section, in order.
    pub fn keys<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a ConfigKey> {
        self.keys.iter().filter(move |key| key.section == section)
    }

    /// One key.
    pub fn key(&self, section: &str, key: &str) -> Option<&ConfigKey> {
        self.keys.iter().find(|entry| entry.section == section && entry.key == key)
    }
}

impl ConfigKey {
    /// Says whether a value is of this key's type, range and choices.
    pub fn allows(&self, value: &ConfigValue) -> bool {
        match (self.value_type, value) {
            (ConfigType::Int, ConfigValue::Int(value)) => {
                self.min.is_none_or(|min| *value >= min) && self.max.is_none_or(|max| *value <= max)
            }
            (ConfigType::Text | ConfigType::Path, ConfigValue::Text(value)) => {
                self.choices.is_empty() || self.choices.contains(value)
            }
            (ConfigType::Bool, ConfigValue::Bool(_)) | (ConfigType::List, ConfigValue::List(_)) => {
                true
            }
            _ => false,
        }
    }
}
