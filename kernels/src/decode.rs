//! From the bytes of a picture to its pixels, within limits.

use std::io::Cursor;

use ::image::{ColorType, DynamicImage, ImageDecoder, Limits, codecs::jpeg::JpegDecoder, codecs::png::PngDecoder};
use larder_records::{Image, ImageEncoding, PixelFormat};

use crate::{ImageGrey16, ImageRgb8, Plane};

/// The largest picture that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Width times height.
    pub max_pixels: u64,
}

impl Default for DecodeLimits {
    /// 40 megapixels.
    fn default() -> Self {
        Self { max_pixels: 40_000_000 }
    }
}

/// Why a picture was not decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Refused before its pixels were touched.
    #[error("the picture is {width}x{height}, more than {max_pixels} pixels or 65535 a side")]
    TooLarge {
        /// Its width, in pixels.
        width: u32,
        /// Its height, in pixels.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
    /// It has no pixels.
    #[error("the picture is empty ({width}x{height})")]
    Empty {
        /// Its width, in pixels.
        width: u32,
        /// Its height, in pixels.
        height: u32,
    },
    /// The file is damaged, or of a kind that is not read.
    #[error("the picture cannot be decoded: {0}")]
    Broken(#[from] ::image::ImageError),
    /// The bytes of a raw picture are not what its header says.
    #[error("a raw picture of {width}x{height} with {step} bytes a row does not fit its {got} bytes")]
    RawLayout {
        /// Its width, in pixels.
        width: u32,
        /// Its height, in pixels.
        height: u32,
        /// Bytes a row.
        step: u32,
        /// Bytes given.
        got: usize,
    },
    /// A colour picture where 16-bit grey is needed, or the other way round.
    #[error("the picture is {got}, but the sensor gives {needed}")]
    WrongKind {
        /// What the picture is.
        got: &'static str,
        /// What it must be.
        needed: &'static str,
    },
}

fn check_size(width: u32, height: u32, limits: DecodeLimits) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::Empty { width, height });
    }
    let side = u32::from(u16::MAX);
    if width > side || height > side || u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(DecodeError::TooLarge { width, height, max_pixels: limits.max_pixels });
    }
    Ok(())
}

/// Rows of a checked raw picture, without their padding.
fn raw_rows(
    data: &[u8],
    (width, height, step): (u32, u32, u32),
    pixel: PixelFormat,
    limits: DecodeLimits,
) -> Result<impl Iterator<Item = &[u8]>, DecodeError> {
    check_size(width, height, limits)?;
    let used = u64::from(width) * u64::from(pixel.bytes());
    let full = u64::from(step) * u64::from(height - 1) + used;
    if used > u64::from(step) || full > data.len() as u64 {
        return Err(DecodeError::RawLayout { width, height, step, got: data.len() });
    }
    // Both fit a usize: they are not larger than the data, or than 65535 pixels of 3 bytes.
    Ok(data.chunks(step as usize).take(height as usize).map(move |row| &row[..used as usize]))
}

/// Runs `use_decoder` on a decoder whose dimensions and allocations are within the limits.
fn with_decoder<R>(
    image: &Image,
    limits: DecodeLimits,
    on_jpeg: impl FnOnce(JpegDecoder<Cursor<&[u8]>>) -> Result<R, DecodeError>,
    on_png: impl FnOnce(PngDecoder<Cursor<&[u8]>>) -> Result<R, DecodeError>,
) -> Result<R, DecodeError> {
    let mut memory = Limits::default();
    // 8 bytes a pixel is the widest pixel there is (RGBA of 16 bits); a little for headers and tables.
    memory.max_alloc = Some(limits.max_pixels.saturating_mul(8).saturating_add(1 << 20));
    let cursor = Cursor::new(image.data.as_ref());
    match image.encoding {
        ImageEncoding::Png => {
            let decoder = PngDecoder::with_limits(cursor, memory)?;
            let (width, height) = decoder.dimensions();
            check_size(width, height, limits)?;
            on_png(decoder)
        }
        _ => {
            let mut decoder = JpegDecoder::new(cursor)?;
            let (width, height) = decoder.dimensions();
            check_size(width, height, limits)?;
            decoder.set_limits(memory)?;
            on_jpeg(decoder)
        }
    }
}

