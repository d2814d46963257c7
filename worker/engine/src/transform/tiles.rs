//! Pictures that are too large for memory.
//!
//! Instance normalisation takes the statistics of the whole picture after each convolution, so no
//! tile can go through the network by itself. What has a quarter of the picture's rows and columns
//! is kept whole. What is larger is computed tile by tile, from what is kept, with as much around
//! each tile as it depends on: for the statistics of one layer, then for those of the next.

use std::ops::Range;

use tch::{Kind, Tensor};

use super::{DOWN, EPSILON, LAST, Layer, RESIDUAL, Transform, UP};
use crate::Error;
use crate::allocator;
use crate::arithmetic::channels_last;
use crate::observer::Halt;

/// How often a picture is gone through.
pub(crate) const PASSES: u64 = (DOWN.len() + 2 * RESIDUAL.len() + UP.len() + 1) as u64;

impl Transform {
    /// [`Transform::forward`] without gradients, in tiles of no more than `side` pixels a side, at
    /// least 16: the same picture in less memory. `go_on` is called after each tile, with the
    /// passes done, of [`PASSES`].
    pub fn forward_in_tiles(
        &self,
        image: &Tensor,
        shares: &[f64],
        kind: Kind,
        side: u32,
        go_on: &mut dyn FnMut(u64) -> Result<(), Halt>,
    ) -> Result<Tensor, Halt> {
        let _no_grad = tch::no_grad_guard();
        let mut run = Run {
            network: self,
            shares,
            kind,
            size: size_of(image)?,
            side: side.into(),
            passes: 0,
            go_on,
        };
        let stream = run.down(image)?;
        // Memory that tiles left free is in pieces that do not fit what is next.
        allocator::give_back();
        run.residual(&stream)?;
        allocator::give_back();
        run.up(&stream)
    }
}

/// A picture on its way through the network.
struct Run<'a> {
    network: &'a Transform,
    shares: &'a [f64],
    kind: Kind,
    /// Rows and columns of the picture.
    size: [i64; 2],
    /// Longest side of a tile, in pixels of the picture.
    side: i64,
    /// Passes done.
    passes: u64,
    go_on: &'a mut dyn FnMut(u64) -> Result<(), Halt>,
}

/// Rows and columns of a tensor.
#[derive(Debug, Clone)]
struct Tile([Range<i64>; 2]);

/// Layers of which only the input is kept.
struct Chain<'a> {
    network: &'a Transform,
    kind: Kind,
    input: &'a Tensor,
    layers: &'a [Layer],
    /// What follows the convolutions, as far as it is known.
    norms: Vec<Norm>,
}

/// What a layer needs of its input for some of its rows or columns.
#[derive(Debug)]
struct Reach {
    /// What there is of it.
    seen: Range<i64>,
    /// What is missing before and after, beyond the borders.
    missing: [i64; 2],
    /// Where what is wanted is in the layer's result.
    wanted: Range<i64>,
}

/// The normalisation after a layer's convolution, and the ReLU if there is one.
struct Norm {
    mean: Tensor,
    variance: Tensor,
    scale: Tensor,
    shift: Tensor,
    rectifies: bool,
}

/// Number of values of each channel, their means, and the sums of their squared distances from
/// these, 64-bit.
#[derive(Default)]
struct Moments(Option<(f64, Tensor, Tensor)>);

