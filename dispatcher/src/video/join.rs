//! From the chunks of a video that are done to the video.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use stylefleet_fleet::batch::Batch;
use stylefleet_fleet::documents::DocumentError;
use stylefleet_fleet::state;
use stylefleet_model::video::Video;
use stylefleet_model::{Invalid, Valid};
use stylefleet_proto::{BatchId, Digest, Input, Labels, ManifestEntry, Record, keys};
use stylefleet_transport::store::{Store, StoreError};
use stylefleet_video::{Clip, Span, Tools, join};

use crate::commands::{CommandError, Ending};
use crate::order::{Assembled, OrderError, on_this_machine};
use crate::output;

/// The labels that say which part of the clip a video has, in seconds.
pub const FROM: &str = "from";
pub const TO: &str = "to";

/// Why a video cannot be planned or joined.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// The clip cannot be read, or the video not written.
    #[error(transparent)]
    Video(#[from] stylefleet_video::Error),
    /// There is no room for temporary files.
    #[error("no temporary file can be written: {0}: set TMPDIR to a folder with more room")]
    Disk(#[source] std::io::Error),
    /// A batch is no video.
    #[error("{0} is no batch of a video: fetch its results with stylefleet fetch")]
    NoVideo(BatchId),
    /// No chunk of it is done.
    #[error("no chunk of it is done so far: wait, and see stylefleet status")]
    NothingYet,
    /// The clip is gone from the store.
    #[error("the clip is not in the store as inputs/{0}: submit the video again")]
    NoClip(Digest),
    /// The output of a chunk is gone from the store.
    #[error("{0} is missing in the store: submit the video again")]
    NoChunk(String),
    /// A record does not say what it should.
    #[error("the record of a chunk is damaged: {0}: submit the video again")]
    Record(#[source] serde_json::Error),
    /// The same.
    #[error("the record of a chunk is damaged: {0}: submit the video again")]
    Invalid(#[from] Invalid),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A document of the store cannot be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A thread panicked.
    #[error("a thread failed: {0}: please report this")]
    Thread(String),
}

impl From<VideoError> for OrderError {
    fn from(error: VideoError) -> Self {
        match error {
            VideoError::Store(error) => Self::Store(error),
            error => Self::Usage(error.into()),
        }
    }
}

/// Arguments of `stylefleet fetch-video`.
#[derive(Debug, clap::Args)]
pub struct FetchVideoArgs {
    /// The batch of a video
    batch: BatchId,

    /// The video's file, or numbered images, as in 'frames/%05d.png'
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs `stylefleet fetch-video`: joins what there is so far.
pub async fn fetch(args: FetchVideoArgs, store: Arc<dyn Store>) -> Result<Ending, CommandError> {
    let out = on_this_machine(args.out)?;
    let tools = Tools::find(None)
        .map_err(VideoError::from)
        .map_err(OrderError::from)?;
    let batch = Batch::open(&*store, &args.batch).await?;
    let is_video = |entry: &ManifestEntry| {
        let kind = entry.kind.as_ref();
        kind.is_some_and(|kind| {
            kind.as_ref() == <Valid<Video> as stylefleet_proto::Specification>::KIND
        })
    };
    if !batch.manifest.jobs.iter().all(is_video) {
        return Err(OrderError::from(VideoError::NoVideo(args.batch)).into());
    }
    let assembled = joined(tools, store, batch.manifest.jobs, out).await?;
    output::lines(false).show(&assembled.news());
    Ok(if assembled.missing == 0 {
        Ending::AllDone
    } else {
        Ending::SomeFailed
    })
}

/// Joins the chunks that are done into `out`. Where chunks are missing, the frame before stays.
pub async fn joined(
    tools: Tools,
    store: Arc<dyn Store>,
    entries: Vec<ManifestEntry>,
    out: PathBuf,
) -> Result<Assembled, OrderError> {
    Ok(gathered(tools, store, entries, out).await?)
}

async fn gathered(
    tools: Tools,
    store: Arc<dyn Store>,
    entries: Vec<ManifestEntry>,
    out: PathBuf,
) -> Result<Assembled, VideoError> {
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(VideoError::Disk)?;
    // Beside the video, where there has to be room for it.
    let parts = tempfile::Builder::new()
        .prefix(".stylefleet-join-")
        .tempdir_in(folder);
    let parts = parts.map_err(VideoError::Disk)?;
    let mut chunks = Vec::new();
    let mut about: Option<(Valid<Video>, Input, Span)> = None;
    let mut end = None;
    for entry in &entries {
        let Some(record) = state::record(&*store, &entry.job).await? else {
            continue;
        };
        let video = specification(&record)?;
        let chunk = parts.path().join(format!("{:06}.nut", chunks.len()));
        save(&*store, &record, &chunk).await?;
        chunks.push(chunk);
        end = video.chunk.times.last().copied();
        if about.is_none() {
            let clip = record
                .inputs
                .iter()
                .find(|input| input.role == Video::clip());
            let clip = clip.ok_or_else(|| Invalid::new("inputs", "lack the clip"))?;
            about = Some((video, clip.clone(), span(&entry.labels)));
        }
    }
    let Some((video, Input { sha256, name, .. }, mut span)) = about else {
        return Err(VideoError::NothingYet);
    };
    let source = parts.path().join("clip");
    if !store
        .get_file(&keys::input(&sha256), &source, &sha256)
        .await?
    {
        return Err(VideoError::NoClip(sha256));
    }
    let missing = entries.len() - chunks.len();
    let job = move || {
        let clip = Clip::probe(&tools, &source, u64::MAX)?;
        if missing > 0 {
            // The sound ends with the pictures.
            let end = end.map(|end| clip.seconds_from_start(end));
            span.to = match (span.to, end) {
                (Some(to), Some(end)) => Some(to.min(end)),
                (to, end) => to.or(end),
            };
        }
        let encoding = video.encoding;
        let notes = join(
            &tools,
            &chunks,
            &clip,
            video.chunk.start,
            &span,
            &encoding,
            &out,
        )?;
        // People know the clip by its own name.
        let path = source.display().to_string();
        let notes = notes
            .into_iter()
            .map(|note| note.replace(&path, name.as_ref()));
        drop(parts);
        Ok(Assembled {
            path: out,
            notes: notes.collect(),
            missing,
        })
    };
    blocking(job).await
}

/// Does what takes a while on another thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VideoError> + Send + 'static,
) -> Result<T, VideoError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| VideoError::Thread(error.to_string()))?
}

fn specification(record: &Record) -> Result<Valid<Video>, VideoError> {
    let video = serde_json::from_value(record.specification.clone()).map_err(VideoError::Record)?;
    Ok(Valid::new(video)?)
}

/// Brings a chunk's file.
async fn save(store: &dyn Store, record: &Record, path: &Path) -> Result<(), VideoError> {
    let output = record
        .outputs
        .first()
        .ok_or_else(|| Invalid::new("outputs", "are none"))?;
    let Some(bytes) = store.get(&output.key).await? else {
        return Err(VideoError::NoChunk(output.key.clone()));
    };
    std::fs::write(path, bytes).map_err(VideoError::Disk)
}

fn span(labels: &Labels) -> Span {
    let end = |label: &str| labels[label].parse().ok();
    Span {
        from: end(FROM),
        to: end(TO),
    }
}
