//! A film of its chunks.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::thread;

use crate::clip::{Kind, Stream};
use crate::codec::Encode;
use crate::container::{Carried, Container};
use crate::ffmpeg::{self, Run};
use crate::{Clip, Codec, Encoding, Error, Span, Tools};

/// Makes the film of its chunks, with the sound, subtitles, chapters and metadata that the clip has
/// in the span. `first` is the time stamp in the clip of the first frame. The film appears under
/// its name once it is complete; numbered images, such as `frames/%05d.png`, appear one by one.
///
/// A film of the whole clip starts when the clip does, and one of a part of it with its first
/// frame. Time stamps are exactly those of the clip; Matroska and WebM round them to milliseconds.
///
/// Returns what could not be carried over, in words.
///
/// # Errors
///
/// If the chunks do not belong together, the codec does not fit the name, or the film cannot be
/// written.
pub fn join(
    tools: &Tools,
    chunks: &[PathBuf],
    clip: &Clip,
    first: i64,
    span: &Span,
    encoding: &Encoding,
    out: &Path,
) -> Result<Vec<String>, Error> {
    span.check()?;
    let container = Container::of(out)?;
    if !container.holds(encoding.codec) {
        return Err(Error::Invalid(format!(
            "{} cannot hold {}: choose another codec or ending",
            out.display(),
            encoding.codec
        )));
    }
    check(chunks)?;
    let start = clip.seconds(first) - clip.start;
    let mut command = ffmpeg::command(tools);
    if span.from.is_none() {
        command.args(["-itsoffset", &format!("{start:.6}")]);
    }
    command.args(["-f", "nut", "-i", "pipe:0"]);
    if let Container::Images(_) = container {
        write_images(&mut command, clip, encoding, out);
        run(tools, command, chunks, out)?;
        return Ok(clip
            .others
            .iter()
            .map(|other| left_out(clip, other))
            .collect());
    }
    let cut = span.from.is_some();
    if cut {
        command.args(["-ss", &format!("{start:.6}")]);
    }
    ffmpeg::input(&mut command, &clip.path);
    command.args(["-map", "0:v:0", "-c:v", "copy"]);
    let notes = carry(&mut command, clip, container);
    if cut {
        // Or sound from the last key frame before the cut is kept.
        command.args(["-copypriorss", "0"]);
    }
    if let Some(to) = span.to {
        let begin = if cut { start } else { 0.0 };
        command.args(["-t", &format!("{:.6}", to - begin)]);
    }
    command.args([
        "-map_metadata",
        "1",
        "-map_chapters",
        "1",
        "-fflags",
        "+bitexact",
    ]);
    command.args(["-flags:a", "+bitexact"]);
    encoding.colors(&clip.colors, clip.size).tag(&mut command);
    describe(&mut command, container, clip, encoding.codec);

    let file = beside(out)?;
    command.arg(ffmpeg::url(file.path()));
    run(tools, command, chunks, out)?;
    file.persist(out).map_err(|error| Error::Io {
        action: "write",
        path: out.into(),
        source: error.error,
    })?;
    Ok(notes)
}

/// Options that make images of the chunks.
fn write_images(command: &mut Command, clip: &Clip, encoding: &Encoding, out: &Path) {
    let colors = encoding.colors(&clip.colors, clip.size);
    let filter = format!(
        "{},format={},{}",
        colors.encode_filter(),
        encoding.pixel_format(),
        colors.tag_filter()
    );
    command.args(["-vf", &filter, "-fps_mode", "passthrough"]);
    encoding.encoder(command);
    command
        .args(["-fflags", "+bitexact", "-flags:v", "+bitexact"])
        .args(["-f", "image2", "-atomic_writing", "1"])
        .arg(ffmpeg::url(out));
}

/// Options that carry over what the container holds. What it does not, in words.
fn carry(command: &mut Command, clip: &Clip, container: Container) -> Vec<String> {
    let mut notes = Vec::new();
    let mut carried = 1; // After the moving pictures.
    for stream in &clip.others {
        let codec = match container.carries(stream) {
            Carried::Copied => "copy",
            Carried::As(encoder) => encoder,
            Carried::Left => {
                notes.push(left_out(clip, stream));
                continue;
            }
        };
        command
            .args(["-map", &format!("1:{}", stream.index)])
            .args([&format!("-c:{carried}"), codec]);
        carried += 1;
    }
    notes
}

