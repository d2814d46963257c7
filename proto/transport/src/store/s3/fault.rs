//! What S3 servers answer, told in the words of [`StoreError`].

use std::error::Error;

use aws_config::imds::client::error::TokenError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::S3Store;
use crate::store::{Store, StoreError};

impl S3Store {
    /// What went wrong when `action` was tried on the object.
    pub fn fault<E>(&self, action: &'static str, key: &str, error: SdkError<E>) -> StoreError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        if let Some(reply) = error.raw_response() {
            let region = reply.headers().get("x-amz-bucket-region");
            return self.refusal(action, key, reply.status().as_u16(), error.code(), region);
        }
        let no_credentials = StoreError::NoCredentials {
            store: self.locate(""),
        };
        match source_of(&error) {
            Some(CredentialsError::CredentialsNotLoaded(_)) => no_credentials,
            // A metadata service that is there, but closed to us.
            Some(_) if source_of::<TokenError>(&error).is_some() => no_credentials,
            Some(CredentialsError::InvalidConfiguration(_)) => StoreError::Setting {
                what: "the AWS profile".into(),
                reason: innermost(&error),
            },
            Some(_) => StoreError::Unreachable {
                endpoint: "the source of credentials".into(),
                reason: innermost(&error),
            },
            None if matches!(error, SdkError::ConstructionFailure(_)) => StoreError::Rejected {
                action,
                what: self.locate(key),
                reason: innermost(&error),
            },
            None => unreachable(&self.endpoint, innermost(&error)),
        }
    }

    /// What a server means by a status and a code, which replies without a body do not have.
    fn refusal(
        &self,
        action: &'static str,
        key: &str,
        status: u16,
        code: Option<&str>,
        region: Option<&str>,
    ) -> StoreError {
        let what = self.locate(key);
        let reason = code.map_or_else(|| status.to_string(), str::to_owned);
        let denied = |mend| StoreError::Denied {
            action,
            what: what.clone(),
            reason: reason.clone(),
            mend,
        };
        match (status, code.unwrap_or_default()) {
            (_, "NoSuchBucket") => StoreError::NoBucket {
                bucket: self.bucket.clone(),
                endpoint: self.endpoint.clone(),
            },
            (_, "RequestTimeTooSkewed") => StoreError::ClockSkew { action, what },
            (_, "InvalidAccessKeyId") => denied("the server does not know this AWS_ACCESS_KEY_ID"),
            (_, "SignatureDoesNotMatch") => denied("AWS_SECRET_ACCESS_KEY is not the key's"),
            (_, "ExpiredToken" | "InvalidToken") => denied("renew the credentials"),
            (301 | 307, _) | (_, "AuthorizationHeaderMalformed") => StoreError::Rejected {
                action,
                what,
                reason: match region {
                    Some(region) => format!("the bucket is in {region}: set AWS_REGION={region}"),
                    None => format!("{reason}: set AWS_REGION to the bucket's region"),
                },
            },
            (401 | 403, _) => denied("check the credentials and their rights"),
            (507, _) | (_, "XMinioStorageFull") => StoreError::Full { what },
            (408 | 409 | 429 | 500 | 502..=599, _) | (_, "RequestTimeout" | "SlowDown") => {
                StoreError::Server {
                    action,
                    what,
                    reason,
                }
            }
            _ => StoreError::Rejected {
                action,
                what,
                reason,
            },
        }
    }
}

/// The server did not answer, or not to the end.
pub fn unreachable(endpoint: &str, reason: String) -> StoreError {
    let endpoint = endpoint.to_owned();
    // The client wraps this error so that only its text is left.
    if reason.starts_with("invalid peer certificate") {
        StoreError::Untrusted { endpoint, reason }
    } else {
        StoreError::Unreachable { endpoint, reason }
    }
}

/// The status of the server's reply, if there was one.
pub fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|reply| reply.status().as_u16())
}

/// What the last error in the chain says: the ones above it only say where it was met.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn source_of<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Options;

    async fn met(status: u16, code: &str, region: Option<&str>) -> StoreError {
        let options = Options {
            endpoint: Some("http://host:1".into()),
            ca: None,
        };
        let store = S3Store::open("fleet", "a", &options).await.expect("opens");
        let code = Some(code).filter(|code| !code.is_empty());
        store.refusal("write", "b", status, code, region)
    }

    /// What AWS, MinIO and SeaweedFS answer, as their documents and sources have it.
    #[tokio::test]
    async fn knows_what_servers_mean() {
        for (status, code, meant, retryable) in [
            (403, "AccessDenied", "Denied", false),
            (403, "InvalidAccessKeyId", "Denied", false),
            (403, "SignatureDoesNotMatch", "Denied", false),
            (400, "ExpiredToken", "Denied", false),
            (401, "", "Denied", false),
            (403, "", "Denied", false),
            (403, "RequestTimeTooSkewed", "ClockSkew", true),
            (404, "NoSuchBucket", "NoBucket", false),
            (301, "PermanentRedirect", "Rejected", false),
            (400, "AuthorizationHeaderMalformed", "Rejected", false),
            (400, "EntityTooLarge", "Rejected", false),
            (405, "MethodNotAllowed", "Rejected", false),
            (404, "", "Rejected", false),
            (501, "NotImplemented", "Rejected", false),
            (400, "RequestTimeout", "Server", true),
            (409, "OperationAborted", "Server", true),
            (429, "TooManyRequests", "Server", true),
            (500, "InternalError", "Server", true),
            (503, "SlowDown", "Server", true),
            (503, "", "Server", true),
            (507, "XMinioStorageFull", "Full", true),
        ] {
            let error = met(status, code, None).await;
            assert!(format!("{error:?}").starts_with(meant), "{code}: {error:?}");
            assert_eq!(error.is_retryable(), retryable, "{code}");
        }
    }

    #[tokio::test]
    async fn says_the_thing_the_reason_and_the_mend() {
        let error = met(403, "SignatureDoesNotMatch", None).await;
        assert_eq!(
            error.to_string(),
            "cannot write s3://fleet/a/b: refused (SignatureDoesNotMatch): \
             AWS_SECRET_ACCESS_KEY is not the key's"
        );
        let error = met(301, "PermanentRedirect", Some("eu-west-1")).await;
        assert_eq!(
            error.to_string(),
            "cannot write s3://fleet/a/b: the store rejects the request \
             (the bucket is in eu-west-1: set AWS_REGION=eu-west-1)"
        );
    }
}
