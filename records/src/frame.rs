//! Frames: what sensors send.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{ApplianceId, SensorId, Time};

/// What a sensor measures, and the integer unit that its values are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Modality {
    /// A colour picture.
    Visible,
    /// A picture of distances: millimetres, 0 where there is no reading.
    Depth,
    /// A picture of temperatures: hundredths of a kelvin.
    Infrared,
    /// Load on a scale: milligrams.
    Weight,
    /// A door: 1 open, 0 closed.
    Door,
    /// Air temperature: thousandths of a degree Celsius.
    Temperature,
    /// Electrical power: milliwatts.
    Power,
}

impl Modality {
    /// Every modality.
    pub const ALL: [Self; 7] =
        [Self::Visible, Self::Depth, Self::Infrared, Self::Weight, Self::Door, Self::Temperature, Self::Power];

    /// Its name in channel metadata, tables and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visible => "visible",
            Self::Depth => "depth",
            Self::Infrared => "infrared",
            Self::Weight => "weight",
            Self::Door => "door",
            Self::Temperature => "temperature",
            Self::Power => "power",
        }
    }

    /// The modality of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.as_str() == name)
    }

    /// Whether its frames are images; else they are readings.
    pub fn is_image(self) -> bool {
        matches!(self, Self::Visible | Self::Depth | Self::Infrared)
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message of one sensor at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Whose sensor.
    pub appliance: ApplianceId,
    /// Which sensor.
    pub sensor: SensorId,
    /// What it measures.
    pub modality: Modality,
    /// Event time.
    pub time: Time,
    /// The sensor's own count of messages; orders those of one instant.
    pub sequence: u32,
    /// What it carries.
    pub payload: Payload,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A value in the unit of the frame's modality.
    Reading(i64),
    /// A picture.
    Image(Image),
}

/// An undecoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// How `data` is laid out.
    pub encoding: ImageEncoding,
    /// The bytes as they came.
    pub data: Bytes,
}

/// How the bytes of an [`Image`] are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageEncoding {
    /// A JPEG file.
    Jpeg,
    /// A PNG file.
    Png,
    /// Rows of pixels from the top.
    Raw {
        /// Pixels a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes a row, padding included.
        step: u32,
        /// The layout of one pixel.
        pixel: PixelFormat,
    },
}

impl ImageEncoding {
    /// What kind of picture file the bytes begin as; none where they are neither JPEG nor PNG.
    ///
    /// ```
    /// use larder_records::ImageEncoding;
    ///
    /// assert_eq!(ImageEncoding::of_file(b"\xff\xd8\xff\xe0"), Some(ImageEncoding::Jpeg));
    /// assert_eq!(ImageEncoding::of_file(b"GIF89a"), None);
    /// ```
    pub fn of_file(data: &[u8]) -> Option<Self> {
        match data {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            _ => None,
        }
    }
}

/// The layout of one pixel of a raw image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PixelFormat {
    /// 16-bit little-endian grey.
    Grey16,
    /// 8-bit grey.
    Grey8,
    /// Red, green, blue.
    Rgb8,
    /// Blue, green, red.
    Bgr8,
}

impl PixelFormat {
    /// Bytes a pixel.
    pub fn bytes(self) -> u32 {
        match self {
            Self::Grey16 => 2,
            Self::Grey8 => 1,
            Self::Rgb8 | Self::Bgr8 => 3,
        }
    }
}

/// One value of one sensor: the dataflow's form of a frame that carries no picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reading {
    /// Whose sensor.
    pub appliance: ApplianceId,
    /// Which sensor.
    pub sensor: SensorId,
    /// What it measures.
    pub modality: Modality,
    /// Event time.
    pub time: Time,
    /// The sensor's own count of messages; orders those of one instant.
    pub sequence: u32,
    /// In the unit of the modality.
    pub value: i64,
}
