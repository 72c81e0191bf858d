//! What vision saw, and what nobody could take in.

use super::{
    Refused, WireError, decode_time, encode_time,
    frame::{decode_modality, encode_modality},
    household::{bounds, present},
    v1::{self, seen as wire},
};
use crate::{
    ApplianceId, BoundingBox, Candidate, DeadLetter, DeadReason, Digest, FrameKey, FrameResult, Grid, Name, Names, PPM,
    Position, Ppm, ProductId, SensorId, Sighting,
};

/// What vision saw in one picture, and the name of that vision.
///
/// # Errors
/// `Malformed` without appliance, sensor or time, for a digest or box that is none, for candidates out of order, and for what fits
/// no picture; `BadValue` for a score above one; `BadTime`; a collision of names.
pub fn decode_seen(message: &v1::Seen, names: &mut Names) -> Result<(FrameResult, Digest), WireError> {
    let modality = decode_modality(message.modality)?.filter(|modality| modality.is_image());
    if message.sightings.len() > usize::from(u16::MAX) + 1 {
        return Err(Refused::malformed(format!("{} sightings in one picture", message.sightings.len())).into());
    }
    let key = FrameKey {
        appliance: ApplianceId(names.intern(present("appliance", &message.appliance)?)?),
        sensor: SensorId(names.intern(present("sensor", &message.sensor)?)?),
        time: decode_time(message.timestamp.as_ref())?,
        hash: digest("frame", &message.hash)?,
    };
    let sightings = message.sightings.iter().map(|message| sighting(message, names));
    let result = FrameResult {
        key,
        modality: modality.ok_or_else(|| Refused::malformed("a picture of no known modality"))?,
        fingerprint: digest("fingerprint", &message.fingerprint)?,
        width: small("a width", message.width)?,
        height: small("a height", message.height)?,
        sightings: sightings.collect::<Result<_, WireError>>()?,
        grid: message.grid.as_ref().map(grid).transpose()?,
    };
    Ok((result, digest("vision", &message.vision)?))
}

fn sighting(message: &wire::Sighting, names: &mut Names) -> Result<Sighting, WireError> {
    let mut scored = |messages: &[wire::Scored]| -> Result<Vec<(Name, Ppm)>, WireError> {
        let one =
            |message: &wire::Scored| Ok((names.intern(present("name", &message.name)?)?, share(message.score_ppm)?));
        messages.iter().map(one).collect()
    };
    let candidates: Vec<_> = scored(&message.candidates)?
        .into_iter()
        .map(|(name, score)| Candidate { product: ProductId(name), score })
        .collect();
    // the first is what the sighting is taken for: it must not depend on who wrote the message
    if !candidates.is_sorted_by(|a, b| (b.score, a.product) < (a.score, b.product)) {
        return Err(Refused::malformed("candidates that are not the best first").into());
    }
    let classes = scored(&message.classes)?;
    let median = |reading: Option<u32>| reading.map(|reading| small("a median", reading)).transpose();
    Ok(Sighting {
        bounds: bounds(&message.r#box)?.ok_or_else(|| Refused::malformed("a sighting without a box"))?,
        detection: share(message.detection_ppm)?,
        candidates,
        classes,
        embedding: message.embedding.iter().map(|byte| byte.cast_signed()).collect(),
        depth_mm: median(message.depth_mm)?,
        heat_ck: median(message.heat_ck)?,
    })
}

fn grid(message: &wire::Grid) -> Result<Grid, Refused> {
    let (columns, rows) = (small("columns", message.columns)?, small("rows", message.rows)?);
    if message.cells.len() != usize::from(columns) * usize::from(rows) {
        let detail = format!("a grid of {columns} by {rows} with {} cells", message.cells.len());
        return Err(Refused::malformed(detail));
    }
    let cells = message.cells.iter().map(|cell| small("a cell", *cell)).collect::<Result<_, _>>()?;
    Ok(Grid { columns, rows, cells })
}

fn small(what: &str, number: u32) -> Result<u16, Refused> {
    u16::try_from(number).map_err(|_| Refused::malformed(format!("{what} of {number}")))
}

fn share(ppm: u32) -> Result<Ppm, Refused> {
    if ppm <= PPM {
        Ok(ppm)
    } else {
        Err(Refused::new(DeadReason::BadValue, format!("a score of {ppm} parts per million")))
    }
}

/// The digest of `what`, from 32 hexadecimal digits.
pub(super) fn digest(what: &str, text: &str) -> Result<Digest, Refused> {
    let hexadecimal = text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    let digest = text.parse::<Digest>().ok().filter(|_| hexadecimal);
    digest.ok_or_else(|| Refused::malformed(format!("a {what}'s digest that is not 32 hexadecimal digits")))
}

/// The message of what the vision of that name saw: the inverse of [`decode_seen`].
pub fn encode_seen(result: &FrameResult, vision: Digest, names: &Names) -> v1::Seen {
    let FrameResult { key, modality, fingerprint, width, height, sightings, grid } = result;
    let text = |name: Name| names.text(name).to_owned();
    let scored = |name: Name, score_ppm: Ppm| wire::Scored { name: text(name), score_ppm };
    let sighting = |sighting: &Sighting| {
        let BoundingBox { left, top, right, bottom } = sighting.bounds;
        wire::Sighting {
            r#box: [left, top, right, bottom].map(u32::from).to_vec(),
            detection_ppm: sighting.detection,
            candidates: sighting.candidates.iter().map(|of| scored(of.product.0, of.score)).collect(),
            classes: sighting.classes.iter().map(|(name, score)| scored(*name, *score)).collect(),
            embedding: sighting.embedding.iter().map(|component| component.cast_unsigned()).collect(),
            depth_mm: sighting.depth_mm.map(u32::from),
            heat_ck: sighting.heat_ck.map(u32::from),
        }
    };
    let cells = |grid: &Grid| wire::Grid {
        columns: grid.columns.into(),
        rows: grid.rows.into(),
        cells: grid.cells.iter().copied().map(u32::from).collect(),
    };
    v1::Seen {
        appliance: text(key.appliance.0),
        sensor: text(key.sensor.0),
        timestamp: Some(encode_time(key.time)),
        hash: key.hash.to_string(),
        modality: encode_modality(*modality).into(),
        fingerprint: fingerprint.to_string(),
        vision: vision.to_string(),
        width: (*width).into(),
        height: (*height).into(),
        sightings: sightings.iter().map(sighting).collect(),
        grid: grid.as_ref().map(cells),
    }
}

/// A dead letter that another process wrote.
///
/// # Errors
/// `Malformed` without a source, and for a reason that is not known.
pub fn decode_dead_letter(message: v1::DeadLetter) -> Result<DeadLetter, Refused> {
    let v1::DeadLetter { source, offset, reason, detail } = message;
    let reason = DeadReason::from_name(&reason)
        .ok_or_else(|| Refused::malformed(format!("a dead letter with no known reason: {reason:.32}")))?;
    let source = present("source", &source)?.into();
    Ok(DeadLetter { position: Position { source, offset }, reason, detail })
}

/// The message of a dead letter.
pub fn encode_dead_letter(letter: &DeadLetter) -> v1::DeadLetter {
    let DeadLetter { position: Position { source, offset }, reason, detail } = letter;
    v1::DeadLetter {
        source: source.to_string(),
        offset: *offset,
        reason: reason.as_str().to_owned(),
        detail: detail.clone(),
    }
}
