//! The file of certificate authorities to trust besides those of the system.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::Cause;

/// The file is of no use.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot trust {path}: {source}: name a PEM file of certificate authorities in STYLEFLEET_CA"
)]
pub struct AuthoritiesError {
    path: String,
    source: Cause,
}

/// Certificates, one at least, each of them fit to vouch for a server.
#[derive(Debug)]
pub(crate) struct Authorities {
    pub pem: Vec<u8>,
    pub certificates: Vec<CertificateDer<'static>>,
}

/// Reads a PEM file.
pub(crate) fn read(path: &Path) -> Result<Authorities, AuthoritiesError> {
    let unusable = |source| AuthoritiesError {
        path: path.display().to_string(),
        source,
    };
    let pem = std::fs::read(path).map_err(|e| unusable(Cause::of(e)))?;
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(Cause::of(e)))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate in PEM form".into()));
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|e| unusable(Cause::of(e)))?;
    }
    Ok(Authorities { pem, certificates })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let garbled = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (bytes, reason) in [
            (&b""[..], "no certificate"),
            (key.as_bytes(), "no certificate"),
            (&[0x30, 0x82, 0x01, 0x0a, 0xff], "no certificate"),
            (garbled.as_bytes(), "certificate"),
        ] {
            let path = folder.path().join("ca.pem");
            std::fs::write(&path, bytes).expect("writes");
            let refused = read(&path).expect_err(reason).to_string();
            for part in ["ca.pem", reason, "STYLEFLEET_CA"] {
                assert!(refused.contains(part), "{refused}");
            }
        }
        let refused = read(Path::new("nowhere.pem")).expect_err("is not there");
        assert!(refused.to_string().contains("nowhere.pem"), "{refused}");
    }
}
