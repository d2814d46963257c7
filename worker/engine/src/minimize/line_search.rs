//! The line search of Moré and Thuente ("Line search algorithms with guaranteed sufficient
//! decrease", ACM TOMS 20, 1994): finds a step with sufficient decrease and a small slope.

/// Sufficient decrease: the loss falls by at least this part of what the first slope promises.
const DECREASE: f64 = 1e-4;
/// Curvature: the slope shrinks to this part of the first one.
const CURVATURE: f64 = 0.9;
/// A bracket narrower than this, relative to its upper end, is not searched further.
const NARROW: f64 = 1e-3;
/// Evaluations before the search settles for the best step seen.
const MOST: usize = 12;
/// Most that the step grows from one trial to the next.
const GROWTH: f64 = 4.0;

/// A step tried: the value and the slope there, and what else the caller keeps of it.
#[derive(Debug)]
pub(super) struct Trial<P> {
    pub value: f64,
    pub slope: f64,
    pub kept: P,
}

/// Value and slope at an end of the bracket.
#[derive(Debug, Clone, Copy)]
struct End {
    step: f64,
    value: f64,
    slope: f64,
}

impl End {
    /// The auxiliary function of the paper's section 2: the value less what sufficient decrease
    /// allows for.
    fn below(self, slope: f64) -> Self {
        Self {
            step: self.step,
            value: self.value - self.step * slope,
            slope: self.slope - slope,
        }
    }
}

/// Searches from step 0, where the function has `value` and the negative `slope`, trying `first`
/// first. `evaluate` gives none where no more is to be tried; the best step so far then counts.
/// `None`: no step with a lower value was found.
pub(super) fn search<P, H>(
    value: f64,
    slope: f64,
    first: f64,
    evaluate: &mut dyn FnMut(f64) -> Result<Option<Trial<P>>, H>,
) -> Result<Option<Trial<P>>, H> {
    let allowed = DECREASE * slope;
    let mut best: Option<Trial<P>> = None;
    // The end with the lowest value, and the other one; they bracket a good step once `bracketed`.
    let mut low = End {
        step: 0.0,
        value,
        slope,
    };
    let mut high = low;
    let mut bracketed = false;
    // Until a step has both decrease and a rising slope, the auxiliary function leads.
    let mut auxiliary = true;
    let mut widths = [f64::INFINITY; 2];
    let mut step = first;
    let mut longest = f64::INFINITY;
    for _ in 0..MOST {
        let Some(trial) = evaluate(step)? else {
            break;
        };
        let at = End {
            step,
            value: trial.value,
            slope: trial.slope,
        };
        if !(at.value.is_finite() && at.slope.is_finite()) {
            // Too far: come back towards the best end, and never this far again.
            longest = step;
            step = low.step + 0.1 * (step - low.step);
            continue;
        }
        let enough = at.value <= value + step * allowed;
        let done = enough && at.slope.abs() <= CURVATURE * slope.abs();
        if at.value < best.as_ref().map_or(value, |best| best.value) {
            best = Some(trial);
        }
        if done {
            break;
        }
        if auxiliary && enough && at.slope >= 0.0 {
            auxiliary = false;
        }
        let reach = step - low.step;
        let mut next;
        if auxiliary && at.value <= low.value && !enough {
            let (l, h, a) = (low.below(allowed), high.below(allowed), at.below(allowed));
            next = interpolate(l, h, a, bracketed);
            narrow(&mut low, &mut high, &mut bracketed, at, l, a);
        } else {
            next = interpolate(low, high, at, bracketed);
            let before = low;
            narrow(&mut low, &mut high, &mut bracketed, at, before, at);
        }
        if bracketed {
            let width = (high.step - low.step).abs();
            if width <= NARROW * high.step.max(low.step) {
                break;
            }
            // Where two rounds do not shrink the bracket by a third, halve it.
            if width >= 0.66 * widths[0] {
                next = low.step + 0.5 * (high.step - low.step);
            }
            widths = [widths[1], width];
            // `min` and `max` also take the place of a next that is not a number.
            next = next
                .max(low.step.min(high.step))
                .min(low.step.max(high.step));
        } else {
            next = next.max(step + 1.1 * reach).min(step + GROWTH * reach);
        }
        step = if next < longest {
            next
        } else {
            0.5 * (low.step + longest)
        };
    }
    Ok(best)
}

/// Moves the bracket to hold `at` (the paper's updating algorithm). `l` and `a` are the low end
/// and the trial in terms of the function that leads.
fn narrow(low: &mut End, high: &mut End, bracketed: &mut bool, at: End, l: End, a: End) {
    if a.value > l.value {
        *high = at;
        *bracketed = true;
    } else {
        if a.slope * l.slope < 0.0 {
            *high = *low;
            *bracketed = true;
        }
        *low = at;
    }
}

