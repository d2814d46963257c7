//! What a film is, where its frames lie, and what they look like.

use stylefleet_video::{Clip, Decoder, Depth, Matrix, Ratio, Span};

use crate::common::Films;

/// Ten seconds that move, and are cut into groups of a second.
const MOVING: &str = "-f lavfi -i testsrc2=size=160x120:rate=24 -t 10 -g 24";

/// Decodes runs from here and there, and compares them with the same frames of the whole.
fn alike_from_anywhere(name: &str, options: &str) {
    let films = Films::new();
    films.make(&format!("{MOVING} {options} {name}"));
    let clip = films.probe(name).unwrap();
    let pts = films.pts(&clip, Span::default());
    assert!(pts.len() >= 230, "{name} has {} frames", pts.len());
    let whole = films.decode(&clip, &pts, Depth::Eight);
    for start in [0, 23, 24, 121, 199, 228] {
        let run = start..start + 2;
        assert!(
            films.decode(&clip, &pts[run.clone()], Depth::Eight) == whole[run],
            "{name}: frame {start} differs when decoding begins near it"
        );
    }
}

#[test]
fn h264_with_open_groups_is_alike_from_anywhere() {
    let open = "-c:v libx264 -preset fast -bf 3 -x264-params open-gop=1:scenecut=0:threads=1";
    for name in ["a.mp4", "a.mkv", "a.ts", "a.flv", "a.nut"] {
        alike_from_anywhere(name, open);
    }
}

#[test]
fn h264_that_is_refreshed_little_by_little_is_alike_from_anywhere() {
    let refreshed = "-c:v libx264 -preset fast -x264-params intra-refresh=1:keyint=48:threads=1";
    alike_from_anywhere("a.mp4", refreshed);
}

#[test]
fn hevc_with_open_groups_is_alike_from_anywhere() {
    let open = "-c:v libx265 -preset veryfast -x265-params open-gop=1:keyint=24:log-level=error";
    alike_from_anywhere("a.mp4", open);
}

#[test]
fn mpeg_2_is_alike_from_anywhere() {
    for name in ["a.mpg", "a.ts", "a.mkv"] {
        alike_from_anywhere(name, "-c:v mpeg2video -bf 2 -q:v 3");
    }
}

#[test]
fn mpeg_4_is_alike_from_anywhere() {
    for name in ["a.avi", "a.mp4"] {
        alike_from_anywhere(name, "-c:v mpeg4 -bf 2 -q:v 3");
    }
}

#[test]
fn vp9_is_alike_from_anywhere() {
    alike_from_anywhere(
        "a.webm",
        "-c:v libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 500k",
    );
}

#[test]
fn uneven_times_are_alike_from_anywhere() {
    let uneven = "-vf setpts=PTS+floor(N/7)*0.011/TB -fps_mode vfr -enc_time_base 1:90000";
    alike_from_anywhere("a.mp4", &format!("{uneven} -c:v libx264 -preset fast"));
}

#[test]
fn a_span_has_the_frames_within_it() {
    let films = Films::new();
    films.make(&format!("{MOVING} -c:v libx264 -preset fast a.ts"));
    let clip = films.probe("a.ts").unwrap();
    let all = films.pts(&clip, Span::default());
    let part = films.pts(
        &clip,
        Span {
            from: Some(5.0),
            to: Some(6.0),
        },
    );
    // Its clock does not begin at zero.
    assert_eq!(part, all[120..144]);
    let mut heard = 0;
    clip.frames(&films.tools, &Span::default(), &mut |count| heard = count)
        .unwrap();
    assert_eq!(heard, 240);
}

#[test]
fn another_scene_is_told() {
    let films = Films::new();
    films.make(
        "-f lavfi -i mandelbrot=size=160x120:rate=24 -f lavfi -i testsrc2=size=160x120:rate=24 \
         -filter_complex [0]trim=duration=1[a];[1]trim=duration=1[b];[a][b]concat -c:v ffv1 a.mkv",
    );
    let clip = films.probe("a.mkv").unwrap();
    let frames = films.frames(&clip, Span::default());
    let cuts: Vec<_> = (0..frames.len())
        .filter(|at| frames[*at].scene >= 10.0)
        .collect();
    assert_eq!(cuts, [24]);
}

/// The frame in the middle of a film of one colour.
fn pixel(films: &Films, clip: &Clip, depth: Depth) -> Vec<u8> {
    let pts = films.pts(clip, Span::default());
    let frame = films.decode(clip, &pts[..1], depth).remove(0);
    let middle = frame.len() / 2;
    let size = depth.bytes([1, 1]);
    frame[middle - middle % size..][..size].to_vec()
}

