//! Pictures in memory.

use larder_records::BoundingBox;

use crate::buffer::Buffer;

/// A picture: `width * height` pixels of type `T`, row after row from the top.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane<T: Copy + Default> {
    width: usize,
    height: usize,
    pixels: Buffer<T>,
}

/// Red, green, blue; 8 bits each, sRGB.
pub type ImageRgb8 = Plane<[u8; 3]>;
/// 8-bit grey.
pub type ImageGrey8 = Plane<u8>;
/// 16-bit grey: millimetres of depth or hundredths of a kelvin.
pub type ImageGrey16 = Plane<u16>;

impl<T: Copy + Default> Default for Plane<T> {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

impl<T: Copy + Default> Plane<T> {
    /// A picture of `width` by `height` pixels, all of the default value.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: Buffer::new(width * height) }
    }

    /// A picture of the given pixels; none where their number is not `width * height`.
    pub fn from_pixels(width: usize, height: usize, pixels: Vec<T>) -> Option<Self> {
        (width.checked_mul(height)? == pixels.len()).then(|| Self { width, height, pixels: pixels.into() })
    }

    /// Gives the picture another size, keeping its buffer. The pixels' values are unspecified.
    pub fn reshape(&mut self, width: usize, height: usize) {
        self.width = width;
        self.height = height;
        self.pixels.resize(width * height);
    }

    /// Pixels a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// All pixels, row after row.
    pub fn pixels(&self) -> &[T] {
        &self.pixels
    }

    /// All pixels, row after row.
    pub fn pixels_mut(&mut self) -> &mut [T] {
        &mut self.pixels
    }

    /// The row `y`.
    ///
    /// # Panics
    /// Where `y` is not below the height.
    pub fn row(&self, y: usize) -> &[T] {
        &self.pixels[y * self.width..(y + 1) * self.width]
    }

    /// The row `y`.
    ///
    /// # Panics
    /// Where `y` is not below the height.
    pub fn row_mut(&mut self, y: usize) -> &mut [T] {
        &mut self.pixels[y * self.width..(y + 1) * self.width]
    }

    /// The part of `bounds` inside the picture.
    pub fn clip(&self, bounds: BoundingBox) -> BoundingBox {
        let (width, height) = (clamp_u16(self.width), clamp_u16(self.height));
        BoundingBox {
            left: bounds.left.min(width),
            top: bounds.top.min(height),
            right: bounds.right.min(width),
            bottom: bounds.bottom.min(height),
        }
    }

    /// The rows of `bounds`, cut to its columns; nothing of it lies outside the picture.
    pub fn rows_in(&self, bounds: BoundingBox) -> impl Iterator<Item = &[T]> {
        let bounds = self.clip(bounds);
        let (left, right) = (usize::from(bounds.left), usize::from(bounds.right).max(usize::from(bounds.left)));
        (usize::from(bounds.top)..usize::from(bounds.bottom)).map(move |y| &self.row(y)[left..right])
    }

    /// The whole picture as a box.
    pub fn bounds(&self) -> BoundingBox {
        BoundingBox { left: 0, top: 0, right: clamp_u16(self.width), bottom: clamp_u16(self.height) }
    }
}

fn clamp_u16(value: usize) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}