impl Run<'_> {
    /// From the picture to a quarter of its rows and columns.
    fn down(&mut self, image: &Tensor) -> Result<Tensor, Halt> {
        let mut chain = Chain::new(self.network, self.kind, image, &DOWN);
        let [rows, columns] = chain.size(DOWN.len())?;
        let channels = self.network.channels(DOWN[DOWN.len() - 1])?;
        let stream = Tensor::f_empty([1, rows, columns, channels], (self.kind, image.device()))?
            .f_permute([0, 3, 1, 2])?;
        for (number, layer) in DOWN.into_iter().enumerate() {
            let is_last = number + 1 == DOWN.len();
            let mut moments = Moments::default();
            let size = chain.size(number + 1)?;
            self.pass(&chain, number, size, &mut |x, tile| {
                if is_last {
                    tile.of(&stream)?.f_copy_(x)?;
                }
                moments.add(x)
            })?;
            let norm = self.norm(layer, moments)?;
            if is_last {
                self.normalize(&norm, &stream)?;
            }
            chain.norms.push(norm);
        }
        Ok(stream)
    }

    /// All residual blocks, in place.
    fn residual(&mut self, stream: &Tensor) -> Result<(), Halt> {
        let inner = stream.f_empty_like()?;
        for [first, second] in RESIDUAL {
            let norm = self.convolve(first, stream, &inner)?;
            self.normalize(&norm, &inner)?;
            let norm = self.convolve(second, &inner, &inner)?;
            for strip in self.strips(stream)? {
                let change = norm.apply(&strip.of(&inner)?)?;
                let _ = strip.of(stream)?.f_add_(&change)?;
            }
        }
        Ok(())
    }

    /// Back to all rows and columns.
    fn up(&mut self, stream: &Tensor) -> Result<Tensor, Halt> {
        let layers = [UP[0], UP[1], LAST];
        let mut chain = Chain::new(self.network, self.kind, stream, &layers);
        for (number, layer) in UP.into_iter().enumerate() {
            let mut moments = Moments::default();
            let size = chain.size(number + 1)?;
            self.pass(&chain, number, size, &mut |x, _| moments.add(x))?;
            chain.norms.push(self.norm(layer, moments)?);
        }
        let [rows, columns] = self.size;
        let picture = Tensor::f_empty([1, 3, rows, columns], (Kind::Float, stream.device()))?;
        self.pass(&chain, UP.len(), self.size, &mut |x, tile| {
            tile.of(&picture)?.f_copy_(x)?;
            Ok(())
        })?;
        Ok(picture)
    }

    /// Gives `take` the convolution of a chain's layer, of which `size` is wanted, tile by tile.
    fn pass(
        &mut self,
        chain: &Chain<'_>,
        number: usize,
        size: [i64; 2],
        take: &mut dyn FnMut(&Tensor, &Tile) -> Result<(), Error>,
    ) -> Result<(), Halt> {
        // Of all sizes as many tiles.
        let [rows, columns] = self.size.map(|length| quotient(length, self.side));
        for rows in parts(size[0], rows) {
            for columns in parts(size[1], columns) {
                let tile = Tile([rows.clone(), columns]);
                take(&chain.convolved(number, &tile)?, &tile)?;
                (self.go_on)(self.passes)?;
            }
        }
        self.passes += 1;
        Ok(())
    }

    /// The convolution of a layer, of `from` into `to`, which may be the same, strip by strip; and
    /// what follows it.
    fn convolve(&mut self, layer: Layer, from: &Tensor, to: &Tensor) -> Result<Norm, Halt> {
        let around = layer.around();
        let [height, _] = size_of(from)?;
        let mut moments = Moments::default();
        // The rows above, as they were.
        let mut above = from.f_narrow(2, 0, 0)?;
        for strip in self.strips(from)? {
            let Range { start, end } = strip.0[0].clone();
            let below = (end + around).min(height);
            let x = Tensor::f_cat(&[&above, &from.f_narrow(2, start, below - start)?], 2)?;
            above = from.f_narrow(2, end - around, around)?.f_detach_copy()?;
            let (top, bottom) = ((around - start).max(0), end + around - below);
            let x = layer.padded(&x, [around, around, top, bottom])?;
            let x = self.network.convolve(layer, &x)?;
            strip.of(to)?.f_copy_(&x)?;
            moments.add(&x)?;
            (self.go_on)(self.passes)?;
        }
        self.passes += 1;
        Ok(self.norm(layer, moments)?)
    }

    /// Normalises all of `x` in place.
    fn normalize(&self, norm: &Norm, x: &Tensor) -> Result<(), Error> {
        for strip in self.strips(x)? {
            let mut strip = strip.of(x)?;
            let normalized = norm.apply(&strip)?;
            strip.f_copy_(&normalized)?;
        }
        Ok(())
    }

    /// Strips of rows of what has a quarter of the picture's, as large as tiles.
    fn strips(&self, x: &Tensor) -> Result<Vec<Tile>, Error> {
        let [rows, columns] = size_of(x)?;
        let count = quotient(rows * columns * 16, self.side * self.side).min(rows);
        let strips = parts(rows, count).map(|rows| Tile([rows, 0..columns]));
        Ok(strips.collect())
    }

    /// What follows a layer's convolution, with these statistics of the whole picture.
    fn norm(&self, layer: Layer, moments: Moments) -> Result<Norm, Error> {
        let (scale, shift) = self.network.affine(layer, self.shares)?;
        let (mean, variance) = moments.statistics()?;
        Ok(Norm {
            mean,
            variance,
            scale,
            shift,
            rectifies: layer.rectifies,
        })
    }
}