#[test]
fn colors_are_those_that_were_meant() {
    for (tags, format, matrix) in [
        ("bt709:out_range=tv", "yuv420p", Matrix::Bt709),
        ("bt709:out_range=pc", "yuv420p", Matrix::Bt709),
        ("smpte170m:out_range=tv", "yuv420p", Matrix::Smpte170m),
        ("bt2020:out_range=tv", "yuv420p10le", Matrix::Bt2020),
    ] {
        let films = Films::new();
        let (name, range) = tags.split_once(":out_range=").unwrap();
        let name = if name == "bt2020" { "bt2020nc" } else { name };
        films.make(&format!(
            "-f lavfi -i color=0xE06020:size=64x48:rate=5 -t 1 -vf \
             format=gbrp,scale=out_color_matrix={tags} \
             -pix_fmt {format} -colorspace {name} -color_range {range} -c:v libx264 -crf 1 a.mp4"
        ));
        let clip = films.probe("a.mp4").unwrap();
        assert_eq!(clip.colors.matrix, matrix);
        assert_eq!(clip.colors.full_range, range == "pc");
        let eight = pixel(&films, &clip, Depth::Eight);
        let sixteen = pixel(&films, &clip, Depth::Sixteen);
        for (at, meant) in [0xE0_u8, 0x60, 0x20].into_iter().enumerate() {
            assert!(eight[at].abs_diff(meant) <= 3, "{tags}: {eight:x?}");
            let sample = u16::from_le_bytes([sixteen[2 * at], sixteen[2 * at + 1]]);
            let meant = u16::from(meant) * 257;
            assert!(sample.abs_diff(meant) <= 3 * 257, "{tags}: {sixteen:x?}");
        }
    }
}

#[test]
fn ten_bits_are_more_than_eight() {
    let films = Films::new();
    // A ramp that takes more than 256 values.
    films.make(
        "-f lavfi -i color=black:size=1024x16:rate=5 -t 0.2 \
         -vf format=yuv420p10le,geq=lum=64+X*0.85:cb=512:cr=512 -c:v ffv1 a.mkv",
    );
    let clip = films.probe("a.mkv").unwrap();
    assert_eq!(clip.bits, 10);
    let pts = films.pts(&clip, Span::default());
    let frame = films.decode(&clip, &pts, Depth::Sixteen).remove(0);
    let row = &frame[..Depth::Sixteen.bytes([1024, 1])];
    let mut values: Vec<_> = row.chunks(6).map(|pixel| [pixel[0], pixel[1]]).collect();
    values.dedup();
    assert!(values.len() > 800, "{} values", values.len());
}

#[test]
fn films_are_turned_upright_and_their_pixels_made_square() {
    let films = Films::new();
    films.make(
        "-f lavfi -i testsrc2=size=160x120:rate=24 -t 1 -vf setsar=4/3 -c:v libx264 wide.mp4",
    );
    assert_eq!(films.probe("wide.mp4").unwrap().size, [213, 120]);
    films.turn("wide.mp4", "turned.mp4");
    let clip = films.probe("turned.mp4").unwrap();
    assert_eq!(clip.size, [120, 213]);
    // What is blue on the right is then below.
    films.make(
        "-f lavfi -i color=red:size=64x32:rate=5 -t 1 -vf drawbox=x=32:color=blue:t=fill \
     -c:v libx264 a.mp4",
    );
    films.turn("a.mp4", "b.mp4");
    let clip = films.probe("b.mp4").unwrap();
    let pts = films.pts(&clip, Span::default());
    let frame = films.decode(&clip, &pts[..1], Depth::Eight).remove(0);
    assert_eq!(clip.size, [32, 64]);
    assert!(
        frame[0] > 200 && frame[frame.len() - 1] > 200,
        "red above, blue below"
    );
}

#[test]
fn frames_are_scaled_to_the_size_that_is_asked_for() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=160x120:rate=24 -t 1 -c:v libx264 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    let pts = films.pts(&clip, Span::default());
    let mut decoder = Decoder::open(&films.tools, &clip, &pts, [51, 33], Depth::Eight).unwrap();
    let mut frame = Vec::new();
    let mut frames = 0;
    while decoder.next(&mut frame).unwrap() {
        assert_eq!(frame.len(), 51 * 33 * 3);
        frames += 1;
    }
    assert_eq!(frames, 24);
    // And it stays at its end.
    assert!(!decoder.next(&mut frame).unwrap());
}

#[test]
fn ratios_are_read_and_shown() {
    let rate: Ratio = "30000/1001".parse().unwrap();
    assert_eq!(rate.to_string(), "30000/1001");
    assert_eq!("25".parse::<Ratio>().unwrap(), Ratio { num: 25, den: 1 });
    assert!("0/1".parse::<Ratio>().is_err() && "1/0".parse::<Ratio>().is_err());
}
