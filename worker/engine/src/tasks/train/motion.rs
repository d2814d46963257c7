//! What a sample shows a moment later, when camera and things have moved in a known way. A network
//! that draws both alike holds the frames of a video together: Eilertsen et al., "Single-Frame
//! Regularization for Temporally Stable CNNs" (arXiv 1902.10424), and the temporal loss of Gao et
//! al., "ReCoNet" (arXiv 1807.01197), equation 3.

use tch::{Device, Kind, Tensor};

use super::order::Random;
use crate::Error;
use crate::device::upload;
use crate::flow::warped;

/// Farthest that the camera shifts, as part of the sample's side: 8 pixels of 256.
const SHIFT: f32 = 1.0 / 32.0;
/// Farthest that it turns, in radians.
const TURN: f32 = 0.035;
/// Most that it zooms, in or out.
const ZOOM: f32 = 0.03;
/// In one of so many samples it stands still.
const STILL: u32 = 4;
/// Farthest that a thing moves before the camera, as part of the side.
const OWN_SHIFT: f32 = 1.0 / 16.0;
/// Least and largest radius of a thing, as part of the side.
const RADII: (f32, f32) = (0.1, 0.25);
/// What the noise of a camera changes at most, in grey levels.
const NOISE: f32 = 4.0;

/// A known motion of a square sample.
#[derive(Debug)]
pub(super) struct Motion {
    /// From where each pixel comes, `[1, 2, S, S]`: to the right, then down, in pixels.
    flow: Tensor,
    /// What is added to each value, `[1, 3, S, S]`, in grey levels.
    noise: Tensor,
}

/// The camera's motion: where a pixel comes from.
struct Camera {
    shift: [f32; 2],
    /// Cosine and sine of the turn, times the zoom.
    turn: [f32; 2],
}

/// A thing that moves before the camera: all within an ellipse.
struct Thing {
    centre: [f32; 2],
    radii: [f32; 2],
    shift: [f32; 2],
}

impl Motion {
    /// The motion of a sample of that number, `side` pixels wide and high: it follows from these
    /// alone.
    pub fn of(seed: u64, sample: u64, side: u32, device: Device) -> Result<Self, Error> {
        let mut random = Random::of_motion(seed, sample);
        let camera = Camera::any(&mut random);
        let thing = Thing::any(&mut random);
        let (pixels, length) = ((side * side) as usize, side as f32);
        let mut flow = vec![0.0; 2 * pixels];
        let (right, down) = flow.split_at_mut(pixels);
        for (place, (right, down)) in right.iter_mut().zip(down).enumerate() {
            let place = place as u32;
            let at = [place % side, place / side].map(|at| (at as f32 + 0.5) / length);
            let moved = camera.flow(at);
            let own = if thing.covers(at) {
                thing.shift
            } else {
                [0.0; 2]
            };
            *right = (moved[0] + own[0]) * length;
            *down = (moved[1] + own[1]) * length;
        }
        // The sum of two dice: close to what a sensor adds.
        let noise: Vec<f32> = (0..3 * pixels)
            .map(|_| (random.between(-NOISE, NOISE) + random.between(-NOISE, NOISE)) / 2.0)
            .collect();
        let side = i64::from(side);
        let tensor = |values: &[f32], channels| {
            let values = upload(&Tensor::f_from_slice(values)?, device)?;
            Ok::<_, Error>(values.f_reshape([1, channels, side, side])?)
        };
        Ok(Self {
            flow: tensor(&flow, 2)?,
            noise: tensor(&noise, 3)?,
        })
    }

    /// What `content` shows afterwards; it is `[1, 3, S, S]`, R, G, B, 0 to 255.
    pub fn after(&self, content: &Tensor) -> Result<Tensor, Error> {
        let (moved, _) = warped(content, &self.flow)?;
        Ok(moved.f_add(&self.noise)?.f_clamp(0.0, 255.0)?)
    }

    /// The mean squared distance, in grey levels, between the picture that was drawn `after` the
    /// motion and the one `before`, moved alike, where that was in sight. Gradients are recorded if
    /// that is on.
    pub fn distance(&self, before: &Tensor, after: &Tensor) -> Result<Tensor, Error> {
        let (expected, in_sight) = warped(before, &self.flow)?;
        let squares = after.f_sub(&expected)?.f_square()?.f_mul(&in_sight)?;
        let counted = in_sight.f_sum(Kind::Float)?.f_mul_scalar(3.0)?;
        Ok(squares.f_sum(Kind::Float)?.f_div(&counted)?)
    }
}

