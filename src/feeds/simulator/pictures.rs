//! Pictures as files: the camera's JPEG, and the reference views of the catalogue.

use std::path::Path;

use image::{ExtendedColorType, ImageEncoder as _, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder};
use larder_records::{Image, ImageEncoding};

use super::{
    SimulateError,
    chance::{Purpose, stream},
    products::GOODS,
    render::{Light, Room},
    scene::{Item, PICTURE, SLOTS, slot},
};
use crate::catalogue::{Catalogue, Entry};

const QUALITY: u8 = 88;
/// Reference views of each product.
const VIEWS: usize = 8;
/// Pixels of background around a product in its reference view.
const MARGIN: u16 = 3;

/// A visible picture, `rgb` in rows, as a JPEG.
pub(super) fn jpeg(rgb: &[u8]) -> Result<Image, SimulateError> {
    let mut data = Vec::with_capacity(1 << 16);
    let (width, height) = (PICTURE.0 as u32, PICTURE.1 as u32);
    JpegEncoder::new_with_quality(&mut data, QUALITY).encode(rgb, width, height, ExtendedColorType::Rgb8)?;
    Ok(Image { encoding: ImageEncoding::Jpeg, data: data.into() })
}

/// Writes everything that can be bought, each with views of it alone in the fridge, under even light, cut out.
pub(super) fn write_catalogue(dir: &Path, room: &Room) -> Result<(), SimulateError> {
    let mut catalogue = Catalogue::open(dir)?;
    for (number, good) in GOODS.iter().enumerate() {
        catalogue.put(Entry {
            sku: good.sku.to_owned(),
            name: good.name.to_owned(),
            category: good.category.to_owned(),
            brand: good.brand.to_owned(),
            package_grams: good.grams,
            shelf_life_days: good.shelf_life_days,
            simulated: true,
        })?;
        for view in 0..VIEWS {
            if let Some(png) = portrait(room, number, view)? {
                catalogue.add_reference(good.sku, &png, None)?;
            }
        }
    }
    Ok(catalogue.save()?)
}

/// One reference view: every view is from another place and angle.
fn portrait(room: &Room, good: usize, view: usize) -> Result<Option<Vec<u8>>, SimulateError> {
    let fitting: Vec<usize> =
        (0..SLOTS).filter(|number| slot(*number).headroom > GOODS[good].shape.height() + 4.0).collect();
    let item = Item {
        good,
        slot: fitting[view * fitting.len() / VIEWS],
        off: (0.0, 0.0),
        turn: [-0.18, 0.0, 0.18, 0.09, -0.09][view % 5],
        milligrams: 0,
        bought: 0,
        since: 0,
        warmth: 0.0,
    };
    let seen = room.view(&[item]);
    let Some(([left, top, right, bottom], _)) = seen.boxes(1)[0] else { return Ok(None) };
    let rgb = seen.expose(&Light::EVEN, &mut stream(0, 0, Purpose::Pictures));
    let (left, top) = (left.saturating_sub(MARGIN), top.saturating_sub(MARGIN));
    let (right, bottom) = ((right + MARGIN).min(PICTURE.0 as u16), (bottom + MARGIN).min(PICTURE.1 as u16));
    let row = |y: u16| {
        let start = usize::from(y) * PICTURE.0;
        rgb[3 * (start + usize::from(left))..3 * (start + usize::from(right))].to_vec()
    };
    let cut: Vec<u8> = (top..bottom).flat_map(row).collect();
    let mut png = Vec::new();
    let (width, height) = (u32::from(right - left), u32::from(bottom - top));
    PngEncoder::new(&mut png).write_image(&cut, width, height, ExtendedColorType::Rgb8)?;
    Ok(Some(png))
}
