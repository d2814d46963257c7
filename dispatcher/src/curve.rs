//! The curve of a loss, as a chart.

use std::ops::{Range, RangeInclusive};

use plotters::prelude::*;
use stylefleet_proto::Curve;

/// Width and height of the chart in pixels.
const SIZE: (u32, u32) = (720, 420);
/// Losses that are drawn. The highest of them over the lowest is a finite number, or the axis would
/// be divided without end.
const LOSSES: RangeInclusive<f64> = 1e-150..=1e150;
/// Most steps that are drawn: beyond these, they could not be told apart on the axis.
const MAX_STEPS: u64 = 1 << 53;

/// A point of a curve.
struct Point {
    steps: u64,
    loss: f64,
    phase: u32,
}

/// An SVG of how the loss fell, on a logarithmic scale: a line for each phase that the job went
/// through. None where `curve` has nothing to draw.
pub fn chart(title: &str, curve: &Curve) -> Result<Option<String>, String> {
    let losses = curve.steps.iter().zip(&curve.loss).zip(&curve.phase);
    let points: Vec<Point> = losses
        .map(|((&steps, &loss), &phase)| Point { steps, loss, phase })
        .filter(|point| LOSSES.contains(&point.loss) && point.steps <= MAX_STEPS)
        .collect();
    let Some(last) = points.iter().map(|point| point.steps).max() else {
        return Ok(None);
    };
    let lowest = points
        .iter()
        .map(|point| point.loss)
        .fold(f64::MAX, f64::min);
    let highest = points.iter().map(|point| point.loss).fold(0.0, f64::max);
    let mut chart = String::new();
    draw(
        &mut chart,
        title,
        &points,
        last,
        lowest / 1.5..highest * 1.5,
    )
    .map_err(|e| e.to_string())?;
    Ok(Some(chart))
}

fn draw(
    into: &mut String,
    title: &str,
    points: &[Point],
    last: u64,
    losses: Range<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(into, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0..last + 1, losses.log_scale())?;
    chart
        .configure_mesh()
        .x_desc("steps")
        .y_desc("loss")
        .y_label_formatter(&|loss| format!("{loss:.0e}"))
        .light_line_style(WHITE)
        .draw()?;
    for (number, phase) in points.chunk_by(|a, b| a.phase == b.phase).enumerate() {
        let line = phase.iter().map(|point| (point.steps, point.loss));
        chart.draw_series(LineSeries::new(
            line,
            Palette99::pick(number).stroke_width(2),
        ))?;
    }
    area.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_a_line_for_each_phase() {
        let curve = Curve {
            phase: vec![1, 1, 2, 2],
            steps: vec![1, 10, 11, 20],
            loss: vec![1e9, 1e5, 1e7, f64::NAN],
            ..Curve::default()
        };
        let svg = chart("a & b", &curve).expect("draws").expect("has points");
        assert_eq!(svg.matches("<polyline").count() - axes(&svg), 2, "{svg}");
        assert!(svg.contains("a &amp; b"), "{svg}");
        assert_eq!(chart("nothing", &Curve::default()), Ok(None));
    }

    #[test]
    fn draws_what_can_be_drawn_of_whatever_numbers_come() {
        for (steps, loss, is_drawn) in [
            ([0, 0], [1.0, 1.0], true),
            ([20, 5], [3.0, 2.0], true),
            ([0, MAX_STEPS], [1e-150, 1e150], true),
            ([1, 2], [1e150, 1e150], true),
            ([1, 2], [f64::MAX, 1.0], true),
            ([1, 2], [f64::MAX, f64::from_bits(1)], false),
            ([1, 2], [-1.0, 0.0], false),
            ([u64::MAX, u64::MAX], [2.0, 1.0], false),
        ] {
            let curve = Curve {
                phase: vec![u32::MAX, 0],
                steps: steps.into(),
                loss: loss.into(),
                ..Curve::default()
            };

            let svg = chart("a", &curve).expect("draws");
            assert_eq!(svg.is_some(), is_drawn, "{curve:?}");
            assert!(svg.is_none_or(|svg| svg.ends_with("</svg>\n")));
        }
    }

    /// Lines of the axes, which are black.
    fn axes(svg: &str) -> usize {
        let black = |line: &&str| line.contains("<polyline") && line.contains("#000000");
        svg.lines().filter(black).count()
    }
}
