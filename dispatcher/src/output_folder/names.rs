//! Which job has which name in the folder. The record says so that is beside the outputs; a name
//! that any other file bears is a person's.

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::PathBuf;

use bytes::Bytes;
use stylefleet_proto::{JobId, ManifestEntry, Name, Record};
use stylefleet_transport::store::{FolderStore, Store, StoreError};

use super::files;
use super::record_file::RecordFile;

/// The names in the folder.
pub struct Names {
    folder: PathBuf,
    files: FolderStore,
    /// The files in each subfolder that was looked into.
    listings: HashMap<String, BTreeSet<String>>,
    /// Whose the names with a record are, as far as their records were read.
    owners: HashMap<String, Option<JobId>>,
    /// The names that this command uses, each for one result.
    used: HashMap<String, Name>,
}

impl Names {
    /// Those of `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self {
            files: FolderStore::new(&folder),
            folder,
            listings: HashMap::new(),
            owners: HashMap::new(),
            used: HashMap::new(),
        }
    }

    /// The name that the folder knows the result by, or else the first free one, which is then
    /// taken by writing `claim` as its record. One of `left` will not do. What lost its record is
    /// known by its main output, where `record` has one.
    pub async fn find_or_take(
        &mut self,
        entry: &ManifestEntry,
        left: &[String],
        claim: &Bytes,
        record: Option<&Record>,
    ) -> Result<String, StoreError> {
        loop {
            let mut name = self.find(entry, left).await?;
            if name.is_none() {
                name = self.take(entry, claim, record).await?;
            }
            if let Some(name) = name {
                self.reserve(&name, record)?;
                return Ok(name);
            }
            // Another command was quicker, which may have been for the same result.
        }
    }

    /// The name that the folder knows the result by: the one wanted, or that with a number.
    async fn find(
        &mut self,
        entry: &ManifestEntry,
        left: &[String],
    ) -> Result<Option<String>, StoreError> {
        for name in self.relatives(entry.name.as_ref())? {
            let used = self.used.get(&name);
            if used.is_some_and(|other| *other != entry.name) || left.contains(&name) {
                continue;
            }
            if self.owner(&name).await? == Some(entry.job) {
                self.used.insert(name.clone(), entry.name.clone());
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Takes the first name that is free, unless another command was quicker.
    async fn take(
        &mut self,
        entry: &ManifestEntry,
        claim: &Bytes,
        record: Option<&Record>,
    ) -> Result<Option<String>, StoreError> {
        let mut name = entry.name.to_string();
        let mut number = 1;
        while !self.is_free(&name, record)? && !self.is_orphan(&name, record).await? {
            number += 1;
            name = format!("{}-{number}", entry.name);
        }
        let file = format!("{name}.{}", RecordFile::ENDING);
        let (folder, leaf) = split(&file);
        self.listing(folder)?.insert(leaf.to_owned());
        if !self.files.put_new(&file, claim.clone()).await? {
            return Ok(None);
        }
        self.owners.insert(name.clone(), Some(entry.job));
        self.used.insert(name.clone(), entry.name.clone());
        Ok(Some(name))
    }

    /// The names with a record that `wanted` may have become, itself first.
    fn relatives(&mut self, wanted: &str) -> Result<Vec<String>, StoreError> {
        let (folder, leaf) = split(wanted);
        let root = unnumbered(leaf);
        let listing = self.listing(folder)?;
        let mut names: Vec<_> = listing
            .range(root.to_owned()..)
            .take_while(|file| file.starts_with(root))
            .filter_map(|file| file.strip_suffix(RecordFile::ENDING)?.strip_suffix('.'))
            .filter(|name| unnumbered(name) == root)
            .collect();
        names.sort_by_key(|name| (*name != leaf, name.len()));
        let path = |name: &str| match folder {
            "" => name.to_owned(),
            _ => format!("{folder}/{name}"),
        };
        Ok(names.into_iter().map(path).collect())
    }

    async fn owner(&mut self, name: &str) -> Result<Option<JobId>, StoreError> {
        if let Some(known) = self.owners.get(name) {
            return Ok(*known);
        }
        let file = format!("{name}.{}", RecordFile::ENDING);
        let record = self.files.get(&file).await?;
        let owner = record.and_then(|bytes| RecordFile::parse(&bytes));
        let owner = owner.map(|record| record.job);
        self.owners.insert(name.to_owned(), owner);
        Ok(owner)
    }

    /// Whether no file bears the name: neither one of the files that it would get, as far as they
    /// are known, nor any that is called so but for its ending.
    fn is_free(&mut self, name: &str, record: Option<&Record>) -> Result<bool, StoreError> {
        let (folder, leaf) = split(name);
        let listing = self.listing(folder)?;
        let start = format!("{leaf}.");
        let mut others = listing
            .range(start.clone()..)
            .map_while(|file| file.strip_prefix(&start));
        let mut wanted = record
            .iter()
            .flat_map(|record| files(leaf, &record.outputs));
        Ok(others.all(|ending| ending.contains('.'))
            && !wanted.any(|(file, _)| listing.contains(&file)))
    }

    /// Whether the name has the main output, but no record.
    async fn is_orphan(&mut self, name: &str, record: Option<&Record>) -> Result<bool, StoreError> {
        let Some(record) = record else {
            return Ok(false);
        };
        let (folder, leaf) = split(name);
        let record_file = format!("{leaf}.{}", RecordFile::ENDING);
        if self.listing(folder)?.contains(&record_file) {
            return Ok(false);
        }
        let Some((file, output)) = files(name, &record.outputs).into_iter().next() else {
            return Ok(false);
        };
        let there = self.files.get(&file).await?;
        Ok(there.is_some_and(|bytes| output.is(&bytes)))
    }

    /// Lists the files that a result will have: no other is to bear their names.
    fn reserve(&mut self, name: &str, record: Option<&Record>) -> Result<(), StoreError> {
        let (folder, leaf) = split(name);
        let files = record.map(|record| files(leaf, &record.outputs));
        let files = files.into_iter().flatten().map(|(file, _)| file);
        self.listing(folder)?.extend(files);
        Ok(())
    }

    fn listing(&mut self, folder: &str) -> Result<&mut BTreeSet<String>, StoreError> {
        if !self.listings.contains_key(folder) {
            let path = self.folder.join(folder);
            let files = match std::fs::read_dir(&path) {
                Ok(entries) => entries
                    .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                    .collect(),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
                Err(error) => Err(error),
            };
            let files = files.map_err(|source| StoreError::Io {
                action: "list",
                what: path.display().to_string(),
                source,
            })?;
            self.listings.insert(folder.to_owned(), files);
        }
        Ok(self.listings.entry(folder.to_owned()).or_default())
    }
}

/// Subfolder and the rest.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// The name without the numbers that tell it from others: `a.b-2-3` is one of `a.b`.
fn unnumbered(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((rest, number)) if !rest.is_empty() && is_number(number) => unnumbered(rest),
        _ => name,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_do_not_count() {
        for (name, root) in [
            ("a.b", "a.b"),
            ("a.b-2", "a.b"),
            ("a.b-2-13", "a.b"),
            ("a-1.b", "a-1.b"),
            ("-2", "-2"),
            ("a-", "a-"),
            ("a-2x", "a-2x"),
        ] {
            assert_eq!(unnumbered(name), root);
        }
    }
}
