//! Writes a history answer in the form the asker chose.
//!
//! Holds NULL: a missing value is `null`, an empty cell or an Arrow null, never 0.
//! Not here: what the answer says (`query`).

mod csv;
mod json;
mod table;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plimsoll_model::{ErrorClass, TimeRange};
use plimsoll_query::history::HistoryAnswer;
use plimsoll_query::parameters::{one_of, single};

use crate::error::ApiError;
pub(crate) use json::HistoryBody;

/// A form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Csv,
    Arrow,
    Parquet,
}

const FORMATS: &[(&str, Format)] = &[
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("arrow", Format::Arrow),
    ("parquet", Format::Parquet),
];

impl Format {
    /// The form asked for by the `format` parameter, or else by the `Accept` header.
    pub(crate) fn chosen(
        pairs: &[(String, String)],
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        if let Some(named) = single(pairs, "format")? {
            return Ok(one_of("format", Some(named), FORMATS, Self::Json)?);
        }
        let Some(accept) = headers.get(header::ACCEPT) else { return Ok(Self::Json) };
        let accept = accept.to_str().unwrap_or("*/*");
        let mut best: Option<(f32, Self)> = None;
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let Some(format) = parts.next().and_then(Self::of_media_range) else { continue };
            let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
            let quality = quality.unwrap_or(1.0);
            if quality > 0.0 && best.is_none_or(|(so_far, _)| quality > so_far) {
                best = Some((quality, format));
            }
        }
        best.map(|(_, format)| format).ok_or_else(|| {
            let types: Vec<&str> = FORMATS.iter().map(|(_, format)| format.media_type()).collect();
            let message =
                format!("found Accept {accept:?}, allowed is one of {}", types.join(", "));
            ApiError::http(StatusCode::NOT_ACCEPTABLE, "bad_data", message)
        })
    }

    fn of_media_range(range: &str) -> Option<Self> {
        match range {
            "*/*" | "application/*" | "application/json" => Some(Self::Json),
            "text/csv" | "text/*" => Some(Self::Csv),
            "application/vnd.apache.arrow.stream" => Some(Self::Arrow),
            "application/vnd.apache.parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Arrow => "application/vnd.apache.arrow.stream",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// Writes the answer to a question about `range`.
    pub(crate) fn write(
        self,
        answer: &HistoryAnswer,
        range: TimeRange,
    ) -> Result<Response, ApiError> {
        let bug = |error: &dyn std::error::Error| ApiError::of(ErrorClass::Bug, error);
        let bytes = match self {
            Self::Json => {
                serde_json::to_vec(&HistoryBody::of(answer, range)).map_err(|error| bug(&error))?
            }
            Self::Csv => csv::write(answer).into_bytes(),
            Self::Arrow => {
                let rows = table::rows(answer).map_err(|error| bug(&error))?;
                plimsoll_wire::stream::arrow_stream(&[rows]).map_err(|error| bug(&error))?
            }
            Self::Parquet => {
                let rows = table::rows(answer).map_err(|error| bug(&error))?;
                plimsoll_store::export::parquet_file(&rows).map_err(|error| bug(&error))?
            }
        };
        let content_type = HeaderValue::from_static(self.media_type());
        let mut response = ([(header::CONTENT_TYPE, content_type)], bytes).into_response();
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        Ok(response)
    }
}

/// Names of the grouping columns of a table: labels, apart from the other columns.
fn column_names(answer: &HistoryAnswer) -> Vec<String> {
    let taken = ["time", "value", "unit"];
    let name = |label: &String| {
        if taken.contains(&label.as_str()) { format!("label.{label}") } else { label.clone() }
    };
    answer.label_names.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &'static str) -> Option<Format> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        Format::chosen(&[], &headers).ok()
    }

    #[test]
    fn the_accept_header_chooses_by_quality_and_then_by_order() {
        assert_eq!(chosen("text/csv"), Some(Format::Csv));
        assert_eq!(chosen("text/html, */*;q=0.1"), Some(Format::Json));
        assert_eq!(chosen("text/csv;q=0.2, application/vnd.apache.parquet"), Some(Format::Parquet));
        assert_eq!(chosen("application/vnd.apache.arrow.stream, text/csv"), Some(Format::Arrow));
        assert_eq!(chosen("text/csv;q=0, application/json"), Some(Format::Json));
        assert_eq!(chosen("image/png"), None);
        assert_eq!(Format::chosen(&[], &HeaderMap::new()).ok(), Some(Format::Json));
    }
}