impl Camera {
    fn any(random: &mut Random) -> Self {
        if random.below(STILL) == 0 {
            return Self {
                shift: [0.0; 2],
                turn: [1.0, 0.0],
            };
        }
        let zoom = 1.0 + random.between(-ZOOM, ZOOM);
        let angle = random.between(-TURN, TURN);
        Self {
            shift: [0; 2].map(|_| random.between(-SHIFT, SHIFT)),
            turn: [angle.cos(), angle.sin()].map(|part| part * zoom),
        }
    }

    /// From a place, 0 to 1, to where what is there comes from.
    fn flow(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let ([cos, sin], [x, y]) = (self.turn, [x - 0.5, y - 0.5]);
        let [right, down] = self.shift;
        [cos * x - sin * y - x + right, sin * x + cos * y - y + down]
    }
}

impl Thing {
    fn any(random: &mut Random) -> Self {
        let (least, most) = RADII;
        Self {
            centre: [0; 2].map(|_| random.between(most, 1.0 - most)),
            radii: [0; 2].map(|_| random.between(least, most)),
            shift: [0; 2].map(|_| random.between(-OWN_SHIFT, OWN_SHIFT)),
        }
    }

    fn covers(&self, at: [f32; 2]) -> bool {
        let parts = [0, 1].map(|axis| (at[axis] - self.centre[axis]) / self.radii[axis]);
        parts.iter().map(|part| part * part).sum::<f32>() < 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: i64 = 96;

    fn motion(sample: u64) -> Motion {
        Motion::of(3, sample, SIDE as u32, Device::Cpu).expect("is made")
    }

    /// A smooth picture, so that what is between pixels is known.
    fn picture() -> Tensor {
        let at = Tensor::arange(SIDE, (Kind::Float, Device::Cpu)) / 9.0;
        let (x, y) = (at.reshape([1, 1, 1, SIDE]), at.reshape([1, 1, SIDE, 1]));
        let waves = [1.0, 0.7, 1.3].map(|pace| (&x * pace).sin() * (&y * (2.0 - pace)).cos());
        Tensor::cat(&waves, 1) * 100.0 + 127.5
    }

    #[test]
    fn what_moves_alike_is_at_no_distance() {
        let before = picture();
        for sample in 0..8 {
            let motion = motion(sample);
            let distance = |after: &Tensor| {
                let found = motion.distance(&before, after).expect("runs");
                found.double_value(&[]).sqrt()
            };
            // The noise alone: the mean of two dice deviates by this.
            let noise = f64::from(NOISE) / 6.0_f64.sqrt();
            let after = motion.after(&before).expect("runs");
            assert!((distance(&after) / noise - 1.0).abs() < 0.05);
            // A picture that stays where it is does not.
            assert!(distance(&before) > 3.0 * noise, "{}", distance(&before));
        }
    }

    #[test]
    fn a_camera_stands_still_or_moves_and_a_thing_moves_before_it() {
        let parts = (0..40).map(|sample| {
            let flow = motion(sample).flow;
            let corner = flow.narrow(2, 0, 1).narrow(3, 0, 1).abs().sum(Kind::Float);
            let most = flow.abs().max().double_value(&[]) / SIDE as f64;
            (corner.double_value(&[]) == 0.0, most)
        });
        let parts: Vec<_> = parts.collect();
        let still = parts.iter().filter(|(is_still, _)| *is_still).count();
        assert!((3..20).contains(&still), "{still}");
        assert!(
            parts.iter().all(|(_, most)| (0.001..0.15).contains(most)),
            "{parts:?}"
        );
    }

    #[test]
    fn a_sample_moves_the_same_way_for_ever() {
        assert_eq!(motion(5).flow, motion(5).flow);
        assert_ne!(motion(5).flow, motion(6).flow);
        let at = motion(5).flow.double_value(&[0, 0, 40, 40]);
        assert_eq!(format!("{at:.4}"), "1.6286");
    }
}