fn read_rgb8<D: ImageDecoder>(decoder: D, into: &mut ImageRgb8) -> Result<(), DecodeError> {
    let (width, height) = decoder.dimensions();
    into.reshape(width as usize, height as usize);
    if decoder.color_type() == ColorType::Rgb8 {
        decoder.read_image(into.pixels_mut().as_flattened_mut())?;
        return Ok(());
    }
    let decoded = DynamicImage::from_decoder(decoder)?.into_rgb8();
    into.pixels_mut().as_flattened_mut().copy_from_slice(decoded.as_raw());
    Ok(())
}

/// Decodes a visible picture into `into`, reusing its buffer. Grey becomes equal red, green and blue; transparency is
/// dropped; 16-bit channels keep their upper byte. Orientation tags are ignored: boxes are in the stored pixels.
///
/// # Errors
/// [`DecodeError`]; `into` is then unspecified.
pub fn decode_rgb8(image: &Image, limits: DecodeLimits, into: &mut ImageRgb8) -> Result<(), DecodeError> {
    let ImageEncoding::Raw { width, height, step, pixel } = image.encoding else {
        let cell = std::cell::RefCell::new(into);
        return with_decoder(
            image,
            limits,
            |jpeg| read_rgb8(jpeg, &mut cell.borrow_mut()),
            |png| read_rgb8(png, &mut cell.borrow_mut()),
        );
    };
    if pixel == PixelFormat::Grey16 {
        return Err(DecodeError::WrongKind { got: "16-bit grey", needed: "colour" });
    }
    let rows = raw_rows(&image.data, (width, height, step), pixel, limits)?;
    into.reshape(width as usize, height as usize);
    for (row, out) in rows.zip(into.pixels_mut().chunks_exact_mut(width as usize)) {
        match pixel {
            PixelFormat::Rgb8 => out.as_flattened_mut().copy_from_slice(row),
            PixelFormat::Bgr8 => {
                for (to, from) in out.iter_mut().zip(row.as_chunks::<3>().0) {
                    *to = [from[2], from[1], from[0]];
                }
            }
            PixelFormat::Grey8 | PixelFormat::Grey16 => {
                for (to, &from) in out.iter_mut().zip(row) {
                    *to = [from; 3];
                }
            }
        }
    }
    Ok(())
}

fn read_grey16<D: ImageDecoder>(decoder: D, into: &mut ImageGrey16) -> Result<(), DecodeError> {
    if decoder.color_type() != ColorType::L16 {
        return Err(DecodeError::WrongKind { got: "not 16-bit grey", needed: "16-bit grey" });
    }
    let (width, height) = decoder.dimensions();
    let decoded = DynamicImage::from_decoder(decoder)?.into_luma16();
    let decoded = Plane::from_pixels(width as usize, height as usize, decoded.into_raw());
    *into = decoded.ok_or(DecodeError::Empty { width, height })?;
    Ok(())
}

