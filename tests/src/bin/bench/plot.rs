//! Plots as SVG files in the report's folder.

use std::ops::Range;

use anyhow::{anyhow, Result};
use plotters::prelude::*;

use crate::driver::workspace;

const SIZE: (u32, u32) = (760, 420);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 6] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(148, 103, 189),
    RGBColor(214, 39, 40),
    RGBColor(127, 127, 127),
];

/// A line of a plot.
pub(crate) struct Curve {
    /// What the legend says.
    pub(crate) name: String,
    /// Its points, each with a label that may be empty.
    pub(crate) points: Vec<(f64, f64, String)>,
}

/// A group of bars.
pub(crate) struct Bars {
    /// What stands under it.
    pub(crate) name: String,
    /// One for each series; none where there is nothing to show.
    pub(crate) values: Vec<Option<f64>>,
}

/// Draws curves over an axis that is logarithmic if asked for, and prints the line that shows them in the report.
pub(crate) fn curves(file: &str, title: &str, axes: (&str, &str), logarithmic: bool, curves: &[Curve]) -> Result<()> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let xs = || points().map(|(x, ..)| if logarithmic { x.log2() } else { *x });
    let width = xs().fold(f64::NEG_INFINITY, f64::max) - xs().fold(f64::INFINITY, f64::min);
    let margin = (0.06 * width).max(0.05);
    let x = xs().fold(f64::INFINITY, f64::min) - margin..xs().fold(f64::NEG_INFINITY, f64::max) + margin;
    let y = 0.0..1.4 * points().map(|(_, y, _)| *y).fold(0.0, f64::max).max(1e-9);
    draw(file, title, |root| {
        let mut chart = chart(root, title, x, y)?;
        let label = |x: &f64| {
            if logarithmic {
                format!("{:.0}", x.exp2())
            } else {
                format!("{:.1}", (10.0 * x).round() / 10.0 + 0.0)
            }
        };
        let ticks = if logarithmic { width.round() as usize + 1 } else { 8 };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(ticks)
            .x_label_formatter(&label)
            .x_desc(axes.0)
            .y_desc(axes.1)
            .draw()?;
        for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            let place = |(x, y, _): &(f64, f64, String)| (if logarithmic { x.log2() } else { *x }, *y);
            let line = LineSeries::new(curve.points.iter().map(place), colour.stroke_width(2));
            chart.draw_series(line)?.label(&curve.name).legend(legend(*colour));
            chart.draw_series(curve.points.iter().map(|point| {
                EmptyElement::at(place(point))
                    + Circle::new((0, 0), 3, colour.filled())
                    + Text::new(point.2.clone(), (6, -14), (FONT, 11))
            }))?;
        }
        finish(&mut chart)
    })
}

/// Draws groups of bars with their values above them, and prints the line that shows them in the report.
pub(crate) fn bars(file: &str, title: &str, unit: &str, series: &[&str], groups: &[Bars]) -> Result<()> {
    let most = groups.iter().flat_map(|group| group.values.iter().flatten()).copied().fold(0.0, f64::max);
    let width = 0.8 / series.len().max(1) as f64;
    draw(file, title, |root| {
        let mut chart = chart(root, title, -0.5..groups.len() as f64 - 0.5, 0.0..1.3 * most.max(1e-9))?;
        let name = |x: &f64| {
            let near = (x - x.round()).abs() < 0.01;
            groups
                .get(x.round() as usize)
                .filter(|_| near && *x > -0.5)
                .map_or(String::new(), |group| group.name.clone())
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .x_labels(2 * groups.len() + 1)
            .x_label_formatter(&name)
            .y_desc(unit)
            .draw()?;
        for (i, (name, colour)) in series.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let values: Vec<(f64, f64)> = groups
                .iter()
                .enumerate()
                .filter_map(|(group, bars)| {
                    let left = group as f64 - 0.4 + width * i as f64;
                    bars.values.get(i).copied().flatten().map(|value| (left, value))
                })
                .collect();
            let bar = |&(left, value): &(f64, f64)| {
                Rectangle::new([(left + 0.01, 0.0), (left + width - 0.01, value)], colour.filled())
            };
            chart.draw_series(values.iter().map(bar))?.label(*name).legend(legend(*colour));
            chart.draw_series(values.iter().map(|(left, value)| {
                EmptyElement::at((left + width / 2.0, *value)) + Text::new(format!("{value:.0}"), (-6, -15), (FONT, 13))
            }))?;
        }
        finish(&mut chart)
    })
}

type Root<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(file: &str, title: &str, paint: impl FnOnce(&Root) -> Drawn) -> Result<()> {
    let folder = workspace().join("target/bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(file);
    let root = SVGBackend::new(&path, SIZE).into_drawing_area();
    let drawn = root.fill(&WHITE).map_err(Into::into).and_then(|()| paint(&root)).and_then(|()| Ok(root.present()?));
    drawn.map_err(|error| anyhow!("{} can't be drawn: {error}", path.display()))?;
    println!("\n![{title}]({file})");
    Ok(())
}

fn chart<'a, 'b>(
    root: &'a Root<'b>,
    title: &str,
    x: Range<f64>,
    y: Range<f64>,
) -> Result<Chart<'a, 'b>, Box<dyn std::error::Error>> {
    Ok(ChartBuilder::on(root)
        .caption(title, (FONT, 17))
        .margin(12)
        .x_label_area_size(42)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)?)
}

fn legend(colour: RGBColor) -> impl Fn((i32, i32)) -> Rectangle<(i32, i32)> {
    move |(x, y)| Rectangle::new([(x, y - 4), (x + 14, y + 4)], colour.filled())
}

fn finish<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}
