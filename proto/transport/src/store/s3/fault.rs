//! What S3 servers answer, told in the words of [`StoreError`].

use std::error::Error;

use aws_config::imds::client::error::TokenError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::S3Store;
use crate::Cause;
use crate::store::{Store, StoreError};

impl S3Store {
    /// What went wrong when `action` was tried on the object.
    pub fn fault<E>(&self, action: &'static str, key: &str, error: SdkError<E>) -> StoreError
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        if let Some(reply) = error.raw_response() {
            let reply = Reply {
                status: reply.status().as_u16(),
                code: error.code().map(str::to_owned),
                region: reply.headers().get(REGION).map(str::to_owned),
            };
            return self.refusal(action, key, reply, Some(error.into()));
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
                source: innermost(error),
            },
            Some(_) => StoreError::Unreachable {
                endpoint: "the source of credentials".into(),
                source: innermost(error),
            },
            None if matches!(error, SdkError::ConstructionFailure(_)) => StoreError::Rejected {
                action,
                what: self.locate(key),
                source: innermost(error),
            },
            None => unreachable(&self.endpoint, innermost(error)),
        }
    }

    /// What a server means by its reply, of which `error` came.
    fn refusal(
        &self,
        action: &'static str,
        key: &str,
        reply: Reply,
        error: Option<Box<dyn Error + Send + Sync>>,
    ) -> StoreError {
        let what = self.locate(key);
        let source = match error {
            Some(error) => Cause::new(reply.words(), error),
            None => reply.words().into(),
        };
        let remedy = match reply.code() {
            "InvalidAccessKeyId" => "the server does not know this AWS_ACCESS_KEY_ID",
            "SignatureDoesNotMatch" => "AWS_SECRET_ACCESS_KEY is not the key's",
            "ExpiredToken" | "InvalidToken" => "renew the credentials",
            _ => "check the credentials and their rights",
        };
        match (reply.status, reply.code()) {
            (_, "NoSuchBucket") => StoreError::NoBucket {
                bucket: self.bucket.clone(),
                endpoint: self.endpoint.clone(),
            },
            (_, "RequestTimeTooSkewed") => StoreError::ClockSkew { action, what },
            _ if reply.is_from_elsewhere() => StoreError::Rejected {
                action,
                what,
                source,
            },
            (401 | 403, _)
            | (
                _,
                "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken",
            ) => StoreError::Denied {
                action,
                what,
                source,
                remedy,
            },
            (507, _) | (_, "XMinioStorageFull") => StoreError::Full { what },
            (408 | 409 | 429 | 500 | 502..=599, _) | (_, "RequestTimeout" | "SlowDown") => {
                StoreError::Server {
                    action,
                    what,
                    source,
                }
            }
            _ => StoreError::Rejected {
                action,
                what,
                source,
            },
        }
    }
}

/// The header that names the region of a bucket which lies in another.
const REGION: &str = "x-amz-bucket-region";

/// What a server replied that did not do as it was told.
#[derive(Debug)]
struct Reply {
    status: u16,
    /// Replies without a body have none.
    code: Option<String>,
    /// The bucket's, where the server says it.
    region: Option<String>,
}

impl Reply {
    fn code(&self) -> &str {
        self.code.as_deref().unwrap_or_default()
    }

    /// Whether the bucket is in another region than the request says.
    fn is_from_elsewhere(&self) -> bool {
        matches!(self.status, 301 | 307) || self.code() == "AuthorizationHeaderMalformed"
    }

    fn words(&self) -> String {
        let reason = || {
            let status = || self.status.to_string();
            self.code.clone().unwrap_or_else(status)
        };
        match &self.region {
            Some(region) if self.is_from_elsewhere() => {
                format!("the bucket is in {region}: set AWS_REGION={region}")
            }
            None if self.is_from_elsewhere() => {
                format!("{}: set AWS_REGION to the bucket's region", reason())
            }
            _ => reason(),
        }
    }
}

/// The server did not answer, or not to the end.
pub fn unreachable(endpoint: &str, source: Cause) -> StoreError {
    let endpoint = endpoint.to_owned();
    // The client wraps this error so that only its text is left.
    if source.to_string().starts_with("invalid peer certificate") {
        StoreError::Untrusted { endpoint, source }
    } else {
        StoreError::Unreachable { endpoint, source }
    }
}

/// The status of the server's reply, if there was one.
pub fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error.raw_response().map(|reply| reply.status().as_u16())
}

/// An error, in the words of the last one in its chain: those above it only say where it was met.
pub fn innermost(error: impl Error + Send + Sync + 'static) -> Cause {
    let words = chain(&error).last().map(ToString::to_string);
    Cause::new(words.unwrap_or_default(), error)
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
        let reply = Reply {
            status,
            code: code.map(str::to_owned),
            region: region.map(str::to_owned),
        };
        store.refusal("write", "b", reply, None)
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
    async fn says_subject_cause_and_remedy() {
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
