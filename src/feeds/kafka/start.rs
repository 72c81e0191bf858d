//! From where a topic is read.

use std::str::FromStr;

use larder_records::Time;

/// From where partitions are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The first record that there is.
    Earliest,
    /// What comes from now on.
    Latest,
    /// The first record whose Kafka timestamp is at or after that time.
    Time(Time),
    /// That offset of every partition, or the nearest behind it that there is.
    Offset(u64),
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "earliest" => return Ok(Self::Earliest),
            "latest" => return Ok(Self::Latest),
            _ => {}
        }
        if let Ok(offset) = text.parse() {
            return Ok(Self::Offset(offset));
        }
        let time: jiff::Timestamp = text.parse().map_err(|_| {
            format!("{text:?} is neither earliest nor latest, nor an offset, nor a time such as 2026-03-01T18:00:00Z")
        })?;
        Ok(Self::Time(Time(time.as_microsecond())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_word_an_offset_or_a_time() {
        let start = |text: &str| text.parse::<Start>();
        assert_eq!(start("earliest"), Ok(Start::Earliest));
        assert_eq!(start("latest"), Ok(Start::Latest));
        assert_eq!(start("0"), Ok(Start::Offset(0)));
        assert_eq!(start("1970-01-01T00:00:01Z"), Ok(Start::Time(Time(1_000_000))));
        assert!(start("-1").unwrap_err().contains("neither"));
        assert!(start("yesterday").is_err());
    }
}
