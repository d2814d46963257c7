//! The minimisers on functions whose minima are known.

use std::collections::BTreeSet;

use super::*;

/// A function of `x` that gives value and gradient.
type Function<'a> = &'a dyn Fn(&[f64]) -> (f64, Vec<f64>);

struct Run {
    x: Vec<f64>,
    loss: f64,
    evaluations: usize,
}

fn point(f: Function<'_>, x: &Tensor) -> Point {
    let values = Vec::<f32>::try_from(x).expect("flat");
    let values: Vec<f64> = values.into_iter().map(f64::from).collect();
    let (loss, gradient) = f(&values);
    let gradient: Vec<f32> = gradient.into_iter().map(|g| g as f32).collect();
    Point {
        x: x.shallow_clone(),
        loss,
        gradient: Tensor::from_slice(&gradient),
    }
}

fn bounds(low: f32, high: f32) -> Bounds {
    let bound = |value: f32| Tensor::from_slice(&[value]).reshape([1, 1]);
    Bounds::new(bound(low), bound(high))
}

/// Minimises from `start` until the loss is below `enough`, or nothing better is found.
fn minimize(
    optimizer: Optimizer,
    f: Function<'_>,
    start: &[f32],
    bounds: &Bounds,
    enough: f64,
    most: usize,
) -> Run {
    let mut evaluations = 1;
    let start = point(f, &Tensor::from_slice(start));
    let mut minimizer = Minimizer::new(optimizer, &start, 20, None, 0.0).expect("begins");
    while minimizer.best().1 > enough && evaluations < most {
        let step = minimizer.step(bounds, &mut |x: &Tensor| {
            evaluations += 1;
            Ok::<_, Error>(Some(point(f, x)))
        });
        if step.expect("no error") == Step::Stalled && !minimizer.forget() {
            break;
        }
    }
    let (x, loss) = minimizer.best();
    let x = Vec::<f32>::try_from(x).expect("flat");
    Run {
        x: x.into_iter().map(f64::from).collect(),
        loss,
        evaluations,
    }
}

/// Rosenbrock's function (Computer Journal 3, 1960) in pairs: 0 at all ones.
fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let mut value = 0.0;
    let mut gradient = vec![0.0; x.len()];
    for i in (0..x.len()).step_by(2) {
        let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
        value += a * a + 100.0 * b * b;
        gradient[i] = -2.0 * a - 400.0 * x[i] * b;
        gradient[i + 1] = 200.0 * b;
    }
    (value, gradient)
}

/// 1/2 sum c_i (x_i - 1)^2 with c from 1 to `condition`, spaced evenly in their logarithm.
fn quadratic(condition: f64) -> impl Fn(&[f64]) -> (f64, Vec<f64>) {
    move |x| {
        let last = (x.len() - 1) as f64;
        let curvature = |i: usize| condition.powf(i as f64 / last);
        let value = |(i, x): (usize, &f64)| 0.5 * curvature(i) * (x - 1.0).powi(2);
        let slope = |(i, x): (usize, &f64)| curvature(i) * (x - 1.0);
        (
            x.iter().enumerate().map(value).sum(),
            x.iter().enumerate().map(slope).collect(),
        )
    }
}

fn free() -> Bounds {
    bounds(-1e9, 1e9)
}

/// scipy 1.17's L-BFGS-B with m=20 gets below 1e-8 from here in 44 evaluations.
#[test]
fn lbfgs_walks_rosenbrocks_valley() {
    let run = minimize(
        Optimizer::Lbfgs,
        &rosenbrock,
        &[-1.2, 1.0],
        &free(),
        1e-8,
        200,
    );
    assert!(run.loss <= 1e-8, "{}", run.loss);
    assert!(
        (run.x[0] - 1.0).abs() < 1e-3 && (run.x[1] - 1.0).abs() < 1e-3,
        "{:?}",
        run.x
    );
    assert!(run.evaluations <= 66, "{} evaluations", run.evaluations);
}

#[test]
fn lbfgs_walks_many_valleys_at_once() {
    let start: Vec<f32> = [-1.2, 1.0].repeat(50);
    let run = minimize(Optimizer::Lbfgs, &rosenbrock, &start, &free(), 1e-6, 400);
    assert!(run.loss <= 1e-6, "{} after {}", run.loss, run.evaluations);
}

