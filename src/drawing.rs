//! Features and their matches, drawn on pictures.

use std::io::Cursor;

use image::{ExtendedColorType, ImageEncoder as _, ImageError, codecs::png::PngEncoder};
use larder_kernels::{ImageRgb8, features::Keypoint};
use larder_records::BoundingBox;

/// Red, green, blue.
pub type Colour = [u8; 3];

/// A place, in pixels from the centre of the first.
pub type Place = (f32, f32);

/// Two pictures beside each other, the rest black.
pub fn side_by_side(left: &ImageRgb8, right: &ImageRgb8) -> ImageRgb8 {
    let mut both = ImageRgb8::new(left.width() + right.width(), left.height().max(right.height()));
    for (image, shift) in [(left, 0), (right, left.width())] {
        for y in 0..image.height() {
            both.row_mut(y)[shift..shift + image.width()].copy_from_slice(image.row(y));
        }
    }
    both
}

/// A colour for a number; those of numbers that follow each other are easily told apart.
pub fn colour(number: usize) -> Colour {
    // Steps of the golden section go round the hues without meeting again.
    let hue = (number as f32 * 0.618_034).fract() * 6.0;
    [0.0, 4.0, 2.0].map(|turn| {
        let distance = ((hue + turn) % 6.0 - 3.0).abs() - 1.0;
        (distance.clamp(0.0, 1.0) * 235.0) as u8 + 20
    })
}

/// Draws a point: a circle of its size, and a line from its centre at its angle.
pub fn draw_keypoint(image: &mut ImageRgb8, keypoint: &Keypoint, shift: f32, colour: Colour) {
    let (x, y, radius) = (keypoint.x + shift, keypoint.y, keypoint.size / 2.0);
    let on_circle = |angle: f32| (x + radius * angle.cos(), y + radius * angle.sin());
    // Chords no further from the arc than a quarter of a pixel.
    let corners = (std::f32::consts::PI * (2.0 * radius.max(1.0)).sqrt()).ceil().min(180.0) as u16 + 3;
    let corner = |number: u16| on_circle(f32::from(number) / f32::from(corners) * std::f32::consts::TAU);
    for number in 0..corners {
        draw_line(image, corner(number), corner(number + 1), colour);
    }
    draw_line(image, (x, y), on_circle(keypoint.angle), colour);
}

/// Draws the outline of a box, as much of it as lies in the picture.
pub fn draw_box(image: &mut ImageRgb8, bounds: BoundingBox, colour: Colour) {
    let BoundingBox { left, top, right, bottom } = bounds;
    let [left, top] = [left, top].map(f32::from);
    let [right, bottom] = [right, bottom].map(|edge| f32::from(edge.saturating_sub(1)));
    let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
    for (n, corner) in corners.into_iter().enumerate() {
        draw_line(image, corner, corners[(n + 1) % 4], colour);
    }
}

/// Draws a smooth line, as much of it as lies in the picture.
pub fn draw_line(image: &mut ImageRgb8, from: Place, to: Place, colour: Colour) {
    let steep = (to.1 - from.1).abs() > (to.0 - from.0).abs();
    let turned = |(x, y): Place| if steep { (y, x) } else { (x, y) };
    let (mut from, mut to) = (turned(from), turned(to));
    if from.0 > to.0 {
        std::mem::swap(&mut from, &mut to);
    }
    let length = if steep { image.height() } else { image.width() };
    let slope = if to.0 > from.0 { (to.1 - from.1) / (to.0 - from.0) } else { 0.0 };
    // A float cast to an integer saturates, and turns what is not a number into 0.
    let (first, last) = (from.0.round().max(0.0) as usize, to.0.round().min(length as f32) as isize);
    for along in first..usize::try_from(last + 1).unwrap_or(0).min(length) {
        let across = from.1 + slope * (along as f32 - from.0);
        // Shared between the two pixels that the line runs between.
        let near = across.floor();
        for (across, part) in [(near, 1.0 - (across - near)), (near + 1.0, across - near)] {
            let (x, y) = turned((along as f32, across));
            if x >= 0.0 && y >= 0.0 && (x as usize) < image.width() && (y as usize) < image.height() {
                let pixel = &mut image.row_mut(y as usize)[x as usize];
                for (to, from) in pixel.iter_mut().zip(colour) {
                    *to = (f32::from(*to) + part * (f32::from(from) - f32::from(*to))).round() as u8;
                }
            }
        }
    }
}