impl<'a> Chain<'a> {
    fn new(network: &'a Transform, kind: Kind, input: &'a Tensor, layers: &'a [Layer]) -> Self {
        Self {
            network,
            kind,
            input,
            layers,
            norms: Vec::new(),
        }
    }

    /// Rows and columns after so many of the layers.
    fn size(&self, layers: usize) -> Result<[i64; 2], Error> {
        let size = size_of(self.input)?;
        let layers = self.layers.iter().take(layers);
        Ok(layers.fold(size, |size, layer| size.map(|length| layer.length(length))))
    }

    /// Of the convolution of a layer, by its number, what a tile of its result has.
    fn convolved(&self, number: usize, tile: &Tile) -> Result<Tensor, Error> {
        let mut tile = tile.clone();
        let mut reaches = Vec::new();
        for (below, layer) in self.layers[..=number].iter().enumerate().rev() {
            let lengths = self.size(below)?;
            let reach = [0, 1].map(|axis| layer.reach(&tile.0[axis], lengths[axis]));
            tile = Tile(reach.each_ref().map(|reach| reach.seen.clone()));
            reaches.push(reach);
        }
        let mut x = channels_last(&tile.of(self.input)?)?;
        let reaches = reaches.into_iter().rev();
        for (index, (layer, [rows, columns])) in self.layers.iter().zip(reaches).enumerate() {
            if let Some(norm) = index.checked_sub(1).and_then(|below| self.norms.get(below)) {
                x = norm.apply(&x)?.f_to_kind(self.kind)?;
            }
            let ([top, bottom], [left, right]) = (rows.missing, columns.missing);
            x = layer.padded(&x, [left, right, top, bottom])?;
            x = self.network.convolve(*layer, &x)?;
            x = channels_last(&Tile([rows.wanted, columns.wanted]).of(&x)?)?;
        }
        Ok(x)
    }
}

impl Layer {
    /// Rows or columns that come of so many.
    fn length(self, length: i64) -> i64 {
        if self.doubles {
            2 * length
        } else {
            quotient(length, self.stride)
        }
    }

    /// What `wanted` of the layer's rows or columns need of the `length` that it is given.
    fn reach(self, wanted: &Range<i64>, length: i64) -> Reach {
        let centre = if self.doubles {
            wanted.start / 2..quotient(wanted.end, 2)
        } else {
            wanted.start * self.stride..(wanted.end - 1) * self.stride + 1
        };
        let (start, end) = (centre.start - self.around(), centre.end + self.around());
        // A pair of which the second is wanted alone comes as a whole.
        let first = if self.doubles { wanted.start % 2 } else { 0 };
        Reach {
            seen: start.max(0)..end.min(length),
            missing: [(-start).max(0), (end - length).max(0)],
            wanted: first..first + wanted.end - wanted.start,
        }
    }
}

impl Tile {
    /// Its part of `x`, a view.
    fn of(&self, x: &Tensor) -> Result<Tensor, Error> {
        let [rows, columns] = &self.0;
        Ok(x.f_narrow(2, rows.start, rows.end - rows.start)?.f_narrow(
            3,
            columns.start,
            columns.end - columns.start,
        )?)
    }
}

