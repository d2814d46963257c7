//! How a job runs: budgets, interruptions, checkpoints, and the same result each time.

use super::*;
use crate::checkpoint::forged;
use stylefleet_model::Curve;

#[test]
fn an_interrupted_job_ends_with_the_same_bits() {
    let mut engine = engine();
    // Many processors emulate bf16, slowly: one optimiser has to do for it.
    for (precision, optimizers) in [
        (Precision::F32, &[Optimizer::Lbfgs, Optimizer::Adam][..]),
        (Precision::Bf16, &[Optimizer::Lbfgs]),
    ] {
        for &optimizer in optimizers {
            let request = request_with(|p| {
                p.precision = precision;
                p.optimizer = optimizer;
                p.average = if precision == Precision::F32 {
                    0.8
                } else {
                    0.0
                };
            });
            let whole = run(&mut engine, &request);
            // In the coarse scale, at its end, and twice in the fine one; each time another
            // engine goes on, which remembers nothing.
            let mut checkpoint: Option<Vec<u8>> = None;
            for at in [4, 8, 11, 17] {
                let mut watcher = Watcher {
                    interrupt_at: [at].into(),
                    ..Watcher::default()
                };
                engine = self::engine();
                match request.redraw(&mut engine, checkpoint.as_deref(), &mut watcher) {
                    Ok(Outcome::Interrupted {
                        checkpoint: kept,
                        steps,
                    }) => {
                        let counted = checkpoint::steps(&kept, &request.identity);
                        assert_eq!(counted.expect("reads"), steps);
                        assert!(steps <= at);
                        checkpoint = Some(kept);
                    }
                    other => panic!("{precision:?} {optimizer:?}: not interrupted: {other:?}"),
                }
            }
            let resumed =
                request.redraw(&mut engine, checkpoint.as_deref(), &mut Watcher::default());
            let resumed = finished(resumed);
            assert_eq!(whole.pixels, resumed.pixels, "{precision:?} {optimizer:?}");
            assert_eq!(whole.loss.to_bits(), resumed.loss.to_bits());
            assert_eq!(whole.evaluations, resumed.evaluations);
            assert_eq!(whole.curve, resumed.curve);
        }
    }
}

#[test]
fn goes_on_from_a_checkpoint_made_on_the_way() {
    let mut engine = engine();
    let mut watcher = Watcher::default();
    let whole = finished(request().redraw(&mut engine, None, &mut watcher));
    assert!(watcher.checkpoints.len() > 8);
    for checkpoint in watcher.checkpoints.iter().step_by(3) {
        let resumed = request().redraw(&mut engine, Some(checkpoint), &mut Watcher::default());
        assert_eq!(whole.pixels, finished(resumed).pixels);
    }
}

#[test]
fn shows_the_picture_on_the_way_and_how_the_loss_fell() {
    let mut engine = engine();
    let request = request_with(|p| {
        p.keep_colors = KeepColors::Luminance;
    });
    let mut watcher = Watcher {
        interrupt_at: [6].into(),
        ..Watcher::default()
    };
    let outcome = request.redraw(&mut engine, None, &mut watcher);
    assert!(matches!(outcome, Ok(Outcome::Interrupted { .. })));
    let preview = ::image::load_from_memory(&watcher.preview).expect("an image");
    assert_eq!((preview.width(), preview.height()), (24, 24));

    let mut watcher = Watcher::default();
    let picture = finished(request.redraw(&mut engine, None, &mut watcher));
    let preview = ::image::load_from_memory(&watcher.preview).expect("an image");
    let preview = preview.into_rgb32f();
    let away = preview.as_raw().iter().zip(&picture.pixels);
    let away: f32 = away.map(|(a, b)| (a - b).abs()).sum::<f32>() / picture.pixels.len() as f32;
    assert!(
        away < 0.02,
        "the last preview is {away} away from the picture"
    );

    let last = picture.curve.last().expect("a point");
    assert_eq!(last.steps, u64::from(picture.evaluations));
    assert!((last.loss / picture.loss - 1.0).abs() < 1e-3, "{last:?}");
    for scale in picture.curve.chunk_by(|a, b| a.phase == b.phase) {
        let falls = |pair: &[CurvePoint]| pair[1].loss < pair[0].loss;
        assert!(scale.windows(2).all(falls), "{scale:?}");
    }
}

