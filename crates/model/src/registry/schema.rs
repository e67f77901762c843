//! Reads the schema files beside the metric tables: one doorway for all of them.
//!
//! Unknown keys are errors. Not here: what the files say (`registry::{config, events, labels,
//! rollups}`), the metric files (`registry::file`).

use serde::de::DeserializeOwned;

use super::file::RegistryError;

/// Format of the schema files that this program reads.
pub(super) const FORMAT: u32 = 1;

pub(super) fn parse<T: DeserializeOwned>(
    file: &str,
    text: &str,
    format: impl Fn(&T) -> u32,
) -> Result<T, RegistryError> {
    let parsed: T = toml::from_str(text).map_err(|source| RegistryError::Syntax {
        file: file.to_owned(),
        source: Box::new(source),
    })?;
    let found = format(&parsed);
    if found != FORMAT {
        return Err(RegistryError::Mismatch {
            file: file.to_owned(),
            key: "format",
            found: found.to_string(),
            expected: FORMAT.to_string(),
        });
    }
    Ok(parsed)
}
