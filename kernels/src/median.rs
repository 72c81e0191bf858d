//! Medians of 16-bit pictures, in which 0 means "no reading".

use larder_records::{BoundingBox, Grid};

use crate::ImageGrey16;

/// The lower median of the readings in `values`, which are reordered; 0 where there are none.
pub fn median_of_readings(values: &mut Vec<u16>) -> u16 {
    values.retain(|&value| value != 0);
    if values.is_empty() {
        return 0;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable(middle).1
}

/// The lower median of the readings inside `bounds`; none where there are none. `scratch` is overwritten.
pub fn median_in_box(image: &ImageGrey16, bounds: BoundingBox, scratch: &mut Vec<u16>) -> Option<u16> {
    scratch.clear();
    image.rows_in(bounds).for_each(|row| scratch.extend_from_slice(row));
    Some(median_of_readings(scratch)).filter(|&median| median != 0)
}

/// The picture cut into `columns` by `rows` cells, and the lower median of the readings of each. Cell `i` of `n` along
/// a side of `length` pixels spans `i * length / n` to `(i + 1) * length / n`. `scratch` is overwritten.
pub fn median_grid(image: &ImageGrey16, columns: u16, rows: u16, scratch: &mut Vec<u16>) -> Grid {
    let edge = |index: u16, length: usize, cells: u16| {
        u16::try_from(usize::from(index) * length / usize::from(cells)).unwrap_or(u16::MAX)
    };
    let mut cells = Vec::with_capacity(usize::from(columns) * usize::from(rows));
    for row in 0..rows {
        for column in 0..columns {
            let bounds = BoundingBox {
                left: edge(column, image.width(), columns),
                top: edge(row, image.height(), rows),
                right: edge(column + 1, image.width(), columns),
                bottom: edge(row + 1, image.height(), rows),
            };
            cells.push(median_in_box(image, bounds, scratch).unwrap_or(0));
        }
    }
    Grid { columns, rows, cells }
}
