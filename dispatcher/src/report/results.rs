//! What became of the jobs.

use futures_util::{StreamExt, TryStreamExt, stream};
use stylefleet_fleet::documents::{self, DocumentError};
use stylefleet_fleet::state::{self, State};
use stylefleet_proto::{Curve, Input, JobId, ManifestEntry, Output, Record, Role, keys};
use stylefleet_transport::store::Store;

use super::ReportError;
use super::album::Album;
use super::document::{Entry, File, Made, parameters};
use super::originals::{Originals, link_to};

/// Results that are read at once.
const AT_ONCE: usize = 16;
/// Points of a curve that are drawn.
const MAX_POINTS: usize = 160;
/// Inputs of a job that are listed: a network may be trained on thousands of photographs.
const MAX_INPUTS: usize = 12;

/// Reads what there is of each result, in their order. Its pictures are added to the album.
pub async fn read(
    store: &dyn Store,
    entries: &[(ManifestEntry, Option<bool>)],
    originals: &Originals,
    album: &mut Album,
) -> Result<Vec<Entry>, ReportError> {
    let jobs: Vec<_> = entries
        .iter()
        .map(|(entry, accepted)| (entry.job, *accepted))
        .collect();
    let states = state::of_all(store, &jobs).await?;
    let found: Vec<_> = stream::iter(entries.iter().zip(states))
        .map(|((entry, _), state)| find(store, entry, state))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let shown = |found: Found| found.entry(store, originals, album);
    Ok(found.into_iter().map(shown).collect())
}

/// What the store has of a result.
struct Found<'a> {
    entry: &'a ManifestEntry,
    state: State,
    record: Option<Record>,
    curve: Option<Curve>,
    reason: Option<String>,
}

async fn find<'a>(
    store: &dyn Store,
    entry: &'a ManifestEntry,
    state: State,
) -> Result<Found<'a>, ReportError> {
    let mut found = Found {
        entry,
        state,
        record: None,
        curve: None,
        reason: None,
    };
    let read = match state {
        State::Done => documents_of(store, &entry.job, &mut found).await,
        State::Failed => failure(store, &entry.job, &mut found).await,
        _ => Ok(()),
    };
    match read {
        Err(DocumentError::Store(error)) => return Err(error.into()),
        // That concerns this result alone.
        Err(damaged) => found.reason = Some(damaged.to_string()),
        Ok(()) => {}
    }
    Ok(found)
}

async fn documents_of(
    store: &dyn Store,
    job: &JobId,
    found: &mut Found<'_>,
) -> Result<(), DocumentError> {
    let Some(record) = state::record(store, job).await? else {
        return Ok(());
    };
    let curve = record.output(Curve::ROLE).map(|curve| curve.key.clone());
    found.record = Some(record);
    if let Some(key) = curve {
        let curve = documents::read::<Curve>(store, &key).await?;
        found.curve = curve.map(|curve| thinned(&curve));
    }
    Ok(())
}

async fn failure(
    store: &dyn Store,
    job: &JobId,
    found: &mut Found<'_>,
) -> Result<(), DocumentError> {
    let failure = state::failure(store, job).await?;
    found.reason = failure.map(|failure| {
        let attempts = failure.attempts;
        format!("{} ({attempts} attempts)", failure.reason)
    });
    Ok(())
}

impl Found<'_> {
    fn entry(self, store: &dyn Store, originals: &Originals, album: &mut Album) -> Entry {
        let ManifestEntry {
            job,
            name,
            kind,
            labels,
        } = self.entry;
        let record = self.record.as_ref();
        let kind = record.map(|record| &record.kind).or(kind.as_ref());
        let inputs = record.map_or(&[][..], |record| &record.inputs);
        let outputs = record.map_or(&[][..], |record| &record.outputs);
        let input = |input: &Input| {
            let key = keys::input(&input.sha256);
            File {
                role: input.role.to_string(),
                name: input.name.to_string(),
                link: link_to(&store.locate(&key)),
                picture: Some(album.add(key, false)),
            }
        };
        let inputs_shown = inputs.iter().take(MAX_INPUTS).map(input).collect();
        // The foremost picture stands for the result.
        let is_picture = |output: &Output| output.media_type.starts_with("image/");
        let first = outputs.iter().position(is_picture);
        let output = |(index, output): (usize, &Output)| File {
            role: output.role.to_string(),
            name: output.media_type.clone(),
            link: originals.link(job, &output.role, &store.locate(&output.key)),
            picture: is_picture(output)
                .then(|| album.add(output.key.clone(), Some(index) == first)),
        };
        Entry {
            name: name.to_string(),
            job: *job,
            state: self.state,
            kind: kind.map(Role::to_string),
            labels: labels.clone(),
            reason: self.reason,
            parameters: record.map_or_else(Vec::new, |r| parameters(&r.specification)),
            more_inputs: inputs.len().saturating_sub(MAX_INPUTS),
            inputs: inputs_shown,
            outputs: outputs.iter().enumerate().map(output).collect(),
            made: self.record.map(Made::from),
            curve: self.curve,
        }
    }
}

