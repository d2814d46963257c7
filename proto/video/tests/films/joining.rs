//! Films of their chunks.

use std::fs;

use stylefleet_model::Choice;
use stylefleet_video::{
    Clip, Codec, Container, Depth, Encoder, Encoding, Error, Span, join, nearest_size,
};

use crate::common::{Films, probed, times};

/// A film whose frames are shown at uneven times, with sound.
const UNEVEN: &str = "-f lavfi -i testsrc2=size=160x120:rate=24 -f lavfi -i sine -t 4 \
    -vf select='mod(n,5)',setpts=PTS+floor(N/7)*0.011/TB -fps_mode vfr -enc_time_base 1:90000 \
    -video_track_timescale 90000 -c:a aac";

const PACKETS: &str = "-select_streams a -show_entries packet=pts_time";

fn encoding(codec: Codec) -> Encoding {
    Encoding::new(codec, None, None).unwrap()
}

fn uneven(films: &Films) -> Clip {
    films.make(&format!("{UNEVEN} uneven.mp4"));
    films.probe("uneven.mp4").unwrap()
}

/// The length of the sound, in seconds.
fn sound(films: &Films, name: &str) -> f64 {
    films.make(&format!(
        "-i {name} -map 0:a -f s16le -ac 1 -ar 8000 sound.raw"
    ));
    fs::metadata(films.path("sound.raw")).unwrap().len() as f64 / 16000.0
}

#[test]
fn uneven_times_and_sound_are_kept() {
    let films = Films::new();
    let clip = uneven(&films);
    assert!(clip.has_sound() && !clip.has_subtitles());
    assert_eq!((clip.size, clip.bits), ([160, 120], 8));
    let notes = films.through(&clip, Span::default(), 17, encoding(Codec::H264), "out.mp4");
    assert_eq!(notes, Vec::<String>::new());
    let out = films.path("out.mp4");
    assert_eq!(times(&out), times(&clip.path));
    assert_eq!(probed(&out, PACKETS), probed(&clip.path, PACKETS));
    // Of the file, not of its maker alone.
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&out).unwrap().permissions());
    assert_ne!(mode & 0o044, 0);
}

#[test]
fn a_part_of_a_film_has_its_sound() {
    let films = Films::new();
    let clip = uneven(&films);
    let span = Span {
        from: Some(1.0),
        to: Some(3.0),
    };
    films.through(&clip, span, 10, encoding(Codec::H264), "part.mp4");
    let all = times(&clip.path);
    let (start, part) = (clip_start(&all), times(&films.path("part.mp4")));
    let wanted: Vec<_> = all
        .iter()
        .filter(|at| (1.0..3.0).contains(*at))
        .map(|at| at - start)
        .collect();
    assert_eq!(part.len(), wanted.len());
    for (got, wanted) in part.iter().zip(&wanted) {
        assert!((got - wanted).abs() < 1e-5, "{got} is not {wanted}");
    }
    let length = sound(&films, "part.mp4");
    assert!(
        (length - (3.0 - start)).abs() < 0.05,
        "{length} s of sound from {start} s"
    );
}

/// The first frame from a second on.
fn clip_start(times: &[f64]) -> f64 {
    times.iter().copied().find(|at| *at >= 1.0).unwrap()
}

#[test]
fn picture_and_sound_stay_together() {
    let films = Films::new();
    // Once a second, a white frame and a click.
    films.make(
        "-f lavfi -i color=black:size=64x64:rate=25 -f lavfi -i anullsrc=sample_rate=48000 -t 6 \
         -filter_complex \
         [0]drawbox=color=white:t=fill:enable='lt(mod(t+0.001,1),0.04)'[v];\
         [1]aeval='lt(mod(t,1),0.04)*sin(t*4000)'[a] \
         -map [v] -map [a] -c:v libx264 -c:a pcm_s16le clicks.mov",
    );
    let clip = films.probe("clicks.mov").unwrap();
    for (from, name) in [(None, "whole.mkv"), (Some(2.48), "part.mkv")] {
        films.through(
            &clip,
            Span { from, to: None },
            20,
            encoding(Codec::H264),
            name,
        );
        let seen = probed_times(
            &films,
            name,
            "signalstats,metadata=print:key=lavfi.signalstats.YAVG:file=-",
        );
        films.make(&format!(
            "-i {name} -map 0:a -f s16le -ac 1 -ar 48000 -af \
         aresample=async=1:first_pts=0 sound.raw"
        ));
        let samples = fs::read(films.path("sound.raw")).unwrap();
        let loud = samples
            .chunks(2)
            .position(|s| i16::from_le_bytes([s[0], s[1]]).abs() > 3000)
            .unwrap();
        let heard = loud as f64 / 48000.0;
        assert!(
            (seen - heard).abs() < 0.005,
            "{name}: seen at {seen} s, heard at {heard} s"
        );
    }
}

