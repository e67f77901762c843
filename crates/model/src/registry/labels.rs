//! Dimensions, identity rules, second names, redaction and units: `schemas/labels.toml`.
//!
//! Holds: identity comes from container labels by the first rule that fits, never from code.
//! Not here: the dimension columns themselves (`subject`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::RegexSet;
use serde::Deserialize;

use super::file::RegistryError;
use super::schema;

/// Everything `schemas/labels.toml` says.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct LabelRules {
    format: u32,
    /// Grouping columns, in column order.
    #[serde(rename = "dimension")]
    pub dimensions: Vec<DimensionHelp>,
    /// What a container is a run of; the first rule that fits decides.
    #[serde(rename = "identity")]
    pub identities: Vec<IdentityRule>,
    /// How series and labels are spelt for dashboards made for cAdvisor.
    pub exposition: Exposition,
    /// Series whose labels are the text columns of a table.
    #[serde(rename = "info_series")]
    pub info_series: Vec<InfoSeries>,
    /// Series that show a text column as numbers.
    #[serde(rename = "state_series")]
    pub state_series: Vec<StateSeries>,
    /// Second names of series.
    #[serde(rename = "series_alias")]
    pub series_aliases: Vec<SeriesAlias>,
    /// Series made of several columns of a row.
    #[serde(rename = "made_series")]
    pub made_series: Vec<MadeSeries>,
    /// Which label values are never stored.
    pub redaction: Redaction,
    /// The only units a metric may have.
    #[serde(rename = "unit")]
    pub units: Vec<Unit>,
}

/// What a dimension means and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimensionHelp {
    /// Column and label name.
    pub name: String,
    /// What it means.
    pub help: String,
    /// Where it comes from.
    pub source: String,
}

/// How stack, service and slot are found for one kind of container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityRule {
    /// `swarm`, `compose` or `name`.
    pub kind: String,
    /// Label that must be present and not empty; `None`: fits always.
    pub when: Option<String>,
    /// Which containers it is for.
    pub help: String,
    /// Where the stack comes from; `None`: it has none.
    pub stack: Option<IdentityPart>,
    /// Where the service comes from.
    pub service: IdentityPart,
    /// Where the slot comes from; `None`: it has none.
    pub slot: Option<IdentityPart>,
}

/// One part of an identity.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityPart {
    /// Container label to read.
    pub label: Option<String>,
    /// Or the dimension to read; only `container`.
    pub dimension: Option<String>,
    /// Takes `<stack>_` off the front.
    #[serde(default)]
    pub strip_stack: bool,
    /// Takes only the part so far from the end, the last one being 0.
    pub part_from_end: Option<usize>,
    /// What parts are separated by.
    pub separator: Option<String>,
}

/// How cAdvisor spells what we have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Exposition {
    /// Prefix of container labels.
    pub label_prefix: String,
    /// How a key becomes a label name.
    pub label_help: String,
    /// The label `id`, with `{container_id}` in it.
    pub container_id: String,
    /// The label `id` of the whole machine.
    pub root_id: String,
    /// Dimension shown as the label `name`.
    pub name: String,
    /// Dimension shown as the label `image`.
    pub image: String,
    /// The label `instance`, with `{node}` in it.
    pub instance: String,
    /// The label `job`.
    pub job: String,
    /// The label `instance` of what node exporter shows, with `{node}` in it.
    pub node_instance: String,
    /// The label `job` of what node exporter shows.
    pub node_job: String,
    /// Fixed labels by series that the registry does not give them.
    pub extra_labels: BTreeMap<String, BTreeMap<String, String>>,
    /// What a null limit is shown as.
    pub unlimited: String,
    /// What a text column is shown as.
    pub text_series: String,
    /// Longest value of a label, in bytes.
    pub label_bytes_max: usize,
}

/// A series whose labels are the text columns of a table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InfoSeries {
    /// Name of the series.
    pub name: String,
    /// The table.
    pub table: String,
    /// What it is for.
    pub help: String,
}

/// A series that shows a text column as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSeries {
    /// Name of the series.
    pub name: String,
    /// Column of the table `container`.
    pub column: String,
    /// Number for each text.
    pub values: BTreeMap<String, i64>,
    /// Number where the column is null.
    pub absent: i64,
}

/// The same samples under another name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesAlias {
    /// The second name.
    pub name: String,
    /// Fixed labels under that name.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The metric's own name.
    pub same_as: String,
    /// The metric's own fixed labels.
    #[serde(default)]
    pub same_labels: BTreeMap<String, String>,
    /// Who asks for it.
    pub help: String,
}

