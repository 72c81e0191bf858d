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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_lies_in_one_cell_and_holes_do_not_count() {
        let pixels = (0..7 * 5).map(|i| if i % 4 == 0 { 0 } else { i }).collect();
        let image = ImageGrey16::from_pixels(7, 5, pixels).unwrap();
        let grid = median_grid(&image, 3, 2, &mut Vec::new());
        assert_eq!((grid.columns, grid.rows), (3, 2));
        // Columns 0..2, 2..4, 4..7; rows 0..2, 2..5.
        let mut expected = Vec::new();
        for rows in [0..2, 2..5] {
            for columns in [0..2, 2..4, 4..7] {
                let mut cell: Vec<u16> =
                    rows.clone().flat_map(|y| columns.clone().map(move |x| y * 7 + x)).filter(|i| i % 4 != 0).collect();
                cell.sort_unstable();
                expected.push(cell[(cell.len() - 1) / 2]);
            }
        }
        assert_eq!(grid.cells, expected);
    }

    #[test]
    fn a_grid_finer_than_the_picture_has_cells_without_readings() {
        let image = ImageGrey16::from_pixels(1, 1, vec![9]).unwrap();
        assert_eq!(median_grid(&image, 2, 1, &mut Vec::new()).cells, [0, 9]);
    }

    #[test]
    fn a_box_outside_the_picture_has_no_median() {
        let image = ImageGrey16::from_pixels(2, 1, vec![3, 0]).unwrap();
        let outside = BoundingBox { left: 5, top: 0, right: 9, bottom: 1 };
        assert_eq!(median_in_box(&image, outside, &mut Vec::new()), None);
        assert_eq!(median_in_box(&image, image.bounds(), &mut Vec::new()), Some(3));
    }
}
