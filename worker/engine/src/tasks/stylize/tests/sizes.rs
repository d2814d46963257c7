//! Large pictures, little memory.

use super::*;
use crate::image::Extent;
use crate::tasks::stylize::inputs::Inputs;
use crate::tasks::stylize::styles::Styles;

#[test]
fn little_memory_makes_the_same_picture_in_tiles() {
    let with_scales = |scales| {
        request_with(|p| {
            p.size = Size::Exact {
                width: 272,
                height: 250,
            };
            p.evaluations = 4;
            p.scales = scales;
        })
    };
    let request = with_scales(1);
    let whole = run(&mut engine(), &request);
    let mut engine = engine_with(Some(550 << 20));
    let tiled = run(&mut engine, &request);
    assert!(
        whole.pixels != tiled.pixels,
        "there was memory for all of it"
    );
    let pairs = whole.pixels.iter().zip(&tiled.pixels);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 1e-3, "a pixel is off by {worst}");
    assert!((whole.loss / tiled.loss - 1.0).abs() < 1e-4);

    // Smaller scales would fit, but would be computed in vain.
    let request = with_scales(3);
    let mut watcher = Watcher::default();
    let too_little = request.redraw(&mut engine_with(Some(495 << 20)), None, &mut watcher);
    let refused = too_little.expect_err("does not fit").to_string();
    assert!(watcher.seen.is_empty(), "{:?}", watcher.seen);
    assert!(
        refused.contains("272x250") && refused.contains("--memory"),
        "{refused}"
    );
}

/// In bf16 less is needed, but for the finished picture's loss.
#[test]
fn what_is_not_refused_at_once_is_finished() {
    let request = request_with(|p| {
        p.precision = Precision::Bf16;
        p.size = Size::Longest(240);
        p.scales = 1;
        p.evaluations = 1;
    });
    let refused = request.redraw(&mut engine_with(Some(1)), None, &mut Watcher::default());
    let Err(Error::Memory { needed, .. }) = refused else {
        panic!("one byte was enough: {refused:?}");
    };
    run(&mut engine_with(Some(needed)), &request);
    let mut watcher = Watcher::default();
    let refused = request.redraw(&mut engine_with(Some(needed - 1)), None, &mut watcher);
    assert!(matches!(refused, Err(Error::Memory { .. })), "{refused:?}");
    assert!(watcher.seen.is_empty(), "{:?}", watcher.seen);
}

#[test]
fn a_style_image_is_kept_no_larger_than_it_is_looked_at() {
    let width = |style_scale, init| {
        let request = request_with(|p| {
            p.style_scale = style_scale;
            p.init = init;
        });
        let inputs = Inputs::load(
            &request,
            &mut Styles::default(),
            1 << 20,
            &mut Watcher::default(),
        )
        .expect("loads");
        Extent::of(&inputs.styles[0].image).expect("a size").width
    };
    // The picture has 48 pixels, the style 64.
    assert_eq!(width(1.0, Init::Content), 48);
    assert_eq!(width(0.5, Init::Content), 24);
    assert_eq!(width(2.0, Init::Content), 64);
    assert_eq!(width(0.5, Init::Style(0)), 64);
}

/// Coarse to fine, a large picture is a small one with more detail; at its own size alone, its
/// strokes are smaller.
#[test]
fn a_large_picture_looks_like_a_small_one() {
    let mut engine = engine();
    let mut made = |side, scales| {
        let request = request_with(|p| {
            p.content_weight = 0.05;
            p.size = Size::Longest(side);
            p.coarse_evaluations = 30;
            p.evaluations = if side == 32 { 30 } else { 15 };
            p.scales = scales;
        });
        let picture = run(&mut engine, &request);
        let (width, height) = (picture.width, picture.height);
        let picture = ::image::Rgb32FImage::from_raw(width, height, picture.pixels);
        let picture = picture.expect("has all its pixels");
        ::image::imageops::thumbnail(&picture, 32, 32)
    };
    let away = |a: &::image::Rgb32FImage, b: &::image::Rgb32FImage| {
        let differences = a.as_raw().iter().zip(b.as_raw());
        differences.map(|(a, b)| (a - b).powi(2)).sum::<f32>()
    };
    let small = made(32, 1);
    let [like, unlike] = [3, 1].map(|scales| away(&made(128, scales), &small));
    assert!(like < 0.5 * unlike, "{like} and {unlike}");
}

/// Needs a process of its own, and five minutes:
/// `cargo test --release -p stylefleet-engine -- --ignored sixteen_megapixels`
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes minutes, and the peak of the whole process"]
fn sixteen_megapixels_in_four_gibibytes() {
    let side = 4096;
    let plasma = |x: u32, y: u32| ::image::Rgb([(x / 16) as u8, (y / 16) as u8, (x ^ y) as u8]);
    let mut content = std::io::Cursor::new(Vec::new());
    ::image::RgbImage::from_fn(side, side, plasma)
        .write_to(&mut content, ::image::ImageFormat::Png)
        .expect("encodes");
    let content = Source::new("content", content.into_inner());
    let x = vec![1.0; 3 * (side * side) as usize];
    let styles = [(source("starry_night_64x64.png"), 1.0)];
    let options = Options {
        device: device_name(),
        threads: None,
        weights: Some(weights()),
        max_pixels: u64::from(side * side),
        memory: None,
    };
    let engine = Engine::open(&options).expect("opens");
    let found = engine.evaluate(&objective("gatys"), &content, &styles, &x, 1 << 19);
    let found = found.expect("evaluates");
    assert!(found.gradient.iter().all(|slope| slope.is_finite()));
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    let peak: u64 = peak.expect("is reported").parse().expect("a number");
    eprintln!("loss {:e}, peak {} MiB", found.loss, peak >> 10);
    assert!(peak < 4 << 20, "{peak} KiB");
}
