//! The S3 client: whom it trusts, who it says we are, what it tries again.

use std::path::Path;

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Builder, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime::client::retries::classifiers::HttpStatusCodeClassifier;

use super::{ATTEMPTS, silence};
use crate::store::{Options, StoreError};
use crate::{Cause, authorities};

/// Asks us to slow down. Servers have no one code for it.
const TOO_MANY_REQUESTS: u16 = 429;

/// A client as `options` and AWS's own settings (environment, profile, role) want it.
pub async fn client(options: &Options) -> Result<Client, StoreError> {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(silence::heed(http(options.ca.as_deref())?))
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        // No request has a longest time: see `silence`, and here for downloads that have begun.
        .timeout_config(TimeoutConfig::disabled())
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled()
                .upload_enabled(false)
                .grace_period(silence::LONGEST)
                .build(),
        );
    let config = match options.endpoint {
        // The usual chain ends at AWS's metadata service: a needless wait elsewhere.
        Some(_) => config.region(
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else("us-east-1"),
        ),
        None => config,
    };
    let config = config.load().await;
    if config.region().is_none() {
        return Err(StoreError::Setting {
            what: "AWS S3".into(),
            source: "no region is set: set AWS_REGION, or the endpoint of another server".into(),
        });
    }
    let config =
        Builder::from(&config).retry_classifier(HttpStatusCodeClassifier::new_from_codes(vec![
            TOO_MANY_REQUESTS,
        ]));
    let config = match &options.endpoint {
        Some(endpoint) => config
            .endpoint_url(checked_endpoint(endpoint)?)
            .force_path_style(true)
            // Many servers refuse the checksums that AWS likes to see on every request.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired),
        None => config,
    };
    Ok(Client::from_conf(config.build()))
}

fn http(ca: Option<&Path>) -> Result<SharedHttpClient, StoreError> {
    let mut trusted = TrustStore::default();
    if let Some(path) = ca {
        let authorities = authorities::read(path).map_err(StoreError::Authorities)?;
        trusted.add_pem_certificate(authorities.pem);
    }
    let context = TlsContext::builder().with_trust_store(trusted).build();
    let context = context.map_err(|e| StoreError::Setting {
        what: "TLS".into(),
        source: Cause::of(e),
    })?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(context)
        .build_https())
}

fn checked_endpoint(endpoint: &str) -> Result<&str, StoreError> {
    let host = endpoint
        .strip_prefix("http://")
        .or_else(|| endpoint.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['@', ' ']) => Ok(endpoint),
        // Not shown: a password may be in it.
        _ => Err(StoreError::Setting {
            what: "the S3 endpoint".into(),
            source: "it is not of the form http[s]://host[:port]".into(),
        }),
    }
}