/// Evaluations that scipy 1.17's L-BFGS-B with m=20 takes, by condition; ours may take half as
/// many more.
#[test]
fn lbfgs_solves_ill_conditioned_quadratics() {
    for (condition, scipy) in [(1e2, 56), (1e4, 479)] {
        let f = quadratic(condition);
        let run = minimize(Optimizer::Lbfgs, &f, &[0.0; 100], &free(), 1e-6, 2000);
        assert!(
            run.loss <= 1e-6,
            "{condition}: {} after {}",
            run.loss,
            run.evaluations
        );
        assert!(
            run.evaluations <= scipy * 3 / 2,
            "{condition}: {} evaluations",
            run.evaluations
        );
    }
}

/// The minimum of a separable function within bounds is the free minimum, moved to the bounds.
#[test]
fn minimisers_keep_to_their_bounds() {
    let f = quadratic(1e3);
    for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
        let run = minimize(optimizer, &f, &[0.0; 10], &bounds(-0.5, 0.25), 0.0, 300);
        assert!(
            run.x.iter().all(|x| (x - 0.25).abs() < 1e-4),
            "{optimizer:?}: {:?}",
            run.x
        );
    }
}

#[test]
fn bounds_that_hold_some_variables_leave_the_others_free() {
    // Minimum at (1, 1); with both at most 0.5, it is at (0.5, 0.25).
    let run = minimize(
        Optimizer::Lbfgs,
        &rosenbrock,
        &[-1.2, 0.4],
        &bounds(-2.0, 0.5),
        0.0,
        300,
    );
    assert!(
        (run.x[0] - 0.5).abs() < 1e-4 && (run.x[1] - 0.25).abs() < 1e-4,
        "{:?}",
        run.x
    );
}

/// A chain of springs, some of which are a thousand times as stiff as others; every third link is
/// drawn to where the bounds do not let it. scipy 1.17's L-BFGS-B with m=20 comes as near to the
/// minimum in 59 evaluations; ours may take half as many more.
#[test]
fn what_bounds_hold_does_not_hinder_the_others() {
    let chain = |x: &[f64]| {
        let mut value = 0.0;
        let mut gradient = vec![0.0; x.len()];
        for (i, &at) in x.iter().enumerate() {
            let away = at - if i % 3 == 0 { 4.0 } else { 0.1 };
            value += 0.5 * away * away;
            gradient[i] += away;
        }
        for (i, pair) in x.windows(2).enumerate() {
            let stiffness = 1e3f64.powf((i % 7) as f64 / 6.0);
            let stretch = pair[0] - pair[1];
            value += 0.5 * stiffness * stretch * stretch;
            gradient[i] += stiffness * stretch;
            gradient[i + 1] -= stiffness * stretch;
        }
        (value, gradient)
    };
    let enough = 178.08213 * (1.0 + 1e-5);
    let run = minimize(
        Optimizer::Lbfgs,
        &chain,
        &[0.0; 100],
        &bounds(-1.0, 1.0),
        enough,
        2000,
    );
    assert!(run.loss <= enough, "{}", run.loss);
    assert!(
        run.evaluations <= 59 * 3 / 2,
        "{} evaluations",
        run.evaluations
    );
}

#[test]
fn adam_gets_down() {
    let f = |x: &[f64]| {
        let value = x.iter().map(|x| (x - 100.0).powi(2)).sum();
        (value, x.iter().map(|x| 2.0 * (x - 100.0)).collect())
    };
    let run = minimize(Optimizer::Adam, &f, &[0.0; 10], &free(), 1e-2, 2000);
    assert!(run.loss <= 1e-2, "{}", run.loss);
}

/// The objective blows up beyond 2: the minimiser comes back, and ends at the best point.
#[test]
fn survives_where_the_function_is_not_finite() {
    let f = |x: &[f64]| {
        let x = x[0];
        if x < 2.0 {
            ((x - 1.9).powi(4), vec![4.0 * (x - 1.9).powi(3)])
        } else {
            (f64::NAN, vec![f64::NAN])
        }
    };
    let run = minimize(Optimizer::Lbfgs, &f, &[-50.0], &free(), 1e-6, 200);
    assert!(run.loss <= 1e-6, "{} at {:?}", run.loss, run.x);
}