/// When the first bright frame is shown.
fn probed_times(films: &Films, name: &str, filter: &str) -> f64 {
    let output = std::process::Command::new("ffmpeg")
        .args(["-nostdin", "-loglevel", "error", "-i"])
        .arg(films.path(name))
        .args(["-vf", filter, "-f", "null", "-"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let mut at = 0.0;
    for line in said.lines() {
        if let Some((_, time)) = line.split_once("pts_time:") {
            at = time.trim().parse().unwrap();
        }
        if line
            .split_once("YAVG=")
            .is_some_and(|(_, bright)| bright.parse::<f64>().unwrap() > 128.0)
        {
            return at;
        }
    }
    panic!("{name} has no bright frame");
}

#[test]
fn every_codec_fits_its_containers() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=160x120:rate=30000/1001 -t 0.6 -c:v libx264 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    for codec in Codec::ALL.iter().copied() {
        for ending in ["mp4", "mov", "mkv", "webm"] {
            let name = format!("{codec}.{ending}");
            let container = Container::of(&films.path(&name)).unwrap();
            if !container.holds(codec) {
                continue;
            }
            for bits in codec.depths().iter().copied() {
                let encoding = Encoding::new(codec, None, Some(bits)).unwrap();
                films.through(&clip, Span::default(), 13, encoding, &name);
                let made = films.probe(&name).unwrap();
                assert_eq!((made.size, made.bits), (clip.size, bits), "{name}");
                let length = made.duration.unwrap() - clip.duration.unwrap();
                assert!(length.abs() < 0.04, "{name} is {length} s longer");
                let (got, wanted) = (times(&made.path), times(&clip.path));
                assert_eq!(got.len(), wanted.len(), "{name} of {bits} bits");
                let worst = got
                    .iter()
                    .zip(&wanted)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f64::max);
                let rounded = matches!(container, Container::Matroska | Container::WebM);
                assert!(
                    worst <= if rounded { 0.000_51 } else { 0.000_001 },
                    "{name}: {worst} s"
                );
            }
        }
    }
}

#[test]
fn odd_sizes_are_kept_where_the_codec_takes_them() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc=size=75x67:rate=24 -t 0.3 -c:v ffv1 a.mkv");
    let clip = films.probe("a.mkv").unwrap();
    assert_eq!(clip.size, [75, 67]);
    for codec in Codec::ALL
        .iter()
        .copied()
        .filter(|codec| Container::Matroska.holds(*codec))
    {
        films.through(&clip, Span::default(), 5, encoding(codec), "out.mkv");
        let even = !matches!(codec, Codec::Vp9 | Codec::Ffv1);
        let size = if even { [76, 68] } else { [75, 67] };
        assert_eq!(films.probe("out.mkv").unwrap().size, size, "{codec}");
    }
}

#[test]
fn pictures_come_through_as_they_were() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=160x120:rate=24 -t 0.5 -c:v libx264 -crf 10 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    for codec in Codec::ALL.iter().copied() {
        if !Container::Matroska.holds(codec) {
            continue;
        }
        films.through(&clip, Span::default(), 5, encoding(codec), "out.mkv");
        let made = films.probe("out.mkv").unwrap();
        let before = films.decode(&clip, &films.pts(&clip, Span::default()), Depth::Eight);
        let after = films.decode(&made, &films.pts(&made, Span::default()), Depth::Eight);
        for (before, after) in before.iter().zip(&after) {
            let error = before
                .iter()
                .zip(after)
                .map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
            let rms = (error.sum::<f64>() / before.len() as f64).sqrt();
            assert!(
                rms < if codec == Codec::Ffv1 { 0.001 } else { 9.0 },
                "{codec}: {rms}"
            );
        }
    }
}

