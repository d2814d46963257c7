//! What is no film, or no longer a whole one. Each is refused in one clear line.

use std::fs;
use std::path::Path;

use stylefleet_video::{Clip, Codec, Decoder, Depth, Encoder, Encoding, Error, Span, Tools};

use crate::common::{Films, replaced};

fn refused(films: &Films, name: &str) -> String {
    let said = films.probe(name).unwrap_err().to_string();
    assert!(said.contains(name) && !said.contains('\n'), "{said}");
    said
}

#[test]
fn what_is_no_film_is_refused() {
    let films = Films::new();
    fs::write(films.path("notes.mp4"), "some text\n").unwrap();
    fs::write(films.path("empty.mp4"), "").unwrap();
    fs::create_dir(films.path("folder.mp4")).unwrap();
    films.make("-f lavfi -i testsrc2=size=64x64 -frames:v 1 picture.png");
    assert!(refused(&films, "picture.png").ends_with("it is in no format of films"));
    for name in ["notes.mp4", "empty.mp4", "folder.mp4", "missing.mp4"] {
        let said = refused(&films, name);
        assert!(said.starts_with("cannot read "), "{said}");
    }
}

#[test]
fn sound_alone_is_no_film_even_with_a_cover() {
    let films = Films::new();
    films.make("-f lavfi -i sine -t 1 sound.wav");
    films.make("-f lavfi -i sine -t 1 sound.m4a");
    films.make("-f lavfi -i testsrc2 -frames:v 1 cover.png");
    films.make(
        "-i sound.m4a -i cover.png -map 0 -map 1 -c copy -disposition:v attached_pic cover.m4a",
    );
    for name in ["sound.wav", "sound.m4a", "cover.m4a"] {
        assert!(refused(&films, name).ends_with("it has sound only"));
    }
}

#[test]
fn a_film_without_frames_is_refused() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=64x64 -f lavfi -i sine -t 1 -c:v libx264 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    let span = Span {
        from: Some(7.0),
        to: None,
    };
    let error = clip.frames(&films.tools, &span, &mut |_| ()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("a.mp4 has no frame from 7 s to the end"),
        "{error}"
    );
    let backwards = Span {
        from: Some(2.0),
        to: Some(1.0),
    };
    let error = clip
        .frames(&films.tools, &backwards, &mut |_| ())
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
}

#[test]
fn frames_before_and_after_damage_are_there() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=320x240:rate=24 -t 10 -g 24 -c:v libx264 a.mkv");
    let whole = films.probe("a.mkv").unwrap();
    let all = films.pts(&whole, Span::default());
    let mut bytes = fs::read(films.path("a.mkv")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..][..20_000].fill(0x55);
    fs::write(films.path("damaged.mkv"), bytes).unwrap();
    let clip = films.probe("damaged.mkv").unwrap();
    let left = films.pts(&clip, Span::default());
    assert!(
        left.len() > 150 && left.len() < all.len(),
        "{} frames",
        left.len()
    );
    assert_eq!((left[0], left.last()), (all[0], all.last()));
    // What is there is decoded, wherever that begins.
    let frames = films.decode(&clip, &left, Depth::Eight);
    assert_eq!(frames.len(), left.len());
    for start in (0..left.len() - 4).step_by(17) {
        assert!(
            films.decode(&clip, &left[start..start + 4], Depth::Eight) == frames[start..start + 4],
            "{start}"
        );
    }
    // And what is not is told.
    let lost = all.iter().find(|pts| !left.contains(pts)).unwrap();
    let mut decoder =
        Decoder::open(&films.tools, &clip, &[*lost], clip.size, Depth::Eight).unwrap();
    let error = decoder.next(&mut Vec::new()).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot decode the frame at ") && error.contains("damaged.mkv"),
        "{error}"
    );
}

#[test]
fn a_film_that_is_cut_off_ends_early() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=320x240:rate=24 -t 4 -g 24 -c:v libx264 a.mkv");
    let bytes = fs::read(films.path("a.mkv")).unwrap();
    fs::write(films.path("b.mkv"), &bytes[..bytes.len() / 2]).unwrap();
    let clip = films.probe("b.mkv").unwrap();
    let frames = films.pts(&clip, Span::default()).len();
    assert!((24..80).contains(&frames), "{frames} frames");
}

#[test]
fn a_frame_that_changes_size_is_made_to_fit() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=160x120:rate=24 -t 1 -c:v libx264 -f mpegts a.ts");
    films.make(
        "-f lavfi -i testsrc2=size=320x180:rate=24 -t 1 -output_ts_offset 1 -c:v libx264 \
     -f mpegts b.ts",
    );
    let mut joined = fs::read(films.path("a.ts")).unwrap();
    joined.extend(fs::read(films.path("b.ts")).unwrap());
    fs::write(films.path("c.ts"), joined).unwrap();
    let clip = films.probe("c.ts").unwrap();
    let pts = films.pts(&clip, Span::default());
    assert_eq!(pts.len(), 48);
    let frames = films.decode(&clip, &pts, Depth::Eight);
    assert_eq!(frames.len(), 48);
    assert!(films.decode(&clip, &pts[40..42], Depth::Eight) == frames[40..42]);
}

