//! Takes the query of a URL as pairs, and turns refusals into error answers.
//!
//! Not here: what parameters mean (`query`).

use axum::extract::FromRequestParts;
use axum::extract::Query;
use axum::http::request::Parts;
use plimsoll_model::ErrorClass;
use plimsoll_query::parameters::ParameterError;

use crate::error::ApiError;

/// Most bytes of a query; longer ones are refused before they are taken apart.
const QUERY_BYTES_MAX: usize = 16 << 10;

/// The decoded (name, value) pairs of the URL's query, in order.
#[derive(Debug)]
pub(crate) struct Pairs(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let query_bytes = parts.uri.query().map_or(0, str::len);
        if query_bytes > QUERY_BYTES_MAX {
            let message = format!("the query has {query_bytes} bytes, at most {QUERY_BYTES_MAX}");
            return Err(ApiError::new(ErrorClass::Invalid, message));
        }
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        pairs
            .map(|Query(pairs)| Self(pairs))
            .map_err(|rejection| ApiError::new(ErrorClass::Invalid, rejection.body_text()))
    }
}

impl From<ParameterError> for ApiError {
    fn from(error: ParameterError) -> Self {
        Self::of(error.class(), &error)
    }
}