#[test]
fn the_same_frames_make_the_same_bytes() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=320x240:rate=24 -t 2 -c:v libx264 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    for codec in Codec::ALL
        .iter()
        .copied()
        .filter(|codec| Container::Matroska.holds(*codec))
    {
        let [first, second] = ["one.mkv", "two.mkv"].map(|name| {
            films.through(&clip, Span::default(), 20, encoding(codec), name);
            fs::read(films.path(name)).unwrap()
        });
        assert!(first == second, "{codec}");
    }
}

#[test]
fn colors_depth_and_shape_are_kept() {
    let films = Films::new();
    films.make(
        "-f lavfi -i testsrc2=size=128x96:rate=24 -t 0.5 -vf setsar=4/3 -pix_fmt yuv420p10le \
         -c:v libx265 \
         -x265-params log-level=error -colorspace bt2020nc -color_primaries bt2020 -color_trc \
         smpte2084 \
         -color_range tv a.mp4",
    );
    films.turn("a.mp4", "b.mp4");
    let clip = films.probe("b.mp4").unwrap();
    for (codec, name) in [
        (Codec::H264, "out.mp4"),
        (Codec::Hevc, "out.mov"),
        (Codec::Vp9, "out.webm"),
        (Codec::Av1, "av1.mp4"),
        (Codec::Hevc, "out.mkv"),
        (Codec::ProRes, "prores.mov"),
    ] {
        let encoding = Encoding::new(codec, None, Some(10)).unwrap();
        films.through(&clip, Span::default(), 7, encoding, name);
        let made = films.probe(name).unwrap();
        assert_eq!(made.colors, clip.colors, "{name}");
        assert_eq!(made.bits, 10, "{name}");
        assert_eq!(made.size, nearest_size(codec, clip.size), "{name}");
        let shape = probed(
            &made.path,
            "-show_entries stream=sample_aspect_ratio:stream_side_data=rotation",
        );
        assert_eq!(shape.trim().trim_end_matches(','), "1:1", "{name}");
    }
}

#[test]
fn full_range_stays_full() {
    let films = Films::new();
    films.make(
        "-f lavfi -i testsrc2=size=128x96:rate=24 -t 0.5 -pix_fmt yuvj420p -c:v libx264 a.mp4",
    );
    let clip = films.probe("a.mp4").unwrap();
    assert!(clip.colors.full_range);
    for codec in [Codec::H264, Codec::Vp9] {
        films.through(&clip, Span::default(), 7, encoding(codec), "out.mkv");
        assert_eq!(films.probe("out.mkv").unwrap().colors, clip.colors);
    }
}