#[test]
fn encrypted_films_are_refused() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=64x64 -t 1 -c:v libx264 a.mp4");
    // As the common scheme of encryption marks frames.
    let bytes = fs::read(films.path("a.mp4")).unwrap();
    fs::write(films.path("a.mp4"), replaced(&bytes, b"avc1", b"encv")).unwrap();
    assert!(refused(&films, "a.mp4").contains("encrypted (DRM)"));
}

#[test]
fn names_are_taken_as_they_are() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=64x64:rate=24 -t 1 -c:v libx264 a.mp4");
    for name in [
        "-i.mp4",
        "http:x.mp4",
        "concat:a.mp4|b.mp4",
        "50%d.mp4",
        "a b'c.mp4",
    ] {
        fs::copy(films.path("a.mp4"), films.path(name)).unwrap();
        let clip = films.probe(name).unwrap();
        let encoding = Encoding::new(Codec::H264, None, None).unwrap();
        films.through(&clip, Span::default(), 10, encoding, &format!("out {name}"));
        assert_eq!(
            films
                .pts(
                    &films.probe(&format!("out {name}")).unwrap(),
                    Span::default()
                )
                .len(),
            24
        );
    }
    // A relative path may begin with a dash.
    let missing = Clip::probe(&films.tools, Path::new("-version"), 1).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
}

#[test]
fn playlists_open_no_other_file() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=64x64:rate=24 -t 1 -c:v libx264 a.ts");
    let playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n";
    fs::write(films.path("list.m3u8"), playlist).unwrap();
    fs::write(films.path("list.mp4"), playlist).unwrap();
    fs::write(
        films.path("script.mp4"),
        "ffconcat version 1.0\nfile a.ts\n",
    )
    .unwrap();
    fs::write(
        films.path("script.ffconcat"),
        "ffconcat version 1.0\nfile a.ts\n",
    )
    .unwrap();
    for name in ["list.m3u8", "list.mp4", "script.mp4", "script.ffconcat"] {
        refused(&films, name);
    }
}

#[test]
fn large_frames_are_refused() {
    let films = Films::new();
    films.make("-f lavfi -i color=size=4000x3000:rate=1 -frames:v 1 -c:v ffv1 a.mkv");
    let said = refused(&films, "a.mkv");
    assert!(
        said.ends_with("frames of 4000x3000, more than 10000000 pixels: scale it down first"),
        "{said}"
    );
}

#[test]
fn a_disk_that_is_full_is_named() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=64x64:rate=24 -t 1 -c:v libx264 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    let encoding = Encoding::new(Codec::Ffv1, None, None).unwrap();
    let pts: Vec<_> = (0..50).collect();
    let full = Path::new("/dev/full");
    let mut encoder = Encoder::create(
        &films.tools,
        full,
        &clip,
        [640, 360],
        Depth::Eight,
        &pts,
        &encoding,
    )
    .unwrap();
    let frame = vec![7; 640 * 360 * 3];
    let result = pts
        .iter()
        .try_for_each(|_| encoder.write(&frame))
        .and_then(|()| encoder.finish());
    let said = result.unwrap_err().to_string();
    assert!(
        said.contains("cannot write /dev/full: ") && said.contains("No space left on device"),
        "{said}"
    );
}

#[test]
fn missing_programs_are_told_with_the_remedy() {
    let films = Films::new();
    let said = Tools::find(Some(films.folder.path()))
        .unwrap_err()
        .to_string();
    assert!(
        said.contains(
            "ffprobe (No such file or directory (os error 2)): install Debian's package `ffmpeg`"
        ),
        "{said}"
    );
    assert!(
        films
            .tools
            .version()
            .starts_with(|c: char| c.is_ascii_alphanumeric())
    );
}

#[test]
fn frames_that_do_not_fit_are_refused() {
    let films = Films::new();
    films.make("-f lavfi -i testsrc2=size=64x64:rate=24 -t 1 -c:v libx264 a.mp4");
    let clip = films.probe("a.mp4").unwrap();
    let encoding = Encoding::new(Codec::H264, None, None).unwrap();
    let create = |size, pts: &[i64]| {
        Encoder::create(
            &films.tools,
            &films.path("a.nut"),
            &clip,
            size,
            Depth::Eight,
            pts,
            &encoding,
        )
    };
    let said = create([63, 65], &[0]).unwrap_err().to_string();
    assert!(
        said.ends_with("takes no frames of 63x65: make them 64x66"),
        "{said}"
    );
    for pts in [[].as_slice(), &[-1, 2], &[5, 5]] {
        assert!(create([64, 64], pts).is_err());
    }
    let mut encoder = create([64, 64], &[0, 1]).unwrap();
    assert!(encoder.write(&[0; 5]).is_err());
    encoder.write(&[0; 64 * 64 * 3]).unwrap();
    assert!(
        encoder
            .finish()
            .unwrap_err()
            .to_string()
            .ends_with("lacks its last 1 frames")
    );
}
