//! Reads `schemas/config.toml`: which settings there are and what each may be.

use serde::Deserialize;
use toml::Value;

use super::SettingsError;

const DECLARED: &str = include_str!("../../../../schemas/config.toml");

#[derive(Debug, Deserialize)]
pub(super) struct Schema {
    section: Vec<Section>,
    key: Vec<Key>,
}

#[derive(Debug, Deserialize)]
struct Section {
    name: String,
}

/// One setting.
#[derive(Debug, Deserialize)]
pub(super) struct Key {
    pub(super) section: String,
    #[serde(rename = "key")]
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: Kind,
    pub(super) default: Option<Value>,
    unit: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    #[serde(default)]
    choices: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Int,
    Float,
    Bool,
    Text,
    Path,
    List,
}

impl Schema {
    pub(super) fn embedded() -> Result<Self, SettingsError> {
        toml::from_str(DECLARED)
            .map_err(|source| SettingsError::Schema { source: Box::new(source) })
    }

    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        self.section.iter().map(|section| section.name.as_str())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.key.iter()
    }

    pub(super) fn key(&self, section: &str, key: &str) -> Option<&Key> {
        self.key.iter().find(|known| known.section == section && known.name == key)
    }
}

impl Key {
    /// `section.key`.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// Reads a value from the environment or the command line; lists are separated by commas.
    pub(super) fn value_of_text(&self, text: &str) -> Option<Value> {
        match self.kind {
            Kind::Int => text.replace('_', "").parse().ok().map(Value::Integer),
            Kind::Float => text.parse().ok().map(Value::Float),
            Kind::Bool => text.parse().ok().map(Value::Boolean),
            Kind::Text | Kind::Path => Some(Value::String(text.to_owned())),
            Kind::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
        }
    }

    /// Whether this value may be given.
    pub(super) fn allows(&self, value: &Value) -> bool {
        match (self.kind, value) {
            (Kind::Int, Value::Integer(number)) => {
                self.min.is_none_or(|min| *number >= min)
                    && self.max.is_none_or(|max| *number <= max)
            }
            (Kind::Float, Value::Float(number)) => number.is_finite(),
            (Kind::Bool, Value::Boolean(_)) => true,
            (Kind::Path, Value::String(text)) => !text.is_empty(),
            (Kind::Text, Value::String(text)) => {
                self.choices.is_empty() || self.choices.contains(text)
            }
            (Kind::List, Value::Array(items)) => items.iter().all(Value::is_str),
            _ => false,
        }
    }

    /// What may be given, for error messages.
    pub(super) fn allowed(&self) -> String {
        if !self.choices.is_empty() {
            return format!("one of {}", self.choices.join(", "));
        }
        let unit = self.unit.as_ref().map(|unit| format!(" {unit}")).unwrap_or_default();
        match (self.kind, self.min, self.max) {
            (Kind::Int, Some(min), Some(max)) => {
                format!("a whole number from {min} to {max}{unit}")
            }
            (Kind::Int, ..) => format!("a whole number{unit}"),
            (Kind::Float, ..) => "a number".to_owned(),
            (Kind::Bool, ..) => "true or false".to_owned(),
            (Kind::Text, ..) => "a text".to_owned(),
            (Kind::Path, ..) => "a path".to_owned(),
            (Kind::List, ..) => "a list of texts".to_owned(),
        }
    }
}
