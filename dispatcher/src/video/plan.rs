//! From what was typed to chunks, and from chunks to jobs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use stylefleet_fleet::frames;
use stylefleet_model::Choice;
use stylefleet_model::stylize::{MAX_SIDE, MIN_SIDE, Size};
use stylefleet_model::video::{self, Codec, Encoding, Temporal, TimeBase, Video, Way};
use stylefleet_proto::{Input, Name, Valid};
use stylefleet_video::{
    Clip, Container, Frame, Ratio, Span, Tools, is_pattern, nearest_size, to_clip,
};

use super::chunks::{Chunk, of_frames, of_scenes};
use super::flow::FlowFolder;
use super::join::{FROM, TO, VideoError, blocking, joined};
use super::options::VideoOptions;
use crate::apply::{self, ApplyPlan};
use crate::images::buckets::{Buckets, is_remote};
use crate::images::upload::upload;
use crate::local::Machine;
use crate::names;
use crate::order::{Assembly, BadOption, OrderError, Plan, Request, Uploader};
use crate::reporter::Reporter;
use crate::stylize;
use crate::stylize::options::Options;
use crate::stylize::plan::PicturePlan;
use crate::table::TableArgs;

/// Frames of a chunk of the optimiser, and of one of a network.
const USUAL: [u32; 2] = [96, 240];
/// Where a video goes unless told otherwise.
const OUT: &str = "out/styled.mp4";
/// Frames a second of numbered images.
const RATE: Ratio = Ratio { num: 25, den: 1 };

/// The video to make.
pub struct VideoPlan {
    options: VideoOptions,
    tools: Tools,
    /// What the frames are redrawn with.
    way: Redrawing,
    source: Source,
    chunks: Vec<Chunk>,
    /// Where the video goes.
    out: PathBuf,
}

/// The one picture that each frame is asked for as.
enum Redrawing {
    Optimize(Box<PicturePlan>),
    Apply(Box<ApplyPlan>),
}

/// The clip, once it was looked at.
struct Source {
    clip: Clip,
    span: Span,
    frames: Vec<Frame>,
    /// Holds a clip that was made of images.
    _made: Option<tempfile::NamedTempFile>,
}

impl Source {
    fn look(options: &VideoOptions, tools: &Tools) -> Result<Self, VideoError> {
        let path = &options.clip;
        let made = if is_pattern(path) {
            let file = tempfile::NamedTempFile::new().map_err(VideoError::Disk)?;
            to_clip(tools, path, options.rate.unwrap_or(RATE), file.path())?;
            Some(file)
        } else {
            None
        };
        let path = made.as_ref().map_or(path.as_path(), |file| file.path());
        let clip = Clip::probe(tools, path, machine(options).max_pixels())?;
        let span = Span {
            from: options.from,
            to: options.to,
        };
        let frames = clip.frames(tools, &span, &mut |_| ())?;
        Ok(Self {
            clip,
            span,
            frames,
            _made: made,
        })
    }
}

impl Redrawing {
    /// The chunks of these frames, of at most so many, if that was said.
    fn chunks(&self, frames: &[Frame], most: Option<u32>) -> Vec<Chunk> {
        let most = |usual| most.unwrap_or(usual) as usize;
        let [optimised, applied] = USUAL;
        match self {
            Self::Optimize(_) => of_scenes(frames, most(optimised)),
            Self::Apply(_) => of_frames(frames.len(), most(applied)),
        }
    }
}

/// What was said of the machine.
fn machine(options: &VideoOptions) -> Machine {
    Machine {
        max_pixels: options.max_pixels,
        ..Machine::default()
    }
}

impl VideoPlan {
    /// Resolves what was asked, and looks at the clip, frame by frame.
    pub async fn new(mut options: VideoOptions, buckets: &Buckets) -> Result<Self, OrderError> {
        for (option, path) in [
            ("clip", Some(&options.clip)),
            ("--flow", options.flow.as_ref()),
        ] {
            if path.is_some_and(|path| is_remote(path)) {
                let reason = "is in a bucket, and has to be a file here: copy it first";
                return Err(BadOption::new(option, reason).into());
            }
        }
        let tools = Tools::find(None).map_err(VideoError::from)?;
        let pictures = Options {
            content: Some(vec![options.clip.clone()]),
            style: Some(std::mem::take(&mut options.style)),
            mask: options.mask.take(),
            blend: Some(true),
            parameters: TableArgs(options.parameters.0.0.clone()),
            max_pixels: options.max_pixels,
            ..Options::default()
        };
        let way = match &options.model {
            None => {
                let plan = stylize::plan(pictures, None, buckets).await?;
                Redrawing::Optimize(plan.into())
            }
            Some(model) => {
                let given = options.temporal.given();
                let given = given.first().map(|field| field.replace('_', "-"));
                let flow = options.flow.as_ref().map(|_| "flow".to_owned());
                if let Some(option) = given.or(flow) {
                    let option = format!("--{option}");
                    return Err(BadOption::new(option, "has no meaning with --model").into());
                }
                let is_unnamed = pictures.style.iter().flatten().next().is_none();
                let asked = apply::Asked::of_pictures(pictures)?;
                let plan = asked.plan(model, buckets).await?;
                let styles = plan.model.header.styles.len();
                if is_unnamed && styles > 1 {
                    let reason = format!("the model has {styles}: name one, or several to blend");
                    return Err(BadOption::new("style", reason).into());
                }
                Redrawing::Apply(plan.into())
            }
        };
        let looked = blocking(move || {
            let source = Source::look(&options, &tools)?;
            Ok((options, tools, source))
        });
        let (options, tools, source) = looked.await?;
        Ok(Self {
            chunks: way.chunks(&source.frames, options.chunk),
            out: OUT.into(),
            options,
            tools,
            way,
            source,
        })
    }

