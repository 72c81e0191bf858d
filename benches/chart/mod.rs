//! Charts, in SVG.

use std::fmt::Write as _;

/// A line of a chart.
pub struct Series {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 130.0;
const LEFT: f64 = 70.0;
const GAP: f64 = 34.0;

/// One panel a series, above one another, over the same axis.
pub fn chart(axis: &str, series: &[Series]) -> String {
    let height = (HEIGHT + GAP) * series.len() as f64 + GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {height:.0}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + LEFT + 20.0
    );
    let end = series.iter().flat_map(|line| &line.points).map(|(x, _)| *x).fold(1.0, f64::max);
    for (n, line) in series.iter().enumerate() {
        let top = GAP + (HEIGHT + GAP) * n as f64;
        let most = line.points.iter().map(|(_, y)| *y).fold(1.0, f64::max);
        let at = |(x, y): &(f64, f64)| (LEFT + x / end * WIDTH, top + HEIGHT - y / most * HEIGHT);
        let points: Vec<String> = line.points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let bottom = top + HEIGHT;
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"{:.1}\">{}</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{most:.0}</text>\n\
             <text x=\"{:.1}\" y=\"{bottom:.1}\" text-anchor=\"end\">0</text>\n\
             <path d=\"M{LEFT} {top:.1}V{bottom:.1}H{:.1}\" fill=\"none\" stroke=\"#888\"/>\n\
             <polyline points=\"{}\" fill=\"none\" stroke=\"#1f6f43\" stroke-width=\"1.5\"/>",
            top - 6.0,
            line.name,
            LEFT - 6.0,
            top + 10.0,
            LEFT - 6.0,
            LEFT + WIDTH,
            points.join(" "),
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{end:.0} {axis}</text>\n</svg>",
        LEFT + WIDTH,
        height - 12.0
    );
    svg
}