#[test]
fn subtitles_chapters_and_titles_are_carried_over() {
    let films = Films::new();
    let subtitles =
        "1\n00:00:00,500 --> 00:00:01,000\nfirst\n\n2\n00:00:02,000 --> 00:00:02,500\nsecond\n";
    fs::write(films.path("a.srt"), subtitles).unwrap();
    let chapters = ";FFMETADATA1\ntitle=A \
     film\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=one\n\
        [CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=3000\ntitle=two\n";
    fs::write(films.path("a.txt"), chapters).unwrap();
    films.make(
        "-f lavfi -i testsrc2=size=64x64:rate=24 -i a.srt -i a.txt -f lavfi -i sine -t 3 -map 0 \
         -map 1 -map 3 \
         -map_metadata 2 -map_chapters 2 -c:v libx264 -c:s srt -c:a libvorbis -metadata:s:a:0 \
         language=fra a.mkv",
    );
    let clip = films.probe("a.mkv").unwrap();
    assert!(clip.has_sound() && clip.has_subtitles());
    for (name, codec, streams) in [
        ("out.mp4", Codec::H264, "h264 mov_text aac"),
        ("out.mkv", Codec::H264, "h264 subrip vorbis"),
        ("out.webm", Codec::Vp9, "vp9 webvtt vorbis"),
    ] {
        let notes = films.through(&clip, Span::default(), 30, encoding(codec), name);
        assert_eq!(notes, Vec::<String>::new());
        let out = films.path(name);
        let made = probed(&out, "-show_entries stream=codec_name");
        // Chapters of MP4 are a further stream.
        let made: Vec<_> = made.split_whitespace().take(3).collect();
        assert_eq!(made.join(" "), streams);
        assert_eq!(
            probed(&out, "-show_entries format_tags=title").trim(),
            "A film"
        );
        let chapters = probed(
            &out,
            "-show_chapters -show_entries chapter=start_time:chapter_tags=title",
        );
        assert_eq!(chapters.trim(), "0.000000,one\n1.500000,two");
        let language = probed(&out, "-select_streams a -show_entries stream_tags=language");
        assert_eq!(language.trim(), "fra", "{name}");
    }
    let part = Span {
        from: Some(1.0),
        to: Some(2.0),
    };
    films.through(&clip, part, 30, encoding(Codec::H264), "part.mkv");
    let chapters = probed(
        &films.path("part.mkv"),
        "-show_chapters -show_entries chapter=start_time,end_time:chapter_tags=title",
    );
    // In this file frames begin 3 ms late, because Vorbis begins early.
    assert_eq!(
        chapters.trim(),
        "0.000000,0.497000,one\n0.497000,0.997000,two"
    );
}

#[test]
fn what_cannot_be_carried_over_is_told() {
    let films = Films::new();
    fs::write(films.path("font.ttf"), "no font").unwrap();
    films.make(
        "-f lavfi -i testsrc2=size=64x64:rate=24 -t 1 -c:v libx264 -attach font.ttf \
         -metadata:s:t mimetype=application/x-truetype-font a.mkv",
    );
    let clip = films.probe("a.mkv").unwrap();
    let notes = films.through(&clip, Span::default(), 30, encoding(Codec::H264), "out.mp4");
    assert_eq!(notes.len(), 1);
    assert!(
        notes[0].contains("stream 1") && notes[0].contains("an attachment"),
        "{notes:?}"
    );
    let notes = films.through(&clip, Span::default(), 30, encoding(Codec::H264), "out.mkv");
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn chunks_that_do_not_belong_together_are_refused() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=64x64:rate=24 -t 1 -c:v libx264 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    let chunk = |name: &str, crf: u8| {
        let encoding =
            Encoding::new(Codec::H264, Some(crf), Some(if crf == 1 { 10 } else { 8 })).unwrap();
        let path = films.path(name);
        let mut encoder = Encoder::create(
            &films.tools,
            &path,
            &clip,
            [64, 64],
            Depth::Eight,
            &[0],
            &encoding,
        )
        .unwrap();
        encoder.write(&[0; 64 * 64 * 3]).unwrap();
        encoder.finish().unwrap();
        path
    };
    let (one, other) = (chunk("one.nut", 20), chunk("other.nut", 1));
    let broken = films.path("broken.nut");
    fs::write(&broken, "nothing").unwrap();
    for chunks in [vec![one.clone(), other], vec![one, broken]] {
        let out = films.path("out.mp4");
        let error = join(
            &films.tools,
            &chunks,
            &clip,
            0,
            &Span::default(),
            &encoding(Codec::H264),
            &out,
        );
        let error = error.unwrap_err();
        assert!(
            matches!(&error, Error::Chunk { path, .. } if *path == chunks[1]),
            "{error}"
        );
        assert!(!out.exists());
    }
}

#[test]
fn a_codec_that_the_container_cannot_hold_is_refused() {
    let films = Films::new();
    let clip = uneven(&films);
    let out = films.path("out.webm");
    let error = join(
        &films.tools,
        &[],
        &clip,
        0,
        &Span::default(),
        &encoding(Codec::H264),
        &out,
    )
    .unwrap_err();
    assert!(error.to_string().contains("cannot hold h264"), "{error}");
    assert!(
        !Container::of(&films.path("%d.png"))
            .unwrap()
            .holds(Codec::Jpeg)
    );
    let error = Container::of(&films.path("out.avi")).unwrap_err();
    assert!(error.to_string().contains("end it in .mp4"), "{error}");
}
