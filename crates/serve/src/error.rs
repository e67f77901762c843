//! Error answers: one envelope, and the one table from error class to HTTP status.
//!
//! Not here: what can go wrong (each crate's errors).

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use plimsoll_model::{ErrorClass, chain};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every error answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// Always `error`.
    #[schema(example = "error")]
    status: &'static str,
    /// `bad_data`, `execution`, `timeout`, `unavailable`, `internal`, `not_found` or `too_many`.
    #[serde(rename = "errorType")]
    #[schema(example = "bad_data")]
    error_type: &'static str,
    /// What is wrong, for a person.
    #[schema(example = "parameter `step`: found \"0s\", allowed is a duration from 1s to 365d")]
    error: String,
}

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    error_type: &'static str,
    message: String,
}

/// How each class of error is answered: the only place where classes become statuses.
fn answered(class: ErrorClass) -> (StatusCode, &'static str) {
    match class {
        ErrorClass::Invalid => (StatusCode::BAD_REQUEST, "bad_data"),
        ErrorClass::Missing => (StatusCode::NOT_FOUND, "not_found"),
        ErrorClass::Limited => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        ErrorClass::Busy => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        ErrorClass::Corrupt | ErrorClass::Bug => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl ApiError {
    /// The answer to an error of another crate, with its causes.
    pub(crate) fn of(class: ErrorClass, error: &dyn std::error::Error) -> Self {
        Self::new(class, chain(error))
    }

    /// An error of this crate.
    pub(crate) fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        let (status, error_type) = answered(class);
        Self { status, error_type, message: message.into() }
    }

    /// What HTTP has a status of its own for.
    pub(crate) fn http(
        status: StatusCode,
        error_type: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, error_type, message: message.into() }
    }

    /// It took too long.
    pub(crate) fn timeout(what: &str, after: std::time::Duration) -> Self {
        let message = format!("{what} took longer than {} s", after.as_secs_f64());
        Self::http(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = %self.message, "request failed");
        }
        let retry =
            matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        let body = ErrorBody { status: "error", error_type: self.error_type, error: self.message };
        let mut response = (self.status, Json(body)).into_response();
        if retry {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
