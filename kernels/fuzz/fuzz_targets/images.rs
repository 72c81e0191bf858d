//! Whatever bytes are taken for a picture: no panic, and no pixel beyond the limits.
//!
//! The same bytes are taken for a JPEG, for a PNG, and for the pixels of a raw picture behind a header of eight bytes: width, height and
//! bytes a row (16 bits each, little-endian), format, and one that is passed over.
#![no_main]

use bytes::Bytes;
use larder_kernels::{
    ImageGrey16, ImageRgb8, Plane,
    decode::{DecodeLimits, decode_grey16, decode_rgb8},
};
use larder_records::{Image, ImageEncoding, PixelFormat};
use libfuzzer_sys::fuzz_target;

/// Small, so that many pictures a second are tried.
const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 1 << 16 };

fn check<T: Copy + Default>(image: &Plane<T>, header: Option<(u32, u32)>) {
    let (width, height) = (image.width(), image.height());
    assert_eq!(image.pixels().len(), width * height);
    assert!(width > 0 && height > 0 && (width * height) as u64 <= LIMITS.max_pixels);
    assert!(header.is_none_or(|(w, h)| (w as usize, h as usize) == (width, height)));
}

fn try_all(encoding: ImageEncoding, data: Bytes, rgb: &mut ImageRgb8, grey: &mut ImageGrey16) {
    let header = match encoding {
        ImageEncoding::Raw { width, height, .. } => Some((width, height)),
        _ => None,
    };
    let image = Image { encoding, data };
    if decode_rgb8(&image, LIMITS, rgb).is_ok() {
        check(rgb, header);
    }
    if decode_grey16(&image, LIMITS, grey).is_ok() {
        check(grey, header);
    }
}

fuzz_target!(|data: &[u8]| {
    let (mut rgb, mut grey) = (ImageRgb8::default(), ImageGrey16::default());
    let bytes = Bytes::copy_from_slice(data);
    try_all(ImageEncoding::Jpeg, bytes.clone(), &mut rgb, &mut grey);
    try_all(ImageEncoding::Png, bytes.clone(), &mut rgb, &mut grey);
    let Some((&[w0, w1, h0, h1, s0, s1, format, _], _)) = data.split_first_chunk() else { return };
    let [width, height, step] = [[w0, w1], [h0, h1], [s0, s1]].map(|two| u32::from(u16::from_le_bytes(two)));
    let pixel = [PixelFormat::Rgb8, PixelFormat::Bgr8, PixelFormat::Grey8, PixelFormat::Grey16][usize::from(format % 4)];
    try_all(ImageEncoding::Raw { width, height, step, pixel }, bytes.slice(8..), &mut rgb, &mut grey);
});
