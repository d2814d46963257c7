//! A picture in tiles: the network sees one after the other, each with as much around it as its
//! activations depend on. Every sum over positions comes out the same, in less memory.

use std::ops::Range;

use tch::Tensor;

use crate::image::Extent;
use stylefleet_model::stylize::Layer;

use crate::Error;

/// Tiles begin at multiples of this, the stride of the deepest block, so that the poolings meet
/// the same pixels as in the whole picture.
const ALIGNMENT: i64 = 16;
/// Shortest side of a tile, without its surroundings: smaller ones are nearly all surroundings.
const SHORTEST: i64 = 64;

/// A part of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tile {
    rows: Span,
    columns: Span,
}

/// A tile along one axis, in pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    /// The pixels that belong to the tile.
    core: Range<i64>,
    /// The pixels that the network has to see for them.
    seen: Range<i64>,
    /// Whether the core ends where the picture does.
    is_last: bool,
}

/// The tiles of a picture of size `extent`, of no more than `most_pixels` each, surroundings
/// included, where that can be, and as few as can be. Activations are wanted down to `deepest`.
pub(crate) fn tiles(extent: Extent, deepest: Layer, most_pixels: u64) -> Vec<Tile> {
    let halo = halo(deepest);
    let grids = |length: u32| -> Vec<Vec<Span>> {
        let length = i64::from(length);
        let most = (length / SHORTEST).max(1);
        (1..=most).map(|count| spans(length, count, halo)).collect()
    };
    let (rows, columns) = (grids(extent.height), grids(extent.width));
    let mut best: Option<(i64, &[Span], &[Span])> = None;
    for rows in &rows {
        for columns in &columns {
            let fits = (longest(rows) * longest(columns)) as u64 <= most_pixels;
            let cost = total(rows) * total(columns);
            if fits && best.is_none_or(|(lowest, ..)| cost < lowest) {
                best = Some((cost, rows, columns));
            }
        }
    }
    let finest = || (&rows[rows.len() - 1][..], &columns[columns.len() - 1][..]);
    let (rows, columns) = best.map_or_else(finest, |(_, rows, columns)| (rows, columns));
    let row = |rows: &Span| {
        let rows = rows.clone();
        columns.iter().cloned().map(move |columns| Tile {
            rows: rows.clone(),
            columns,
        })
    };
    rows.iter().flat_map(row).collect()
}

/// Pixels of the smallest tile there is, surroundings included.
pub(crate) fn least_pixels(deepest: Layer) -> u64 {
    let side = SHORTEST + 2 * halo(deepest);
    (side * side) as u64
}

/// How far, in pixels, an activation looks beyond the pixels it stands for: the strides of the
/// convolutions on the way, rounded up so that what is seen is aligned too. VGG16 has fewer of them
/// and looks less far, but seeing more does no harm.
fn halo(deepest: Layer) -> i64 {
    let reach: i64 = Layer::all()
        .take(deepest.index() + 1)
        .map(Layer::stride)
        .sum();
    aligned(reach)
}