impl Norm {
    fn apply(&self, x: &Tensor) -> Result<Tensor, Error> {
        let mut x = x.f_batch_norm(
            Some(&self.scale),
            Some(&self.shift),
            Some(&self.mean),
            Some(&self.variance),
            false,
            0.0,
            EPSILON,
            true,
        )?;
        Ok(if self.rectifies { x.f_relu_()? } else { x })
    }
}

impl Moments {
    /// Adds the values of `x`, by the formula of Chan, Golub and LeVeque ("Updating Formulae and a
    /// Pairwise Algorithm for Computing Sample Variances", 1979), which cancels nothing.
    fn add(&mut self, x: &Tensor) -> Result<(), Error> {
        let [rows, columns] = size_of(x)?;
        let more = (rows * columns) as f64;
        let none = None::<&Tensor>;
        let (mean, variance) = x
            .f_to_kind(Kind::Float)?
            .f_batch_norm_update_stats(none, none, 0.0)?;
        let mean = mean.f_to_kind(Kind::Double)?;
        let squares = variance.f_to_kind(Kind::Double)?.f_mul_scalar(more)?;
        self.0 = Some(match self.0.take() {
            None => (more, mean, squares),
            Some((count, old_mean, old_squares)) => {
                let (all, away) = (count + more, mean.f_sub(&old_mean)?);
                let between = away.f_square()?.f_mul_scalar(count * more / all)?;
                (
                    all,
                    old_mean.f_add(&away.f_mul_scalar(more / all)?)?,
                    old_squares.f_add(&squares)?.f_add(&between)?,
                )
            }
        });
        Ok(())
    }

    /// Mean and variance of each channel, 32-bit.
    fn statistics(self) -> Result<(Tensor, Tensor), Error> {
        let nothing = || Error::Torch("statistics of nothing".into());
        let (count, mean, squares) = self.0.ok_or_else(nothing)?;
        let variance = squares.f_div_scalar(count)?;
        Ok((
            mean.f_to_kind(Kind::Float)?,
            variance.f_to_kind(Kind::Float)?,
        ))
    }
}

/// Rows and columns of `[1, C, H, W]`.
fn size_of(x: &Tensor) -> Result<[i64; 2], Error> {
    let (_, _, height, width) = x.size4()?;
    Ok([height, width])
}

/// `length` in `count` parts that differ by no more than 1.
fn parts(length: i64, count: i64) -> impl Iterator<Item = Range<i64>> {
    let start = move |number| number * length / count;
    (0..count).map(move |number| start(number)..start(number + 1))
}