impl From<Record> for Made {
    fn from(record: Record) -> Self {
        Self {
            seconds: record.seconds,
            steps: record.steps,
            attempt: record.attempt,
            device: record.device,
            figures: record.figures,
            notes: record.notes,
            made_with: record.made_with,
        }
    }
}

/// As many points as are drawn, the first and the last among them, with no more digits than can be
/// seen.
fn thinned(curve: &Curve) -> Curve {
    let points = curve
        .phase
        .len()
        .min(curve.steps.len())
        .min(curve.loss.len());
    let kept = points.min(MAX_POINTS);
    let at = |index: usize| index * (points - 1) / (kept - 1).max(1);
    let kept: Vec<_> = (0..kept).map(at).collect();
    let loss = |values: &[f64]| {
        let values = kept.iter().map(|&at| values.get(at).copied());
        values
            .map(|value| rounded(value.unwrap_or(f64::NAN)))
            .collect()
    };
    Curve {
        phase: kept.iter().map(|&at| curve.phase[at]).collect(),
        steps: kept.iter().map(|&at| curve.steps[at]).collect(),
        loss: loss(&curve.loss),
        terms: curve
            .terms
            .iter()
            .map(|(name, values)| (name.clone(), loss(values)))
            .collect(),
    }
}

fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;
    use stylefleet_proto::testing::record;
    use stylefleet_proto::{Failure, Labels};
    use stylefleet_transport::store::MemoryStore;

    use super::*;

    #[test]
    fn long_curves_keep_their_ends() {
        let curve = Curve {
            phase: vec![1; 1000],
            steps: (0..1000).collect(),
            loss: (0..1000).map(|step| 1e6 / f64::from(step + 1)).collect(),
            terms: [("loss.tv".to_owned(), vec![1.0; 1000])].into(),
        };
        let thin = thinned(&curve);
        assert_eq!(thin.steps.len(), MAX_POINTS);
        assert_eq!(
            (thin.steps.first(), thin.steps.last()),
            (Some(&0), Some(&999))
        );
        assert!(thin.steps.is_sorted_by(|a, b| a < b));
        assert_eq!(thin.terms["loss.tv"].len(), MAX_POINTS);
        assert_eq!(thinned(&Curve::default()), Curve::default());
        let one = Curve {
            phase: vec![1],
            steps: vec![5],
            loss: vec![1.234_56],
            ..Curve::default()
        };
        assert_eq!(
            (thinned(&one).steps, thinned(&one).loss),
            (vec![5], vec![1.235])
        );
    }

    #[tokio::test]
    async fn results_come_with_what_the_store_has_of_them() {
        let store = MemoryStore::default();
        let job = |number: u8| format!("{number:064x}").parse().expect("an id");
        let entry = |number: u8, accepted| {
            let entry = ManifestEntry {
                job: job(number),
                name: format!("r{number}").parse().expect("a name"),
                kind: None,
                labels: Labels::default().with("preset", "studio"),
            };
            (entry, Some(accepted))
        };
        let done = record(job(1), b"picture");
        let failure = Failure {
            job: job(2),
            reason: "it ran out of memory".to_owned(),
            attempts: 5,
        };
        for (key, document) in [
            (keys::result(&job(1)), json!(done)),
            (keys::failed(&job(2)), json!(failure)),
            (keys::result(&job(3)), json!({"job": "other"})),
        ] {
            let bytes = Bytes::from(document.to_string());
            store.put(&key, bytes).await.expect("writes");
        }
        let entries = [
            entry(1, true),
            entry(2, true),
            entry(3, true),
            entry(4, true),
            entry(5, false),
        ];
        let mut album = Album::default();
        let read = read(&store, &entries, &Originals::default(), &mut album).await;
        let read = read.expect("reads");
        let states: Vec<_> = read.iter().map(|entry| entry.state).collect();
        assert_eq!(
            states,
            [
                State::Done,
                State::Failed,
                State::Done,
                State::Waiting,
                State::NotAccepted
            ]
        );
        let first = &read[0];
        assert_eq!(first.made.as_ref().map(|made| made.steps), Some(done.steps));
        assert_eq!(first.outputs.len(), done.outputs.len());
        assert!(first.outputs[0].picture.is_some());
        let reason = |index: usize| read[index].reason.clone().expect("has one");
        assert_eq!(reason(1), "it ran out of memory (5 attempts)");
        assert!(reason(2).contains("results/"), "{}", reason(2));
        assert!(read[3].reason.is_none() && read[3].made.is_none());
    }
}
