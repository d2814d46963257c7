//! What the options make of a picture.

use super::*;

#[test]
fn starts_from_what_it_is_told_to() {
    let mut engine = engine();
    let mut pixels = |init, seed| {
        let mut request = request_with(|p| {
            (p.evaluations, p.scales) = (1, 1);
            (p.init, p.seed) = (init, seed);
        });
        request.start = (init == Init::Image).then(|| source("starry_night_64x64.png"));
        run(&mut engine, &request).pixels
    };
    let content = pixels(Init::Content, 0);
    let style = pixels(Init::Style(0), 0);
    assert_eq!(style, pixels(Init::Image, 0));
    let noise = pixels(Init::Noise, 0);
    assert_eq!(noise, pixels(Init::Noise, 0), "the seed decides");
    assert!(content != style && style != noise && noise != content);
    assert_ne!(noise, pixels(Init::Noise, 1));
}

#[test]
fn a_blend_of_one_style_with_itself_is_that_style() {
    let mut engine = engine();
    let alone = run(&mut engine, &request());
    let twice = Request {
        styles: [3.0, 1.0]
            .map(|share| style("starry_night_64x64.png", share))
            .into(),
        ..request()
    };
    let loss = run(&mut engine, &twice).loss;
    assert!(
        (alone.loss / loss - 1.0).abs() < 0.05,
        "{loss} is not {}",
        alone.loss
    );
    let other = vec![style("shipwreck_96x72.png", 1.0)];
    assert_ne!(
        run(
            &mut engine,
            &Request {
                styles: other,
                ..request()
            }
        )
        .pixels,
        alone.pixels
    );
}

/// Mean colour differences, R - G and B - G, of a picture.
fn cast(pixels: &[f32]) -> [f32; 2] {
    let mean = |channel: usize| {
        let values = pixels.iter().skip(channel).step_by(3);
        values.sum::<f32>() * 3.0 / pixels.len() as f32
    };
    [mean(0) - mean(1), mean(2) - mean(1)]
}

#[test]
fn colours_are_kept_where_that_is_asked() {
    let mut engine = engine();
    let untouched = request_with(|p| (p.evaluations, p.scales) = (1, 1));
    let content = cast(&run(&mut engine, &untouched).pixels);
    let mut distance = |colors| {
        let request = request_with(|p| p.keep_colors = colors);
        let found = cast(&run(&mut engine, &request).pixels);
        (found[0] - content[0]).abs() + (found[1] - content[1]).abs()
    };
    let style = distance(KeepColors::None);
    assert!(distance(KeepColors::Luminance) < 0.3 * style);
    assert!(distance(KeepColors::Match) < 0.5 * style);
    assert!(distance(KeepColors::Histogram) < 0.5 * style);
}

/// A mask, white from `start` to `end` of its width and black elsewhere.
fn mask(start: f32, end: f32) -> Source {
    let size = 64;
    let white = |x: u32| (start..end).contains(&(x as f32 / size as f32));
    let pixel = |x: u32, _| ::image::Luma([if white(x) { 255 } else { 0 }]);
    let mask: ::image::GrayImage = ::image::ImageBuffer::from_fn(size, size, pixel);
    let mut file = std::io::Cursor::new(Vec::new());
    mask.write_to(&mut file, ::image::ImageFormat::Png)
        .expect("encodes");
    Source::new("mask", file.into_inner())
}

/// Mean absolute difference of two pictures' columns.
fn apart(a: &Picture, b: &Picture, columns: std::ops::Range<usize>) -> f32 {
    let width = a.width as usize;
    let at = |index: usize| columns.contains(&(index / 3 % width));
    let pairs = a.pixels.iter().zip(&b.pixels).enumerate();
    let pairs = pairs.filter(|(index, _)| at(*index));
    let (sum, count) = pairs.fold((0.0, 0), |(sum, count), (_, (a, b))| {
        (sum + (a - b).abs(), count + 1)
    });
    sum / count as f32
}

#[test]
fn a_mask_binds_its_style_to_a_region() {
    let request = request_with(|p| {
        p.size = Size::Exact {
            width: 128,
            height: 64,
        };
        (p.evaluations, p.scales) = (15, 1);
        // Deep layers see far beyond the edge of a mask.
        p.style_layers = layers(&[(1, 1), (2, 1)], |n| 4.0 / (n * n));
    });
    let names = ["starry_night_64x64.png", "shipwreck_96x72.png"];
    let mut engine = engine();
    let mut made = |styles: Vec<Style>| {
        run(
            &mut engine,
            &Request {
                styles,
                ..request.clone()
            },
        )
    };
    let [left, right] = names.map(|name| made(vec![style(name, 1.0)]));
    let halves = [mask(0.0, 0.5), mask(0.5, 1.0)];
    let styles = names.into_iter().zip(halves).map(|(name, mask)| Style {
        mask: Some(mask),
        ..style(name, 1.0)
    });
    let both = made(styles.collect());
    let of_left = [&left, &right].map(|alone| apart(&both, alone, 0..56));
    let of_right = [&left, &right].map(|alone| apart(&both, alone, 72..128));
    assert!(of_left[0] < of_left[1] / 1.5, "{of_left:?}");
    assert!(of_right[1] < of_right[0] / 1.5, "{of_right:?}");

    // White everywhere is no mask; black everywhere is a mistake.
    let masked = |mask| Style {
        mask: Some(mask),
        ..style(names[0], 1.0)
    };
    let white = made(vec![masked(mask(0.0, 1.0))]);
    assert!(apart(&white, &left, 0..128) < 1e-3);
    let black = Request {
        styles: vec![masked(mask(2.0, 3.0))],
        ..request
    };
    let refused = black.redraw(&mut engine, None, &mut Watcher::default());
    let refused = refused.expect_err("nothing is left").to_string();
    assert!(refused.contains("black everywhere"), "{refused}");
}