/// A series made of several columns of a row.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeSeries {
    /// Name of the series.
    pub name: String,
    /// The table.
    pub table: String,
    /// `counter` or `gauge`.
    pub kind: String,
    /// The label `job`; the label `instance` is the one that goes with it.
    pub job: String,
    /// Fixed labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Labels from keys: a text with the key's name in braces in it.
    #[serde(default)]
    pub keys: BTreeMap<String, String>,
    /// Labels from text columns or dimensions.
    #[serde(default)]
    pub texts: BTreeMap<String, String>,
    /// Columns that are added up.
    #[serde(default)]
    pub plus: Vec<String>,
    /// Columns that are taken off.
    #[serde(default)]
    pub minus: Vec<String>,
    /// What the sum is divided by.
    #[serde(default = "one")]
    pub divide_by: f64,
    /// What the value is.
    #[serde(default)]
    pub value: MadeValue,
    /// Of rows that differ only in keys without a label the first counts, not their sum.
    #[serde(default)]
    pub first: bool,
    /// What it means.
    pub help: String,
}

fn one() -> f64 {
    1.0
}

/// What the value of a made series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum MadeValue {
    /// The sum of columns.
    #[default]
    Sum,
    /// The time of the row in seconds since 1970.
    Time,
    /// 1.
    One,
}

/// Which label values are never stored.
#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub struct Redaction {
    /// Keys of secrets.
    pub key_pattern: String,
    /// Values that look like secrets.
    pub value_patterns: Vec<String>,
    /// What stands in place of the value, before a `:` and eight hex digits of its keyed hash.
    pub replacement: String,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Its name in the registry.
    pub name: String,
    /// Its sign behind a number; may be empty.
    pub symbol: String,
    /// What it means.
    pub help: String,
}

/// What a container is a run of. Empty: has none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// See [`crate::Dimension::Stack`].
    pub stack: String,
    /// See [`crate::Dimension::Service`].
    pub service: String,
    /// See [`crate::Dimension::Slot`].
    pub slot: String,
}

/// The embedded file.
const TEXT: &str = include_str!("../../../../schemas/labels.toml");

// A broken embedded file cannot pass the tests.
static EMBEDDED: LazyLock<LabelRules> =
    LazyLock::new(|| LabelRules::parse(TEXT).unwrap_or_default());

impl LabelRules {
    /// The rules this program was built with.
    pub fn embedded() -> &'static Self {
        &EMBEDDED
    }

    /// Reads the text of a `labels.toml`.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        schema::parse("labels", text, |file: &Self| file.format)
    }

    /// The unit with this name.
    pub fn unit(&self, name: &str) -> Option<&Unit> {
        self.units.iter().find(|unit| unit.name == name)
    }

    /// What a container is a run of.
    ///
    /// `container` is its name without the leading slash; `label` gives the value of one of
    /// its labels.
    pub fn identify<'a>(
        &self,
        container: &'a str,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> Identity {
        let label = |name: &str| label(name).filter(|value| !value.is_empty());
        let fits =
            |rule: &&IdentityRule| rule.when.as_deref().is_none_or(|when| label(when).is_some());
        let Some(rule) = self.identities.iter().find(fits) else {
            return Identity { service: container.to_owned(), ..Identity::default() };
        };
        let value = |part: &IdentityPart, stack: &str| match &part.label {
            Some(name) => part.take(label(name).unwrap_or_default(), stack).to_owned(),
            None => container.to_owned(),
        };
        let stack = rule.stack.as_ref().map(|part| value(part, "")).unwrap_or_default();
        let service = value(&rule.service, &stack);
        let slot = rule.slot.as_ref().map(|part| value(part, &stack)).unwrap_or_default();
        Identity { stack, service, slot }
    }
}

impl IdentityPart {
    fn take<'a>(&self, value: &'a str, stack: &str) -> &'a str {
        let mut value = value;
        if self.strip_stack && !stack.is_empty() {
            let bare = value.strip_prefix(stack).and_then(|rest| rest.strip_prefix('_'));
            value = bare.filter(|bare| !bare.is_empty()).unwrap_or(value);
        }
        match (self.part_from_end, self.separator.as_deref()) {
            (Some(index), Some(separator)) => value.rsplit(separator).nth(index).unwrap_or(""),
            _ => value,
        }
    }
}

/// Compiled [`Redaction`]: says which labels are secrets.
#[derive(Debug, Clone)]
pub struct SecretPatterns {
    keys: RegexSet,
    values: RegexSet,
}

impl SecretPatterns {
    /// Compiles the rules, and `more_keys`: further patterns of keys, from the configuration.
    ///
    /// # Errors
    ///
    /// The pattern that is not a regular expression, or is too large.
    pub fn new(redaction: &Redaction, more_keys: &[String]) -> Result<Self, regex::Error> {
        let keys = std::iter::once(&redaction.key_pattern).chain(more_keys);
        Ok(Self { keys: RegexSet::new(keys)?, values: RegexSet::new(&redaction.value_patterns)? })
    }

    /// Whether a label's value must not be stored.
    pub fn is_secret(&self, key: &str, value: &str) -> bool {
        self.keys.is_match(key) || self.values.is_match(value)
    }
}
