//! Where a store is, as people write it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{StoreError, checked};

/// A folder's path, or `s3://bucket[/prefix]`.
///
/// ```
/// use stylefleet_transport::store::Location;
///
/// let bucket = Location::Bucket {
///     bucket: "pictures".to_owned(),
///     prefix: "studio".to_owned(),
/// };
/// assert_eq!("s3://pictures/studio".parse::<Location>()?, bucket);
/// let folder = Location::Folder("/srv/pictures".into());
/// assert_eq!("/srv/pictures".parse::<Location>()?, folder);
/// assert!("ftp://pictures".parse::<Location>().is_err());
/// # Ok::<_, stylefleet_transport::store::StoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of the file system.
    Folder(PathBuf),
    /// A bucket, or what lies in it under a prefix.
    Bucket {
        /// The bucket.
        bucket: String,
        /// Under which all keys lie, without slashes at its ends; may be empty.
        prefix: String,
    },
}

impl FromStr for Location {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let unusable = |reason: &str| StoreError::Setting {
            what: format!("\"{text}\" as a store"),
            source: reason.into(),
        };
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text {
                "" => Err(unusable("name a folder, or s3://bucket[/prefix]")),
                path => Ok(Self::Folder(path.into())),
            };
        };
        if scheme != "s3" {
            return Err(unusable("it is neither a folder nor s3://bucket[/prefix]"));
        }
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        if !is_bucket(bucket) {
            return Err(unusable(
                "a bucket's name has 3 to 63 lower-case letters, digits, hyphens and dots",
            ));
        }
        if !prefix.is_empty() && checked(prefix).is_err() {
            return Err(unusable("its prefix has empty parts or climbs"));
        }
        Ok(Self::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

fn is_bucket(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|&c| plain(c) || c == b'-' || c == b'.')
        && [bytes.first(), bytes.last()]
            .iter()
            .flatten()
            .all(|&&c| plain(c))
        && !name.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_folders_and_buckets() {
        let bucket = |bucket: &str, prefix: &str| Location::Bucket {
            bucket: bucket.into(),
            prefix: prefix.into(),
        };
        for (text, location, shown) in [
            (
                "out/store",
                Location::Folder("out/store".into()),
                "out/store",
            ),
            ("/srv/a b", Location::Folder("/srv/a b".into()), "/srv/a b"),
            ("s3://fleet", bucket("fleet", ""), "s3://fleet"),
            ("s3://fleet/", bucket("fleet", ""), "s3://fleet"),
            (
                "s3://my.fleet-2/a/b/",
                bucket("my.fleet-2", "a/b"),
                "s3://my.fleet-2/a/b",
            ),
        ] {
            let read: Location = text.parse().expect(text);
            assert_eq!(read, location);
            assert_eq!(read.to_string(), shown);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "http://host/bucket",
            "S3://fleet",
            "s3://",
            "s3:///prefix",
            "s3://ab",
            "s3://Fleet",
            "s3://a_fleet",
            "s3://-fleet",
            "s3://fleet.",
            "s3://flee..t",
            "s3://user:password@host/fleet",
            "s3://fleet/../other",
            "s3://fleet//a",
            "s3://fleet/a//",
        ] {
            let refused = text.parse::<Location>();
            assert!(matches!(refused, Err(StoreError::Setting { .. })), "{text}");
        }
    }
}