/// The next trial: the paper's section 4, four cases.
fn interpolate(low: End, high: End, at: End, bracketed: bool) -> f64 {
    let cubic = cubic_minimum(low, at);
    let secant = at.step + at.slope / (at.slope - low.slope) * (low.step - at.step);
    if at.value > low.value {
        // Higher: the minimum lies between. Prefer the cubic where it is the bolder one.
        let quadratic = low.step
            + 0.5 * low.slope / ((low.value - at.value) / (at.step - low.step) + low.slope)
                * (at.step - low.step);
        if (cubic - low.step).abs() < (quadratic - low.step).abs() {
            cubic
        } else {
            cubic + 0.5 * (quadratic - cubic)
        }
    } else if at.slope * low.slope < 0.0 {
        // Lower, and the slope has changed sign: the minimum lies between.
        if (cubic - at.step).abs() >= (secant - at.step).abs() {
            cubic
        } else {
            secant
        }
    } else if at.slope.abs() <= low.slope.abs() {
        // Lower, and the slope flattens: the minimum lies beyond.
        let beyond = (cubic - at.step) * (at.step - low.step) > 0.0;
        let cubic = if beyond {
            cubic
        } else {
            at.step + GROWTH * (at.step - low.step)
        };
        if bracketed {
            let next = if (cubic - at.step).abs() < (secant - at.step).abs() {
                cubic
            } else {
                secant
            };
            let limit = at.step + 0.66 * (high.step - at.step);
            if at.step > low.step {
                next.min(limit)
            } else {
                next.max(limit)
            }
        } else if (cubic - at.step).abs() > (secant - at.step).abs() {
            cubic
        } else {
            secant
        }
    } else if bracketed {
        // Lower, and the slope does not flatten: look towards the other end.
        cubic_minimum(high, at)
    } else {
        at.step + GROWTH * (at.step - low.step)
    }
}

/// Where the cubic through both ends' values and slopes is lowest (Nocedal and Wright, "Numerical
/// Optimization", equation 3.59).
fn cubic_minimum(a: End, b: End) -> f64 {
    let width = b.step - a.step;
    let d1 = a.slope + b.slope - 3.0 * (b.value - a.value) / width;
    let d2 = width.signum() * (d1 * d1 - a.slope * b.slope).max(0.0).sqrt();
    b.step - width * (b.slope + d2 - d1) / (b.slope - a.slope + 2.0 * d2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches `f`, which gives value and slope; gives the step and the number of evaluations.
    fn run(f: impl Fn(f64) -> (f64, f64), first: f64) -> (f64, usize) {
        let mut evaluations = 0;
        let (value, slope) = f(0.0);
        let found = search(value, slope, first, &mut |step| {
            evaluations += 1;
            let (value, slope) = f(step);
            Ok::<_, ()>(Some(Trial {
                value,
                slope,
                kept: step,
            }))
        });
        (found.expect("no error").expect("a step").kept, evaluations)
    }

    /// The first function of the paper's section 5, with its first steps.
    #[test]
    fn meets_both_conditions() {
        let f = |a: f64| (-a / (a * a + 2.0), (a * a - 2.0) / (a * a + 2.0).powi(2));
        for first in [1e-3, 1e-1, 1e1, 1e3] {
            let (step, evaluations) = run(f, first);
            let (start, at) = (f(0.0), f(step));
            assert!(
                at.0 <= start.0 + DECREASE * step * start.1,
                "{first}: {step}"
            );
            assert!(at.1.abs() <= CURVATURE * start.1.abs(), "{first}: {step}");
            assert!(evaluations <= 8, "{first}: {evaluations}");
        }
    }

    /// The second one, whose slope at the start is next to nothing; its minimum is at 1.596.
    #[test]
    fn finds_a_minimum_far_from_a_flat_start() {
        let f = |a: f64| {
            let b = a + 0.004;
            (
                b.powi(5) - 2.0 * b.powi(4),
                5.0 * b.powi(4) - 8.0 * b.powi(3),
            )
        };
        for first in [1e-3, 1e-1, 1e1, 1e3] {
            let (step, _) = run(f, first);
            assert!((step - 1.596).abs() < 0.01, "{first}: {step}");
        }
    }

    #[test]
    fn comes_back_from_where_the_function_is_not_finite() {
        let f = |a: f64| {
            if a < 2.0 {
                (a * a - a, 2.0 * a - 1.0)
            } else {
                (f64::NAN, f64::NAN)
            }
        };
        let (step, _) = run(f, 64.0);
        assert!(f(step).0 < 0.0, "{step}");
    }

    #[test]
    fn finds_nothing_uphill() {
        let found = search(0.0, -1.0, 1.0, &mut |step| {
            Ok::<_, ()>(Some(Trial {
                value: step,
                slope: 1.0,
                kept: (),
            }))
        });
        assert!(matches!(found, Ok(None)));
    }

    #[test]
    fn settles_for_the_best_when_no_more_may_be_tried() {
        let mut left = 1;
        let found = search(0.0, -1.0, 1e-3, &mut |step| {
            left -= 1;
            let trial = Trial {
                value: -step,
                slope: -1.0,
                kept: step,
            };
            Ok::<_, ()>((left >= 0).then_some(trial))
        });
        assert_eq!(found.expect("no error").expect("a step").kept, 1e-3);
    }
}
