//! Grey pictures from files, and as files that OpenCV reads alike.

use std::{fs, path::Path};

use larder_kernels::ImageGrey8;

/// A PGM (binary, 8 bits), JPEG or PNG file as grey.
pub fn read_grey(path: &Path) -> ImageGrey8 {
    let bytes = fs::read(path).unwrap();
    if bytes.starts_with(b"P5") {
        return pgm(&bytes).unwrap();
    }
    let grey = image::load_from_memory(&bytes).unwrap().into_luma8();
    ImageGrey8::from_pixels(grey.width() as usize, grey.height() as usize, grey.into_raw()).unwrap()
}

/// The three numbers of the header end with one blank; a comment goes from `#` to the end of its line.
fn pgm(bytes: &[u8]) -> Option<ImageGrey8> {
    let (mut at, mut numbers) = (2, Vec::new());
    while numbers.len() < 3 {
        let line = bytes.get(at..)?;
        let is_end: fn(&u8) -> bool = if line[0] == b'#' { |&byte| byte == b'\n' } else { u8::is_ascii_whitespace };
        let length = line.iter().position(is_end)?;
        if length > 0 && line[0] != b'#' {
            numbers.push(std::str::from_utf8(&line[..length]).ok()?.parse::<usize>().ok()?);
        }
        at += length + 1;
    }
    ImageGrey8::from_pixels(numbers[0], numbers[1], bytes[at..].to_vec())
}

/// Writes a binary PGM file.
pub fn write_pgm(path: &Path, picture: &ImageGrey8) {
    let mut bytes = format!("P5\n{} {}\n255\n", picture.width(), picture.height()).into_bytes();
    bytes.extend_from_slice(picture.pixels());
    fs::write(path, bytes).unwrap();
}
