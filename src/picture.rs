//! A frame with its sightings drawn on it, as one SVG file that any browser shows.

use std::fmt::Write as _;

use base64::prelude::*;
use larder_records::{FrameResult, Image, ImageEncoding, Names, PPM, Ppm};

/// Draws `image` with the sightings of `result`: green and named where the best candidate reaches `min_score`, thin and grey
/// elsewhere.
///
/// None for a raw image, which no browser shows.
pub fn draw(image: &Image, result: &FrameResult, names: &Names, min_score: Ppm, caption: &str) -> Option<String> {
    let kind = match image.encoding {
        ImageEncoding::Jpeg => "jpeg",
        ImageEncoding::Png => "png",
        ImageEncoding::Raw { .. } => return None,
    };
    let (width, height) = (u32::from(result.width), u32::from(result.height));
    let font = (width.max(height) / 45).max(9);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" font-family=\"sans-serif\" \
         font-size=\"{font}\">\n<image width=\"{width}\" height=\"{height}\" href=\"data:image/{kind};base64,",
        height + 2 * font,
    );
    BASE64_STANDARD.encode_string(&image.data, &mut svg);
    svg += "\"/>\n";
    for sighting in &result.sightings {
        let b = sighting.bounds;
        let taken = sighting.taken_for(min_score);
        let (colour, stroke) = if taken.is_some() { ("#1a9850", (font / 6).max(1)) } else { ("#888888", 1) };
        // writing to a String cannot fail
        let _ = writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"{stroke}\"/>",
            b.left,
            b.top,
            b.right.saturating_sub(b.left),
            b.bottom.saturating_sub(b.top),
        );
        let Some(best) = taken else { continue };
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" fill=\"{colour}\" stroke=\"white\" stroke-width=\"{}\" paint-order=\"stroke\">{} {}%</text>",
            b.left,
            b.top.saturating_sub(3).max(u16::try_from(font).unwrap_or(9)),
            (font / 5).max(1),
            escape(names.text(best.product.0)),
            best.score / (PPM / 100),
        );
    }
    let _ = writeln!(svg, "<text x=\"4\" y=\"{}\">{}</text>\n</svg>", height + font * 3 / 2, escape(caption));
    Some(svg)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