#[test]
fn a_restored_minimiser_goes_on_bit_for_bit() {
    for optimizer in [Optimizer::Lbfgs, Optimizer::Adam] {
        let f: Function<'_> = &rosenbrock;
        let start: Vec<f32> = [-1.2, 1.0].repeat(50);
        let start = point(f, &Tensor::from_slice(&start));
        let mut original = Minimizer::new(optimizer, &start, 20, None, 0.9).expect("begins");
        let go_on = |minimizer: &mut Minimizer, iterations: usize| {
            for _ in 0..iterations {
                minimizer
                    .step(&free(), &mut |x: &Tensor| Ok::<_, Error>(Some(point(f, x))))
                    .expect("no error");
            }
        };
        // More iterations than pairs are remembered.
        go_on(&mut original, 30);
        let (scalars, tensors) = original.save();
        let mut take = |name: &str| {
            let found = tensors.iter().find(|(found, _)| found == name);
            Ok(found.expect("is there").1.copy())
        };
        let mut restored =
            Minimizer::restore(&scalars, None, Device::Cpu, &mut take).expect("restores");
        restored.keep(20).expect("no error");
        go_on(&mut original, 10);
        go_on(&mut restored, 10);
        assert_eq!(
            original.best().1.to_bits(),
            restored.best().1.to_bits(),
            "{optimizer:?}"
        );
        assert!(original.best().0.equal(restored.best().0), "{optimizer:?}");
        let [mean, again] = [original, restored].map(|m| m.result().expect("no error"));
        assert!(mean.equal(&again), "{optimizer:?}");
    }
}

/// Tensors that are allocated and freed between evaluations would fragment the memory that
/// evaluations need.
#[test]
fn what_lbfgs_remembers_stays_where_it_is() {
    let f: Function<'_> = &rosenbrock;
    let start = point(f, &Tensor::from_slice(&[-1.2f32, 1.0].repeat(50)));
    let mut minimizer = Minimizer::new(Optimizer::Lbfgs, &start, 5, None, 0.0).expect("begins");
    let mut places_after = |iterations: usize| -> BTreeSet<usize> {
        for _ in 0..iterations {
            let step = minimizer.step(&free(), &mut |x: &Tensor| Ok::<_, Error>(Some(point(f, x))));
            assert_eq!(step.expect("no error"), Step::Accepted);
        }
        let (_, tensors) = minimizer.save();
        let places = tensors.iter().map(|(_, tensor)| tensor.data_ptr() as usize);
        places.collect()
    };
    let first = places_after(10);
    assert_eq!(first.len(), 2 + 2 * 5);
    assert_eq!(places_after(7), first);
}

#[test]
fn the_mean_counts_newer_places_more() {
    let f: Function<'_> = &rosenbrock;
    let start = || point(f, &Tensor::from_slice(&[-1.2f32, 1.0]));
    let best = |m: &Minimizer| Vec::<f32>::try_from(m.best().0).expect("flat");
    let mut minimizer = Minimizer::new(Optimizer::Lbfgs, &start(), 20, None, 0.75).expect("begins");
    let result = |m: &Minimizer| Vec::<f32>::try_from(m.result().expect("no error")).expect("flat");
    assert_eq!(result(&minimizer), best(&minimizer), "no place yet");
    let mut mean = [0.0f64; 2];
    let mut all = 0.0;
    for _ in 0..6 {
        let step = minimizer.step(&free(), &mut |x: &Tensor| Ok::<_, Error>(Some(point(f, x))));
        assert_eq!(step.expect("no error"), Step::Accepted);
        // What was before counts three quarters of what it did.
        all = 0.75 * all + 1.0;
        for (mean, place) in mean.iter_mut().zip(best(&minimizer)) {
            *mean += (f64::from(place) - *mean) / all;
        }
        for (found, mean) in result(&minimizer).into_iter().zip(mean) {
            assert!(
                (f64::from(found) - mean).abs() < 1e-5,
                "{found} is not {mean}"
            );
        }
    }
    assert_ne!(result(&minimizer), best(&minimizer));
}

/// An evaluation that fails in the middle of a line search leaves no trace.
#[test]
fn an_interrupted_iteration_changes_nothing() {
    let f: Function<'_> = &rosenbrock;
    let start = point(f, &Tensor::from_slice(&[-1.2f32, 1.0]));
    let mut minimizer = Minimizer::new(Optimizer::Lbfgs, &start, 20, None, 0.0).expect("begins");
    let before = minimizer.best().0.copy();
    let step = minimizer.step(&free(), &mut |_: &Tensor| {
        Err::<Option<Point>, _>(Error::Request("interrupted".into()))
    });
    assert!(step.is_err());
    assert!(minimizer.best().0.equal(&before));
}
