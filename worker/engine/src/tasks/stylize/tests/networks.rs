//! VGG16 in place of VGG19.

use super::*;

#[test]
fn vgg16_does_with_the_layers_that_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut engine = engine_of(vgg16(folder.path()), None);
    assert_eq!(engine.description().network.as_deref(), Some("VGG16"));
    engine.time_evaluation(32).expect("runs");
    let deep = |p: &mut Parameters| {
        *p = Parameters {
            size: p.size,
            evaluations: p.evaluations,
            coarse_evaluations: p.coarse_evaluations,
            scales: p.scales,
            precision: p.precision,
            network: Network::Vgg16,
            pooling: Pooling::Average,
            ..objective("gatys")
        }
    };
    let mut watcher = Watcher::default();
    let picture = finished(request_with(deep).redraw(&mut engine, None, &mut watcher));
    assert!(picture.loss < 0.5 * watcher.losses()[8], "{}", picture.loss);

    let why = "asks for VGG19, and this worker's weights are of VGG16";
    let refused = request().redraw(&mut engine, None, &mut Watcher::default());
    let refused = refused.expect_err(why);
    assert!(matches!(refused, Error::Request(_)), "{refused:?}");
    assert!(refused.to_string().contains(why), "{refused}");
}

#[test]
fn without_a_network_there_is_no_picture() {
    let mut engine = Engine::open(&Options {
        device: device_name(),
        threads: Some(1),
        weights: None,
        max_pixels: 1 << 20,
        memory: None,
    })
    .expect("opens");
    assert_eq!(engine.description().network, None);
    let refused = request().run(&mut engine, None, &mut Watcher::default());
    assert!(matches!(refused, Err(Error::NoNetwork)), "{refused:?}");
    let refused = engine.time_evaluation(32);
    assert!(matches!(refused, Err(Error::NoNetwork)), "{refused:?}");
}

/// Along the gradient, the loss changes as fast as the gradient is long.
#[test]
fn vgg16s_gradient_is_the_slope_of_the_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = engine_of(vgg16(folder.path()), None);
    let objective = Parameters {
        network: Network::Vgg16,
        pooling: Pooling::Average,
        ..objective("gatys")
    };
    let evaluate = |x: &[f32]| {
        let styles = [(source("starry_night_64x64.png"), 1.0)];
        let content = source("astronaut_64x64.png");
        let found = engine.evaluate(&objective, &content, &styles, x, u64::MAX);
        found.expect("evaluates")
    };
    let x: Vec<f32> = (0..3 * 64 * 64)
        .map(|i| (i * 37 % 101) as f32 - 50.0)
        .collect();
    let gradient = evaluate(&x).gradient;
    let length = gradient
        .iter()
        .map(|g| f64::from(*g).powi(2))
        .sum::<f64>()
        .sqrt();
    let loss = |step: f64| {
        let along = |(x, g): (&f32, &f32)| (f64::from(*x) + step * f64::from(*g) / length) as f32;
        let x: Vec<f32> = x.iter().zip(&gradient).map(along).collect();
        evaluate(&x).loss
    };
    let slope = (loss(1.0) - loss(-1.0)) / 2.0;
    assert!(
        (slope / length - 1.0).abs() < 0.01,
        "{slope} is not {length}"
    );
}