/// That a stream is not carried over, in words.
fn left_out(clip: &Clip, stream: &Stream) -> String {
    let kind = match stream.kind {
        Kind::Sound => "sound",
        Kind::Subtitles => "subtitles",
        Kind::Attachment => "an attachment",
        Kind::Other => "data",
    };
    let (index, codec) = (stream.index, &stream.codec);
    format!(
        "stream {index} of {} ({kind}, {codec}) is left out",
        clip.path.display()
    )
}

/// Options of the container.
fn describe(command: &mut Command, container: Container, clip: &Clip, codec: Codec) {
    if matches!(container, Container::Mp4 | Container::Mov) {
        // A multiple keeps time stamps exact, and coarse clocks are not understood everywhere.
        let mut scale = clip.time_base.den;
        while scale < 10_000 {
            scale *= 2;
        }
        // The start is kept on the clock of the whole.
        for clock in ["-video_track_timescale", "-movie_timescale"] {
            command.args([clock, &scale.to_string()]);
        }
        command.args(["-movflags", "+faststart"]);
        if codec == Codec::Hevc {
            // Apple's players know no other.
            command.args(["-tag:v", "hvc1"]);
        }
    }
    command.args(["-f", container.muxer()]);
}

/// A temporary file in the same folder, so that it can be renamed.
fn beside(out: &Path) -> Result<tempfile::NamedTempFile, Error> {
    use std::os::unix::fs::PermissionsExt;

    let folder = match out.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".")
        .suffix(".part")
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|source| Error::Io {
            action: "write",
            path: out.into(),
            source,
        })
}

/// Runs it with the chunks as its standard input.
fn run(tools: &Tools, mut command: Command, chunks: &[PathBuf], out: &Path) -> Result<(), Error> {
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut run = Run::start(tools, command)?;
    let pipe = run.stdin();
    let (fed, (success, said)) = thread::scope(|scope| {
        let feeder = scope.spawn(|| pipe.map_or(Ok(()), |pipe| feed(chunks, pipe)));
        let ended = run.finish();
        (feeder.join(), ended)
    });
    if let Ok(Err(error)) = fed {
        return Err(error);
    }
    if success {
        Ok(())
    } else {
        Err(Error::Unwritten {
            path: out.into(),
            said,
        })
    }
}

/// Writes the chunks one after the other. If the reader is gone, it says why.
fn feed(chunks: &[PathBuf], mut pipe: ChildStdin) -> Result<(), Error> {
    for (index, path) in chunks.iter().enumerate() {
        let failed = |source| Error::Io {
            action: "read",
            path: path.clone(),
            source,
        };
        let mut file = File::open(path).map_err(failed)?;
        // Only the first word of a film may be what the format is called.
        let mut name = [0; NUT.len()];
        file.read_exact(&mut name).map_err(failed)?;
        if index == 0 && pipe.write_all(&name).is_err() {
            return Ok(());
        }
        match io::copy(&mut file, &mut pipe) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(failed)?,
        };
    }
    Ok(())
}

/// What a chunk begins with.
const NUT: &[u8; 25] = b"nut/multimedia container\0";

/// Where the headers of a chunk end, and its frames begin.
const SYNCPOINT: [u8; 8] = [0x4E, 0x4B, 0xE4, 0xAD, 0xEE, 0xCA, 0x45, 0x69];

/// Checks that the chunks were encoded alike: their headers tell.
fn check(chunks: &[PathBuf]) -> Result<(), Error> {
    let mut first = None;
    for path in chunks {
        let broken = |found| Error::Chunk {
            path: path.clone(),
            found,
        };
        let header = header(path)?.ok_or_else(|| broken("is damaged"))?;
        if *first.get_or_insert_with(|| header.clone()) != header {
            return Err(broken("was encoded in another way than those before it"));
        }
    }
    match first {
        Some(_) => Ok(()),
        None => Err(Error::Invalid("there are no chunks to join".into())),
    }
}

/// The headers of a chunk, if it has them.
fn header(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(1 << 16).read_to_end(&mut head))
        .map_err(|source| Error::Io {
            action: "read",
            path: path.into(),
            source,
        })?;
    let end = head
        .windows(SYNCPOINT.len())
        .position(|word| word == SYNCPOINT);
    head.truncate(end.unwrap_or(0));
    Ok(head.starts_with(NUT).then_some(head))
}
