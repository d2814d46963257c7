//! Answers that are errors.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stylefleet_fleet::batch::BatchError;
use stylefleet_fleet::dead::DeadError;
use stylefleet_fleet::documents::DocumentError;
use stylefleet_proto::Invalid;
use stylefleet_transport::broker::BrokerError;
use stylefleet_transport::store::StoreError;

/// Why a request cannot be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// The request is invalid.
    #[error("{0}")]
    Invalid(String),
    /// Whoever asks has to log in first.
    #[error("log in with the dashboard's token to do this")]
    Unauthorized,
    /// It is not allowed from there.
    #[error("{0}")]
    Forbidden(&'static str),
    /// Something that it needs is away.
    #[error("{0}")]
    Away(String),
    /// A request to the store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A request to the broker failed.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A document of the store cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A batch cannot be read.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Nothing can be done about dead jobs.
    #[error(transparent)]
    Dead(#[from] DeadError),
}

/// An error as the API tells it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ErrorDocument {
    /// One line: subject, cause, remedy.
    error: String,
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid.to_string())
    }
}

impl ApiError {
    fn status(&self) -> StatusCode {
        let is_retryable = match self {
            Self::Missing(_)
            | Self::Batch(BatchError::Missing { .. } | BatchError::NoResult { .. })
            | Self::Dead(DeadError::None(_)) => return StatusCode::NOT_FOUND,
            Self::Invalid(_) | Self::Dead(DeadError::Several(_) | DeadError::Short(_)) => {
                return StatusCode::BAD_REQUEST;
            }
            Self::Unauthorized => return StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => return StatusCode::FORBIDDEN,
            Self::Away(_) => true,
            Self::Store(error) => error.is_retryable(),
            Self::Broker(error) => error.is_retryable(),
            Self::Document(error) => error.is_retryable(),
            Self::Batch(error) => error.is_retryable(),
            Self::Dead(error) => error.is_retryable(),
        };
        if is_retryable {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let error = self.to_string();
        (self.status(), Json(ErrorDocument { error })).into_response()
    }
}
