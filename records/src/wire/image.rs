//! Pictures: checked for layout and size, never decoded here.

use super::{Refused, decode_time, encode_time, foxglove};
use crate::{DeadReason, Image, ImageEncoding, Modality, PixelFormat, Time};

/// The largest picture that is taken in, in bytes as sent: 64 MiB.
pub const MAX_IMAGE_BYTES: u64 = 64 << 20;

/// Refuses a picture that is too large, and a raw one whose rows do not add up.
///
/// # Errors
/// `TooLarge` beyond [`MAX_IMAGE_BYTES`], also where only the stated size is; `Malformed` where the rows are shorter
/// than their pixels, where bytes are missing or left over, and for a picture without any.
pub fn check_image(image: &Image) -> Result<(), Refused> {
    let length = image.data.len() as u64;
    if length > MAX_IMAGE_BYTES {
        return Err(Refused::new(DeadReason::TooLarge, format!("a picture of {length} bytes")));
    }
    if length == 0 {
        return Err(Refused::malformed("a picture of no bytes"));
    }
    if let ImageEncoding::Raw { width, height, step, pixel } = image.encoding {
        // Two factors below 2^32 each: neither product overflows 64 bits.
        let row = u64::from(width) * u64::from(pixel.bytes());
        let stated = u64::from(step) * u64::from(height);
        if stated.max(row.saturating_mul(u64::from(height))) > MAX_IMAGE_BYTES {
            let detail = format!("a raw picture of {width}x{height} pixels and {step} bytes a row");
            return Err(Refused::new(DeadReason::TooLarge, detail));
        }
        if row > u64::from(step) || stated != length {
            return Err(Refused::malformed(format!(
                "a raw picture of {width}x{height} pixels, {step} bytes a row and {length} bytes"
            )));
        }
    }
    Ok(())
}

/// The time and picture of a compressed image.
///
/// # Errors
/// `Malformed` for a format other than `jpeg` and `png`, and without time; `BadTime`; `TooLarge`.
pub fn decode_compressed(message: foxglove::CompressedImage) -> Result<(Time, Image), Refused> {
    let time = decode_time(message.timestamp.as_ref())?;
    let format = &message.format;
    let encoding = if format.eq_ignore_ascii_case("jpeg") || format.eq_ignore_ascii_case("jpg") {
        ImageEncoding::Jpeg
    } else if format.eq_ignore_ascii_case("png") {
        ImageEncoding::Png
    } else {
        return Err(Refused::malformed(format!("a compressed picture of format {}", quoted(format))));
    };
    let image = Image { encoding, data: message.data };
    check_image(&image)?;
    Ok((time, image))
}

/// The time and picture of a raw image.
///
/// # Errors
/// `Malformed` for an encoding other than `16UC1`, `mono16`, `mono8`, `8UC1`, `rgb8`, `bgr8` and `8UC3` (which is
/// `bgr8`), without time, and as [`check_image`]; `BadTime`; `TooLarge`.
pub fn decode_raw(message: foxglove::RawImage) -> Result<(Time, Image), Refused> {
    let time = decode_time(message.timestamp.as_ref())?;
    let pixel = match message.encoding.as_str() {
        "16UC1" | "mono16" => PixelFormat::Grey16,
        "mono8" | "8UC1" => PixelFormat::Grey8,
        "rgb8" => PixelFormat::Rgb8,
        "bgr8" | "8UC3" => PixelFormat::Bgr8,
        other => return Err(Refused::malformed(format!("a raw picture of encoding {}", quoted(other)))),
    };
    let (width, height, step) = (message.width, message.height, message.step);
    let image = Image { encoding: ImageEncoding::Raw { width, height, step, pixel }, data: message.data };
    check_image(&image)?;
    Ok((time, image))
}

/// The message of a compressed image, or none where `image` is raw.
pub fn encode_compressed(time: Time, frame_id: &str, image: &Image) -> Option<foxglove::CompressedImage> {
    let format = match image.encoding {
        ImageEncoding::Jpeg => "jpeg",
        ImageEncoding::Png => "png",
        ImageEncoding::Raw { .. } => return None,
    };
    Some(foxglove::CompressedImage {
        timestamp: Some(encode_time(time)),
        frame_id: frame_id.to_owned(),
        data: image.data.clone(),
        format: format.to_owned(),
    })
}

/// The message of a raw image, or none where `image` is compressed.
pub fn encode_raw(time: Time, frame_id: &str, image: &Image) -> Option<foxglove::RawImage> {
    let ImageEncoding::Raw { width, height, step, pixel } = image.encoding else { return None };
    let encoding = match pixel {
        PixelFormat::Grey16 => "16UC1",
        PixelFormat::Grey8 => "mono8",
        PixelFormat::Rgb8 => "rgb8",
        PixelFormat::Bgr8 => "bgr8",
    };
    Some(foxglove::RawImage {
        timestamp: Some(encode_time(time)),
        frame_id: frame_id.to_owned(),
        width,
        height,
        encoding: encoding.to_owned(),
        step,
        data: image.data.clone(),
    })
}

/// The modality of a picture whose producer does not say it: 16 bits a pixel, raw, are depth; the rest is visible.
pub fn image_modality(image: &Image) -> Modality {
    match image.encoding {
        ImageEncoding::Raw { pixel: PixelFormat::Grey16, .. } => Modality::Depth,
        _ => Modality::Visible,
    }
}

/// The start of a text from outside, fit for a message.
fn quoted(text: &str) -> String {
    let start: String = text.chars().take(32).collect();
    format!("{start:?}")
}