#[test]
fn keeps_to_its_budgets_and_gets_better() {
    let mut watcher = Watcher::default();
    let picture = finished(request().redraw(&mut engine(), None, &mut watcher));
    assert_eq!((picture.width, picture.height), (48, 48));
    assert_eq!(picture.pixels.len(), 48 * 48 * 3);
    assert_eq!(picture.evaluations, 20);
    let counted: Vec<_> = watcher
        .seen
        .iter()
        .map(|p| (p.phase.as_str(), p.done, p.total, p.steps))
        .collect();
    let coarse = (1..=8).map(|i| ("scale 1/2, 24x24", i, 8, i));
    let fine = (1..=12).map(|i| ("scale 2/2, 48x48", i, 12, 8 + i));
    assert_eq!(counted, coarse.chain(fine).collect::<Vec<_>>());
    assert!(picture.loss < 0.5 * watcher.losses()[8], "{}", picture.loss);
    let sum: f64 = picture.terms.values().sum();
    assert!((picture.loss - sum).abs() < 1e-6 * sum);
}

/// The loss reported while optimising is that of the saved picture: clamping to the valid range
/// loses nothing.
#[test]
fn the_saved_picture_has_the_loss_that_was_told() {
    let mut watcher = Watcher::default();
    let picture = finished(request().redraw(&mut engine(), None, &mut watcher));
    let losses = watcher.losses();
    let reported = losses.last().expect("some");
    assert!(
        (picture.loss / reported - 1.0).abs() < 1e-3,
        "{} was reported as {reported}",
        picture.loss
    );
}

#[test]
fn stops_where_it_is_told_to() {
    let mut engine = engine();
    let loss = run(&mut engine, &request()).loss;
    let enough = request_with(|p| {
        p.stop_below = Some(2.0 * loss);
    });
    let picture = run(&mut engine, &enough);
    assert!(
        picture.evaluations < 20 && picture.loss < 2.1 * loss,
        "{}",
        picture.evaluations
    );
    let settled = request_with(|p| {
        p.tolerance = 0.9999;
        p.coarse_evaluations = 30;
    });
    assert!(run(&mut engine, &settled).evaluations < 42);
}

/// A budget that ends within a line search keeps the best point that the search has seen.
#[test]
fn a_tiny_budget_still_gets_better() {
    let mut engine = engine();
    let mut loss = |evaluations| {
        run(
            &mut engine,
            &request_with(|p| {
                p.evaluations = evaluations;
                p.scales = 1;
            }),
        )
        .loss
    };
    assert!(loss(2) < loss(1));
}

#[test]
fn a_checkpoint_of_the_other_optimizer_is_refused() {
    let mut engine = engine();
    let mut watcher = Watcher::default();
    finished(request().redraw(&mut engine, None, &mut watcher));
    let adam = request_with(|p| {
        p.optimizer = Optimizer::Adam;
    });
    let refused = adam.redraw(
        &mut engine,
        Some(&watcher.checkpoints[3]),
        &mut Watcher::default(),
    );
    assert!(matches!(refused, Err(Error::Checkpoint(_))), "{refused:?}");
}

