//! The curve of a loss, as a chart.

use plotters::prelude::*;
use stylefleet_proto::Curve;

/// Width and height of the chart in pixels.
const SIZE: (u32, u32) = (720, 420);

/// A point of a curve.
struct Point {
    steps: u64,
    loss: f64,
    phase: u32,
}

/// An SVG of how the loss fell, on a logarithmic scale: a line for each phase that the job went
/// through. Fails where `curve` has nothing to draw.
pub fn chart(title: &str, curve: &Curve) -> Result<String, String> {
    let losses = curve.steps.iter().zip(&curve.loss).zip(&curve.phase);
    let points: Vec<Point> = losses
        .map(|((&steps, &loss), &phase)| Point { steps, loss, phase })
        .filter(|point| point.loss.is_finite() && point.loss > 0.0)
        .collect();
    let last = points.last().ok_or("it has no points")?.steps;
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
    Ok(chart)
}

fn draw(
    into: &mut String,
    title: &str,
    points: &[Point],
    last: u64,
    losses: std::ops::Range<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(into, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0..last.saturating_add(1), losses.log_scale())?;
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
        };
        let svg = chart("a & b", &curve).expect("draws");
        assert_eq!(svg.matches("<polyline").count() - axes(&svg), 2, "{svg}");
        assert!(svg.contains("a &amp; b"), "{svg}");
        chart("nothing", &Curve::default()).expect_err("nothing to draw");
    }

    /// Lines of the axes, which are black.
    fn axes(svg: &str) -> usize {
        let black = |line: &&str| line.contains("<polyline") && line.contains("#000000");
        svg.lines().filter(black).count()
    }
}