/// The picture as a PNG file.
///
/// # Errors
/// Where the picture has no pixels.
pub fn png(image: &ImageRgb8) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    let (width, height) = (image.width() as u32, image.height() as u32);
    PngEncoder::new(&mut bytes).write_image(image.pixels().as_flattened(), width, height, ExtendedColorType::Rgb8)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(image: &ImageRgb8) -> Vec<(usize, usize)> {
        let at = |i: usize| (i % image.width(), i / image.width());
        image.pixels().iter().enumerate().filter(|(_, pixel)| pixel[0] > 127).map(|(i, _)| at(i)).collect()
    }

    const WHITE: Colour = [255; 3];

    #[test]
    fn lines_go_from_end_to_end_in_every_direction_and_end_at_the_edges() {
        let ends =
            [((1.0, 2.0), (4.0, 2.0)), ((2.0, 4.0), (2.0, 1.0)), ((4.0, 4.0), (1.0, 1.0)), ((1.0, 3.0), (3.0, 1.0))];
        for (from, to) in ends {
            let mut image = ImageRgb8::new(6, 6);
            draw_line(&mut image, from, to, WHITE);
            let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()) as i32;
            let mut expected: Vec<_> = (0..=steps)
                .map(|step| {
                    let at = |from: f32, to: f32| (from + (to - from) * step as f32 / steps as f32).round() as usize;
                    (at(from.1, to.1), at(from.0, to.0))
                })
                .collect();
            expected.sort_unstable();
            assert_eq!(lit(&image).into_iter().map(|(x, y)| (y, x)).collect::<Vec<_>>(), expected);
        }
        let mut image = ImageRgb8::new(4, 3);
        draw_line(&mut image, (-1e9, 1.0), (1e9, 1.0), WHITE);
        draw_line(&mut image, (f32::NAN, 0.0), (f32::INFINITY, f32::NEG_INFINITY), WHITE);
        draw_line(&mut image, (-5.0, -5.0), (-2.0, 40.0), WHITE);
        assert_eq!(lit(&image), [(0, 1), (1, 1), (2, 1), (3, 1)]);
        draw_line(&mut ImageRgb8::default(), (0.0, 0.0), (1.0, 1.0), WHITE);
    }

    #[test]
    fn a_point_is_a_circle_of_its_size_with_a_line_at_its_angle() {
        let mut image = ImageRgb8::new(60, 40);
        let angle = std::f32::consts::FRAC_PI_2;
        let point = Keypoint { x: 20.0, y: 20.0, size: 24.0, angle, response: 1.0, octave: 0, level: 0 };
        draw_keypoint(&mut image, &point, 20.0, WHITE);
        let (on_the_line, on_the_circle): (Vec<_>, Vec<_>) =
            lit(&image).into_iter().partition(|&(x, y)| x == 40 && (20..32).contains(&y));
        assert_eq!(on_the_line.len(), 12, "down from the centre, which is 20 pixels further right");
        assert!(on_the_circle.len() > 40);
        for (x, y) in on_the_circle {
            let distance = (x as f32 - 40.0).hypot(y as f32 - 20.0);
            assert!((distance - 12.0).abs() < 1.0, "{x}, {y}");
        }
    }

    #[test]
    fn the_outline_of_a_box_lies_on_its_outermost_pixels() {
        let mut image = ImageRgb8::new(6, 5);
        draw_box(&mut image, BoundingBox { left: 1, top: 1, right: 4, bottom: 9 }, WHITE);
        let expected = [(1, 1), (2, 1), (3, 1), (1, 2), (3, 2), (1, 3), (3, 3), (1, 4), (3, 4)];
        assert_eq!(lit(&image), expected);
    }

    #[test]
    fn two_pictures_stand_beside_each_other_and_are_read_back_from_png() {
        let left = ImageRgb8::from_pixels(1, 2, vec![[1; 3], [2; 3]]).unwrap();
        let right = ImageRgb8::from_pixels(2, 1, vec![[3; 3], [4; 3]]).unwrap();
        let both = side_by_side(&left, &right);
        assert_eq!(both.pixels(), [[1; 3], [3; 3], [4; 3], [2; 3], [0; 3], [0; 3]]);
        let read = image::load_from_memory(&png(&both).unwrap()).unwrap().into_rgb8();
        assert_eq!((read.width(), read.height(), &read.into_raw()[..]), (3, 2, both.pixels().as_flattened()));
        assert!(png(&ImageRgb8::default()).is_err());
    }
}