#[test]
fn a_checkpoint_of_no_use_is_refused() {
    let mut engine = engine();
    let mut watcher = Watcher {
        interrupt_at: [3].into(),
        ..Watcher::default()
    };
    let Ok(Outcome::Interrupted { checkpoint, .. }) =
        request().redraw(&mut engine, None, &mut watcher)
    else {
        panic!("was not interrupted");
    };
    let larger = request_with(|p| {
        p.size = Size::Longest(64);
    });
    let other = Request {
        identity: "another job".to_owned(),
        ..request()
    };
    let half = &checkpoint[..checkpoint.len() / 2];
    let mut altered = checkpoint.clone();
    *altered.last_mut().expect("has some") ^= 1;
    let header = |text: &str| text.to_owned();
    let boastful = |text: &str| {
        let more = text.replacen(r#""pairs":"#, r#""pairs":999999999"#, 1);
        assert_ne!(more, text);
        more
    };
    let instead = |part: &'static str, other: &'static str| {
        let header = move |text: &str| {
            assert!(text.contains(part), "{text}");
            text.replacen(part, other, 1)
        };
        forged(&checkpoint, header, |_, value| value)
    };
    let older = instead(r#""version":7"#, r#""version":6"#);
    let of_another_kind = instead(r#""kind":"stylize""#, r#""kind":"other""#);
    let filled = |name, with| {
        let tensor = move |of: &str, value| if of == name { with } else { value };
        forged(&checkpoint, header, tensor)
    };
    let untouched = forged(&checkpoint, header, |_, value| value);
    let goes_on = request().redraw(&mut engine, Some(&untouched), &mut Watcher::default());
    finished(goes_on);
    for (request, checkpoint, why) in [
        (&larger, &checkpoint[..], "variables"),
        (
            &other,
            &checkpoint,
            "it is of a small job, not of another job",
        ),
        (&request(), half, ""),
        (&request(), &older, "its version is 6, not 7"),
        (&request(), &of_another_kind, "of the kind other"),
        (&request(), &altered, "damaged"),
        (
            &request(),
            &forged(&checkpoint, boastful, |_, value| value),
            "s.",
        ),
        (&request(), &filled("x", f32::NAN), "x is not finite"),
        (
            &request(),
            &filled("gradient", f32::INFINITY),
            "gradient is not finite",
        ),
        (&request(), &filled("x", 1e30), "valid range"),
        (&larger, b"{}", ""),
    ] {
        let refused = request.redraw(&mut engine, Some(checkpoint), &mut Watcher::default());
        let Err(Error::Checkpoint(reason)) = refused else {
            panic!("{why}: {refused:?}");
        };
        let reason = reason.to_string();
        assert!(reason.contains(why), "{why:?} is not in: {reason}");
    }
}

/// Targets are kept from job to job, but only for jobs that ask the same of a style.
#[test]
fn what_an_engine_did_before_changes_nothing() {
    let fresh = run(&mut engine(), &request());
    let mut engine = engine();
    run(&mut engine, &request_with(|p| p.style_weight = 0.0));
    run(
        &mut engine,
        &request_with(|p| p.style_layers[0].weight = 0.0),
    );
    let smaller = request_with(|p| {
        p.size = Size::Longest(24);
        p.scales = 1;
    });
    run(&mut engine, &smaller);
    assert_eq!(run(&mut engine, &request()).pixels, fresh.pixels);
}

#[test]
fn encodes_every_format() {
    let picture = run(
        &mut engine(),
        &request_with(|p| {
            p.evaluations = 1;
            p.scales = 1;
        }),
    );
    for format in [Format::Png, Format::Jpeg, Format::Tiff] {
        assert!(picture.encode(format).expect("encodes").len() > 1000);
    }
}

#[test]
fn a_picture_is_a_file_and_its_curve_with_figures() {
    let mut engine = engine();
    let request = request_with(|p| p.format = Format::Jpeg);
    let picture = run(&mut engine, &request);
    let outcome = request.run(&mut engine, None, &mut Watcher::default());
    let Ok(Outcome::Finished(finished)) = outcome else {
        panic!("{outcome:?}");
    };
    let files = finished.outputs.into_iter().map(|output| {
        let file = (output.encode)().expect("encodes");
        (output.role, output.media_type, output.ending, file)
    });
    let files: Vec<_> = files.collect();
    let [image, (Curve::ROLE, "application/json", "json", curve)] = &files[..] else {
        panic!("{files:?}");
    };
    let encoded = picture.encode(Format::Jpeg).expect("encodes");
    assert_eq!(*image, ("picture", "image/jpeg", "jpg", encoded));
    let curve: Curve = serde_json::from_slice(curve).expect("is a curve");
    assert_eq!(curve.steps.last(), Some(&finished.steps));
    assert_eq!(
        [curve.phase.len(), curve.loss.len()],
        [picture.curve.len(); 2]
    );

    let figures = &finished.figures;
    assert_eq!(finished.steps, 20);
    assert_eq!(figures["loss"], picture.loss);
    assert_eq!(figures["loss.content"], picture.terms["content"]);
    assert_eq!(
        [figures["picture.width"], figures["picture.height"]],
        [48.0; 2]
    );
    assert_eq!(figures.len(), 3 + picture.terms.len());
    assert_eq!(finished.made_with["network"], "VGG19");
    assert_eq!(finished.made_with["precision"], "f32");
    assert_eq!(finished.made_with["weights"].len(), 64);
}
