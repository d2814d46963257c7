//! Which of many objects there are, from listings instead of a request for each.

use std::collections::HashSet;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::S3Store;
use crate::store::{Store, StoreError, checked};

/// Keys on a page of a listing: the most that servers give.
const PAGE: usize = 1000;
/// Listings at once.
const AT_ONCE: usize = 8;

impl S3Store {
    /// Which of these objects there are, in the order of their keys here.
    pub(super) async fn find(&self, keys: &[String]) -> Result<Vec<bool>, StoreError> {
        if let [key] = keys {
            return Ok(vec![self.contains(key).await?]);
        }
        let mut sorted = Vec::with_capacity(keys.len());
        for key in keys {
            sorted.push(checked(key)?);
        }
        sorted.sort_unstable();
        let parts: Vec<_> = sorted
            .chunks(PAGE)
            .map(|part| self.find_sorted(part))
            .collect();
        let found: HashSet<String> = stream::iter(parts)
            .buffer_unordered(AT_ONCE)
            .try_concat()
            .await?;
        Ok(keys.iter().map(|key| found.contains(key)).collect())
    }

    /// The same of sorted keys. Reads the bucket's own list of keys, and skips what lies between
    /// those that are wanted: no more requests than keys, and none for keys that share a page.
    async fn find_sorted(&self, mut wanted: &[&str]) -> Result<HashSet<String>, StoreError> {
        let folder = common_folder(wanted);
        let mut found = HashSet::new();
        let mut after = String::new();
        while let Some(first) = wanted.first() {
            // Listings begin after a key: the first one without its last character comes before it.
            let (last, _) = first.char_indices().last().unwrap_or_default();
            after = after.max(first[..last].to_owned());
            let request = self.client.list_objects_v2().bucket(&self.bucket);
            let request = request.prefix(format!("{}{folder}", self.prefix));
            let request = request.start_after(format!("{}{after}", self.prefix));
            let page = request.max_keys(PAGE as i32).send().await;
            let page = page.map_err(|e| self.fault("list", folder, e))?;
            let there: HashSet<_> = self.keys(&page).collect();
            let reached = match there.iter().max() {
                Some(last) if page.is_truncated() == Some(true) => {
                    if **last <= *after {
                        return Err(StoreError::Unreliable {
                            what: format!("the list of {}", self.locate(folder)),
                        });
                    }
                    after = (*last).to_owned();
                    wanted.partition_point(|key| key <= last)
                }
                _ => wanted.len(),
            };
            let (asked, rest) = wanted.split_at(reached);
            let known = asked.iter().filter(|key| there.contains(*key));
            found.extend(known.map(|key| (*key).to_owned()));
            wanted = rest;
        }
        Ok(found)
    }
}

/// The folder that all of these sorted keys are in.
fn common_folder<'a>(sorted: &[&'a str]) -> &'a str {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return "";
    };
    let differ = first.bytes().zip(last.bytes()).position(|(a, b)| a != b);
    let shared = &first.as_bytes()[..differ.unwrap_or(first.len().min(last.len()))];
    let end = shared.iter().rposition(|byte| *byte == b'/');
    end.map_or("", |end| &first[..=end])
}