    /// The name of the video's file without its ending, or the folder of its images.
    fn name(&self) -> Result<Name, BadOption> {
        let is_images = matches!(Container::of(&self.out), Ok(Container::Images(_)));
        let named = match self.out.parent() {
            Some(folder) if is_images && folder.file_name().is_some() => folder,
            _ => &self.out,
        };
        let name = names::stem(named).parse::<Name>().ok();
        name.filter(Name::is_plain).ok_or_else(|| {
            let reason = format!("{} is no name for a video", self.out.display());
            BadOption::new("out", reason)
        })
    }

    /// How the video is encoded.
    fn encoding(&self) -> Result<Encoding, OrderError> {
        let container = Container::of(&self.out).map_err(VideoError::from)?;
        let codec = self.options.codec.unwrap_or_else(|| container.codec());
        if !container.holds(codec) {
            let reason = format!(
                "{} cannot hold {}: choose another codec or ending",
                self.out.display(),
                codec.word()
            );
            return Err(BadOption::new("codec", reason).into());
        }
        let clip = self.source.clip.bits;
        let own = codec
            .depths()
            .iter()
            .copied()
            .filter(|&depth| depth <= clip)
            .max();
        let depth = self.options.depth.or(own);
        Ok(Encoding::new(codec, self.options.crf, depth).map_err(BadOption::from)?)
    }

    /// Width and height of the frames: the clip's unless asked otherwise, as the codec takes them.
    fn size(&self, codec: Codec) -> Result<[u32; 2], BadOption> {
        let clip = self.source.clip.size;
        let asked = self.options.parameters.0.0.size;
        let size = asked.map_or(clip, |size| size.of(clip));
        let size = nearest_size(codec, size.map(|side| side.max(MIN_SIDE)));
        if size.iter().any(|&side| side > MAX_SIDE) {
            let [width, height] = size;
            let reason = format!("is {width}x{height}, sides must be at most {MAX_SIDE}");
            return Err(BadOption::new("size", reason));
        }
        Ok(size)
    }

    /// What is asked for each chunk, but for its frames.
    fn way(&self, [width, height]: [u32; 2]) -> Option<Way> {
        let size = Size::Exact { width, height };
        Some(match &self.way {
            Redrawing::Optimize(plan) => {
                let mut picture = plan.pictures.first()?.specification.clone().into_inner();
                picture.parameters.size = size;
                let evaluations = picture.parameters.evaluations;
                Way::Optimize {
                    temporal: self.options.temporal.0.temporal(evaluations),
                    picture,
                }
            }
            Redrawing::Apply(plan) => {
                let mut apply = plan.pictures.first()?.specification.clone().into_inner();
                apply.size = Some(size);
                Way::Apply(apply)
            }
        })
    }

    /// The optical flow that is given, and how frames are held together by it. All of it was looked
    /// at.
    async fn flow(
        &self,
        way: &Way,
        size: [u32; 2],
    ) -> Result<Option<(FlowFolder, Temporal)>, OrderError> {
        let (Some(folder), Way::Optimize { temporal, .. }) = (&self.options.flow, way) else {
            return Ok(None);
        };
        let (folder, temporal) = (FlowFolder(folder.clone()), temporal.clone());
        let (chunks, mut sizes) = (self.chunks.clone(), vec![self.source.clip.size, size]);
        sizes.dedup();
        let checked = blocking(move || {
            folder.check(&chunks, &temporal, &sizes)?;
            Ok((folder, temporal))
        });
        Ok(Some(checked.await?))
    }