/// Rounded up to what tiles begin at.
fn aligned(length: i64) -> i64 {
    (length + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// `count` parts of `length`, or one or two fewer.
fn spans(length: i64, count: i64, halo: i64) -> Vec<Span> {
    let step = aligned((length + count - 1) / count);
    let count = (length / step).max(1);
    let span = |number: i64| {
        let is_last = number + 1 == count;
        let core = number * step..if is_last { length } else { (number + 1) * step };
        Span {
            seen: (core.start - halo).max(0)..(core.end + halo).min(length),
            core,
            is_last,
        }
    };
    (0..count).map(span).collect()
}

fn longest(spans: &[Span]) -> i64 {
    spans.iter().map(Span::seen_length).max().unwrap_or(0)
}

fn total(spans: &[Span]) -> i64 {
    spans.iter().map(Span::seen_length).sum()
}

impl Span {
    fn seen_length(&self) -> i64 {
        self.seen.end - self.seen.start
    }

    /// Start and length of the core among the `length` positions that `seen` has at `stride`.
    fn within(&self, length: i64, stride: i64) -> (i64, i64) {
        self.among(self.seen.start, length, stride)
    }

    /// The same among the positions from pixel `first` on.
    fn among(&self, first: i64, length: i64, stride: i64) -> (i64, i64) {
        let start = (self.core.start - first) / stride;
        // The poolings drop what is left over at the end.
        let end = if self.is_last {
            length
        } else {
            (self.core.end - first) / stride
        };
        (start, end - start)
    }
}

impl Tile {
    /// What the network has to see, a view of `picture`, `[1, C, H, W]`.
    pub fn cut(&self, picture: &Tensor) -> Result<Tensor, Error> {
        let (rows, columns) = (&self.rows, &self.columns);
        let rows = (rows.seen.start, rows.seen_length());
        part(picture, rows, (columns.seen.start, columns.seen_length()))
    }

    /// The tile's own positions, a view of the activations of `layer` at what [`Self::cut`] gives.
    pub fn core(&self, activations: &Tensor, layer: Layer) -> Result<Tensor, Error> {
        let (_, _, height, width) = activations.size4()?;
        let rows = self.rows.within(height, layer.stride());
        part(
            activations,
            rows,
            self.columns.within(width, layer.stride()),
        )
    }

    /// The tile's own pixels in what [`Self::cut`] gives, and one more row and column where the
    /// picture goes on; and the number of its own rows and columns.
    pub fn pixels(&self, seen: &Tensor) -> Result<(Tensor, [i64; 2]), Error> {
        let (_, _, height, width) = seen.size4()?;
        let (top, rows) = self.rows.within(height, 1);
        let (left, columns) = self.columns.within(width, 1);
        let more = |span: &Span| i64::from(!span.is_last);
        let pixels = part(
            seen,
            (top, rows + more(&self.rows)),
            (left, columns + more(&self.columns)),
        )?;
        Ok((pixels, [rows, columns]))
    }

    /// The tile's own positions, a view of the whole picture's activations of `layer`.
    pub fn place(&self, whole: &Tensor, layer: Layer) -> Result<Tensor, Error> {
        let (_, _, height, width) = whole.size4()?;
        let rows = self.rows.among(0, height, layer.stride());
        part(whole, rows, self.columns.among(0, width, layer.stride()))
    }
}

/// A view of some rows and columns, each as start and length.
fn part(
    image: &Tensor,
    (top, rows): (i64, i64),
    (left, columns): (i64, i64),
) -> Result<Tensor, Error> {
    Ok(image.f_narrow(2, top, rows)?.f_narrow(3, left, columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEEPEST: u8 = 5;

    fn of(width: u32, height: u32, most_pixels: u64) -> Vec<Tile> {
        let deepest = Layer::new(DEEPEST, 1).expect("a layer");
        tiles(Extent { width, height }, deepest, most_pixels)
    }

    #[test]
    fn a_picture_that_fits_is_one_tile() {
        assert_eq!(of(300, 200, 60_000).len(), 1);
        assert!(of(300, 200, 59_999).len() > 1);
        assert_eq!(of(1, 1, 0).len(), 1);
    }

    #[test]
    fn every_pixel_is_in_one_core() {
        for (width, height) in [(257, 1000), (64, 2000), (1023, 641)] {
            let tiles = of(width, height, 60_000);
            let area = |tile: &Tile| {
                let length = |span: &Span| span.core.end - span.core.start;
                length(&tile.rows) * length(&tile.columns)
            };
            let total: i64 = tiles.iter().map(area).sum();
            assert_eq!(total, i64::from(width) * i64::from(height));
            for tile in &tiles {
                for span in [&tile.rows, &tile.columns] {
                    assert_eq!(span.core.start % ALIGNMENT, 0);
                    assert_eq!(span.seen.start % ALIGNMENT, 0);
                }
                let seen = tile.rows.seen_length() * tile.columns.seen_length();
                assert!(
                    seen <= 60_000
                        || seen as u64 <= least_pixels(Layer::new(DEEPEST, 1).expect("a layer"))
                );
            }
        }
    }

    #[test]
    fn a_long_reach_needs_much_around() {
        // 2 + 4 + 16 + 32 + 16 pixels to conv5_1, rounded up.
        assert_eq!(halo(Layer::new(5, 1).expect("a layer")), 80);
        assert_eq!(halo(Layer::new(1, 1).expect("a layer")), 16);
    }
}