/// Decodes a picture of distances or temperatures into `into`: a 16-bit grey PNG, or raw 16-bit grey.
///
/// # Errors
/// [`DecodeError`]; `into` is then unspecified.
pub fn decode_grey16(image: &Image, limits: DecodeLimits, into: &mut ImageGrey16) -> Result<(), DecodeError> {
    let ImageEncoding::Raw { width, height, step, pixel } = image.encoding else {
        let wrong = DecodeError::WrongKind { got: "a JPEG", needed: "16-bit grey" };
        return with_decoder(image, limits, |_| Err(wrong), |png| read_grey16(png, into));
    };
    if pixel != PixelFormat::Grey16 {
        return Err(DecodeError::WrongKind { got: "8-bit", needed: "16-bit grey" });
    }
    let rows = raw_rows(&image.data, (width, height, step), pixel, limits)?;
    into.reshape(width as usize, height as usize);
    for (row, out) in rows.zip(into.pixels_mut().chunks_exact_mut(width as usize)) {
        for (to, &from) in out.iter_mut().zip(row.as_chunks::<2>().0) {
            *to = u16::from_le_bytes(from);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(width: u32, height: u32, step: u32, pixel: PixelFormat, bytes: usize) -> Image {
        Image { encoding: ImageEncoding::Raw { width, height, step, pixel }, data: vec![7; bytes].into() }
    }

    fn png(width: u32, height: u32) -> Image {
        let mut out = Cursor::new(Vec::new());
        DynamicImage::new_luma16(width, height).write_to(&mut out, ::image::ImageFormat::Png).unwrap();
        Image { encoding: ImageEncoding::Png, data: out.into_inner().into() }
    }

    #[test]
    fn padding_at_the_end_of_rows_is_left_out_and_blue_first_is_turned_round() {
        let data = vec![1, 2, 3, 99, 4, 5, 6].into();
        let encoding = ImageEncoding::Raw { width: 1, height: 2, step: 4, pixel: PixelFormat::Bgr8 };
        let mut out = ImageRgb8::default();
        decode_rgb8(&Image { encoding, data }, DecodeLimits::default(), &mut out).unwrap();
        assert_eq!(out.pixels(), [[3, 2, 1], [6, 5, 4]]);
    }

    #[test]
    fn a_large_picture_is_refused_by_its_header() {
        let limits = DecodeLimits { max_pixels: 99 };
        let result = decode_grey16(&png(10, 10), limits, &mut ImageGrey16::default());
        assert!(matches!(result, Err(DecodeError::TooLarge { width: 10, height: 10, max_pixels: 99 })));
        // 100 megapixels of which not one byte is there.
        let claim = raw(10_000, 10_000, 30_000, PixelFormat::Rgb8, 0);
        let result = decode_rgb8(&claim, DecodeLimits::default(), &mut ImageRgb8::default());
        assert!(matches!(result, Err(DecodeError::TooLarge { .. })));
        decode_grey16(&png(10, 10), DecodeLimits::default(), &mut ImageGrey16::default()).unwrap();
    }

    #[test]
    fn a_picture_of_the_wrong_kind_is_refused() {
        let colour = raw(1, 1, 3, PixelFormat::Rgb8, 3);
        let result = decode_grey16(&colour, DecodeLimits::default(), &mut ImageGrey16::default());
        assert!(matches!(result, Err(DecodeError::WrongKind { .. })));
        let depth = raw(1, 1, 2, PixelFormat::Grey16, 2);
        let result = decode_rgb8(&depth, DecodeLimits::default(), &mut ImageRgb8::default());
        assert!(matches!(result, Err(DecodeError::WrongKind { .. })));
    }

    proptest! {
        #[test]
        fn no_header_of_a_raw_picture_brings_decoding_down(
            width in prop_oneof![0_u32..9, any::<u32>()],
            height in prop_oneof![0_u32..9, any::<u32>()],
            step in prop_oneof![0_u32..40, any::<u32>()],
            pixel in prop::sample::select(vec![
                PixelFormat::Grey16, PixelFormat::Grey8, PixelFormat::Rgb8, PixelFormat::Bgr8,
            ]),
            bytes in 0_usize..200,
        ) {
            let image = raw(width, height, step, pixel, bytes);
            let used = u128::from(width) * u128::from(pixel.bytes());
            let fits = width > 0 && height > 0
                && used <= u128::from(step)
                && u128::from(step) * u128::from(height - 1) + used <= bytes as u128;
            let mut out = (ImageRgb8::default(), ImageGrey16::default());
            let ok = match pixel {
                PixelFormat::Grey16 => decode_grey16(&image, DecodeLimits::default(), &mut out.1).is_ok(),
                _ => decode_rgb8(&image, DecodeLimits::default(), &mut out.0).is_ok(),
            };
            prop_assert_eq!(ok, fits);
        }

        #[test]
        fn no_bytes_bring_decoding_down(data in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..60) {
            for encoding in [ImageEncoding::Jpeg, ImageEncoding::Png] {
                let image = Image { encoding, data: data.clone().into() };
                prop_assert!(decode_rgb8(&image, DecodeLimits::default(), &mut ImageRgb8::default()).is_err());
            }
            let whole = png(4, 4);
            let image = Image { data: whole.data.slice(..whole.data.len().min(cut)), ..whole };
            prop_assert!(decode_grey16(&image, DecodeLimits::default(), &mut ImageGrey16::default()).is_err());
        }
    }
}