    /// Brings all that the chunks are made of into the store, but the clip and the optical flow.
    /// None if an image of it is refused.
    async fn inputs(
        &self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Option<Vec<Input>>, OrderError> {
        use stylefleet_model::apply::Apply;
        use stylefleet_model::stylize::Stylize;
        let mut wanted: Vec<(stylefleet_proto::Role, &PathBuf)> = Vec::new();
        let mut inputs = Vec::new();
        match &self.way {
            Redrawing::Optimize(plan) => {
                for (index, style) in plan.pictures.iter().flat_map(|p| &p.styles).enumerate() {
                    wanted.push((Stylize::style(index), &style.path));
                    wanted.extend(style.mask.iter().map(|mask| (Stylize::mask(index), mask)));
                }
            }
            Redrawing::Apply(plan) => {
                let masks = plan.pictures.iter().flat_map(|p| &p.masks).enumerate();
                let masks =
                    masks.filter_map(|(index, mask)| Some((Apply::mask(index), mask.as_ref()?)));
                wanted.extend(masks);
                inputs.push(Input {
                    role: Apply::model(),
                    sha256: uploader.upload(plan.model.bytes.clone()).await?,
                    name: names::of_file(&plan.model.path)?,
                });
            }
        }
        let paths: HashSet<_> = wanted.iter().map(|(_, path)| *path).collect();
        let images = upload(paths, self.machine().max_pixels(), uploader).await?;
        for (role, path) in wanted {
            match images[path].clone() {
                Ok(image) => inputs.push(image.input(role)),
                Err(refusal) => {
                    reporter.refuse(self.name()?.as_ref(), &refusal.to_string());
                    return Ok(None);
                }
            }
        }
        Ok(Some(inputs))
    }
}

impl Plan for VideoPlan {
    fn machine(&self) -> Machine {
        machine(&self.options)
    }

    fn folder(&mut self, out: PathBuf) -> Result<PathBuf, OrderError> {
        Container::of(&out).map_err(VideoError::from)?;
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new(".")).to_owned();
        self.out = out;
        Ok(folder)
    }

    fn results(&self) -> usize {
        self.chunks.len()
    }

    fn assembly(&self) -> Option<Assembly> {
        let (tools, out) = (self.tools.clone(), self.out.clone());
        Some(Assembly::new(move |store, entries| {
            Box::pin(joined(tools.clone(), store, entries, out.clone()))
        }))
    }

    async fn requests(
        self,
        uploader: &Uploader,
        reporter: &mut Reporter,
    ) -> Result<Vec<Request>, OrderError> {
        let source = &self.source;
        let encoding = self.encoding()?;
        let size = self.size(encoding.codec)?;
        let Some(way) = self.way(size) else {
            return Ok(Vec::new());
        };
        let flow = self.flow(&way, size).await?;
        let Some(inputs) = self.inputs(uploader, reporter).await? else {
            return Ok(Vec::new());
        };
        let role = Video::clip();
        let clip = Input {
            role,
            sha256: uploader.upload_file(&source.clip.path).await?,
            name: names::of_file(&self.options.clip)?,
        };
        let shared = [vec![clip], inputs].concat();
        let (name, base) = (self.name()?, source.clip.time_base);
        let mut requests = Vec::with_capacity(self.chunks.len());
        for (number, chunk) in self.chunks.iter().enumerate() {
            let frames = &source.frames[chunk.frames.clone()];
            let asked = Valid::new(Video {
                chunk: video::Chunk {
                    times: frames.iter().map(|frame| frame.pts).collect(),
                    time_base: TimeBase {
                        numerator: base.num,
                        denominator: base.den,
                    },
                    start: source.frames[0].pts,
                    is_shared: chunk.is_shared,
                },
                way: way.clone(),
                encoding,
            });
            let asked = asked.map_err(BadOption::from)?;
            let name = format!("{name}/{:05}", number + 1).parse()?;
            let mut inputs = shared.clone();
            if let Some((folder, temporal)) = &flow {
                inputs.extend(flow_of(chunk, folder, temporal, uploader).await?);
            }
            let request = Request::new(name, &asked, inputs)?;
            let frames = asked.chunk.written().to_string();
            let request = request.labelled(frames::LABEL, &frames);
            requests.push(labelled(request, &source.span));
        }
        Ok(requests)
    }
}

/// Brings the optical flow of a chunk into the store, if it takes any.
async fn flow_of(
    chunk: &Chunk,
    folder: &FlowFolder,
    temporal: &Temporal,
    uploader: &Uploader,
) -> Result<Option<Input>, OrderError> {
    let (chunk, folder, temporal) = (chunk.clone(), folder.clone(), temporal.clone());
    let packed = blocking(move || folder.packed(&chunk, &temporal)).await?;
    let Some(packed) = packed else {
        return Ok(None);
    };
    Ok(Some(Input {
        role: Video::flow(),
        sha256: uploader.upload_file(packed.path()).await?,
        name: "flow".parse()?,
    }))
}

/// The request, with what of the clip the whole video has.
fn labelled(request: Request, span: &Span) -> Request {
    let ends = [(FROM, span.from), (TO, span.to)];
    let given = ends
        .into_iter()
        .filter_map(|(label, end)| Some((label, end?)));
    given.fold(request, |request, (label, end)| {
        request.labelled(label, &end.to_string())
    })
}