/// Rounded up.
fn quotient(length: i64, part: i64) -> i64 {
    (length + part - 1) / part
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::device;
    use crate::transform::testing::network;

    fn options() -> (Kind, tch::Device) {
        (Kind::Float, device())
    }

    /// Stripes and noise, whose statistics differ from tile to tile.
    fn picture(rows: i64, columns: i64) -> Tensor {
        let down = Tensor::linspace(0.0, 9.0, rows, options())
            .sin()
            .reshape([1, 1, rows, 1]);
        let right = Tensor::linspace(0.0, 1.0, columns, options()).reshape([1, 1, 1, columns]);
        let noise = Tensor::rand([1, 3, rows, columns], options());
        (down * 60.0 + right * 90.0 + noise * 70.0 + 20.0).clamp(0.0, 255.0)
    }

    fn flat(rows: i64, columns: i64) -> Tensor {
        Tensor::full([1, 3, rows, columns], 128.0, options())
    }

    fn tiled(network: &Transform, picture: &Tensor, kind: Kind, side: u32) -> (Tensor, Vec<u64>) {
        let mut passes = Vec::new();
        let mut go_on = |done| {
            passes.push(done);
            Ok(())
        };
        let shares = [0.25, 0.75];
        let made = network.forward_in_tiles(picture, &shares, kind, side, &mut go_on);
        match made {
            Ok(made) => (made, passes),
            Err(Halt::Failed(error)) => panic!("{error}"),
            Err(Halt::Interrupted) => panic!("was interrupted"),
        }
    }

    fn worst(a: &Tensor, b: &Tensor) -> f64 {
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn tiles_make_the_same_picture() {
        let _no_grad = tch::no_grad_guard();
        for (number, (rows, columns)) in [(64, 64), (67, 101), (33, 130), (90, 19), (16, 18)]
            .into_iter()
            .enumerate()
        {
            let network = network(4 + 2 * (number as u32 % 3), number as u64);
            let picture = picture(rows, columns);
            let whole = network
                .forward(&picture, &[0.25, 0.75], Kind::Float)
                .expect("redraws");
            assert_eq!(whole.size(), picture.size());
            for side in [16, 24, 37, 64, 200] {
                let (made, passes) = tiled(&network, &picture, Kind::Float, side);
                assert_eq!(made.size(), picture.size());
                let off = worst(&made, &whole);
                assert!(
                    off < 0.05,
                    "{rows}x{columns} in tiles of {side} is off by {off}"
                );
                assert_eq!(passes.last(), Some(&(PASSES - 1)));
                assert!(passes.is_sorted());
            }
        }
    }

    #[test]
    fn tiles_in_bf16_make_nearly_the_same_picture() {
        let _no_grad = tch::no_grad_guard();
        let network = network(8, 1);
        let picture = picture(75, 93);
        let whole = network
            .forward(&picture, &[0.25, 0.75], Kind::BFloat16)
            .expect("redraws");
        let exact = network
            .forward(&picture, &[0.25, 0.75], Kind::Float)
            .expect("redraws");
        let (made, _) = tiled(&network, &picture, Kind::BFloat16, 32);
        let mean = |a: &Tensor| (a - &exact).abs().mean(Kind::Double).double_value(&[]);
        let (of_whole, of_tiles) = (mean(&whole), mean(&made));
        assert!(
            of_tiles < 1.2 * of_whole + 0.01,
            "{of_tiles}, whole {of_whole}"
        );
    }

    #[test]
    fn moments_of_parts_are_those_of_the_whole() {
        let x = Tensor::randn([1, 5, 40, 30], options()) + 1000.0;
        let x = channels_last(&x).expect("copies");
        let mut moments = Moments::default();
        for part in [0..7, 7..8, 8..40] {
            moments
                .add(&Tile([part, 0..30]).of(&x).expect("is there"))
                .expect("adds");
        }
        let (mean, variance) = moments.statistics().expect("has some");
        let exact = x
            .to_kind(Kind::Double)
            .permute([1, 0, 2, 3])
            .reshape([5, -1]);
        let of_mean = worst(&mean, &exact.mean_dim(1, false, Kind::Double));
        let of_variance = worst(&variance, &exact.var_dim(1, false, false));
        assert!(
            of_mean < 1e-3 && of_variance < 1e-3,
            "{of_mean} {of_variance}"
        );
    }

    #[test]
    fn what_is_interrupted_ends_at_once() {
        let mut tiles = 0;
        let mut go_on = |_| {
            tiles += 1;
            Err(Halt::Interrupted)
        };
        let made =
            network(4, 0).forward_in_tiles(&flat(64, 64), &[1.0, 0.0], Kind::Float, 16, &mut go_on);
        assert!(matches!(made, Err(Halt::Interrupted)));
        assert_eq!(tiles, 1);
    }

    /// Where nothing varies, normalisation divides rounding errors by next to nothing: levels may
    /// differ, but not from place to place.
    #[test]
    fn a_flat_picture_stays_flat() {
        let _no_grad = tch::no_grad_guard();
        let flat = Tensor::full([1, 3, 130, 203], 128.0, options());
        let network = network(8, 3);
        let spread = |picture: &Tensor| {
            let spread = picture.amax([2, 3], true) - picture.amin([2, 3], true);
            spread.max().double_value(&[])
        };
        let whole = network.forward(&flat, &[0.25, 0.75], Kind::Float);
        let (made, _) = tiled(&network, &flat, Kind::Float, 40);
        let spreads = [spread(&whole.expect("redraws")), spread(&made)];
        assert!(spreads.iter().all(|spread| *spread < 0.05), "{spreads:?}");
    }
}