#[test]
fn strength_goes_from_the_content_to_the_style() {
    let mut engine = engine();
    let mut made = |strength: f64, scale: f64| {
        let request = request_with(|p| {
            p.strength = Some(strength);
            p.tv_weight = 0.0;
            p.style_weight *= scale;
        });
        run(&mut engine, &request)
    };
    let content = made(0.0, 1.0);
    let styled = [0.05, 0.2, 0.5, 1.0].map(|strength| made(strength, 1.0));
    let distances = styled
        .each_ref()
        .map(|picture| apart(picture, &content, 0..48));
    assert!(distances[..3].is_sorted(), "{distances:?}");
    assert!(distances[3] > 1.5 * distances[0], "{distances:?}");
    // As strong, whatever the weights.
    assert!(apart(&made(0.5, 1e3), &styled[2], 0..48) < 0.01);
}

#[test]
fn a_mean_of_places_is_a_picture_beside_the_best() {
    let mut engine = engine();
    for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
        let mut made = |average| {
            let request = request_with(|p| {
                p.optimizer = optimizer;
                p.evaluations = 40;
                p.average = average;
            });
            run(&mut engine, &request)
        };
        let (best, mean) = (made(0.0), made(0.9));
        assert!(best.pixels != mean.pixels, "{optimizer:?}");
        assert!(mean.loss < 1.2 * best.loss, "{} {}", mean.loss, best.loss);
    }
}

#[test]
fn normalized_layers_pull_alike_whatever_their_size() {
    let mut engine = engine();
    let mut made = |normalize_gradients, deep: f64, side| {
        let request = request_with(|p| {
            p.size = Size::Longest(side);
            (p.evaluations, p.scales) = (1, 1);
            p.normalize_gradients = normalize_gradients;
            p.style_layers = layers(&[(1, 1), (4, 1)], |_| 1.0);
            p.style_layers[1].weight = deep;
            p.tv_weight = 0.0;
        });
        run(&mut engine, &request).terms
    };
    let plain = made(false, 1.0, 48);
    let ratio = plain["conv4_1"] / plain["conv1_1"];
    assert!(!(0.01..100.0).contains(&ratio), "{ratio} is even already");
    let even = made(true, 1.0, 48);
    let ratio = even["conv4_1"] / even["conv1_1"];
    assert!((0.01..100.0).contains(&ratio), "{even:?}");
    let double = made(true, 2.0, 48);
    let twice = double["conv4_1"] / even["conv4_1"];
    assert!((twice - 2.0).abs() < 1e-3, "{double:?}");
    assert!((double["conv1_1"] / even["conv1_1"] - 1.0).abs() < 1e-3);
    // As much for each of four times the pixels.
    let large = made(true, 1.0, 96);
    for (layer, term) in &large {
        let more = term / even[layer];
        assert!(
            layer == "content" || (2.0..8.0).contains(&more),
            "{layer}: {more}"
        );
    }
}

#[test]
fn wasserstein_brings_mean_and_covariance_to_the_styles() {
    let wasserstein = |p: &mut Parameters| {
        p.style_loss = StyleLoss::Wasserstein;
        p.style_layers = layers(&[(1, 1), (2, 1), (3, 1)], |_| 1.0);
        p.content_weight = 0.0;
        p.tv_weight = 0.0;
        p.style_weight = 1.0;
        p.evaluations = 60;
    };
    let request = request_with(wasserstein);
    let mut watcher = Watcher::default();
    let picture = finished(request.redraw(&mut engine(), None, &mut watcher));
    let first = watcher.losses()[0];
    assert!(picture.loss < first / 5.0, "{first} to {}", picture.loss);

    // A picture in its own style is there already.
    let mut request = request_with(|p| {
        wasserstein(p);
        p.size = Size::Longest(64);
        (p.evaluations, p.scales) = (1, 1);
    });
    request.styles = vec![style("astronaut_64x64.png", 1.0)];
    let there = run(&mut engine(), &request);
    assert!(there.loss.abs() < 1e-3 * first, "{} of {first}", there.loss);
}
