//! Corrections in a file, one JSON document a line, read as they are needed.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use anyhow::Context as _;
use larder::corrections::Written;

/// Bytes that a line has at most: longer ones are no corrections.
const LONGEST: u64 = 1 << 20;

/// The lines of a file that are not blank.
pub(super) struct Lines {
    source: Box<dyn BufRead>,
    name: String,
    number: u64,
}

/// A line: its number, where it is of a file, and the correction, or why it is none.
pub(super) type Line = (Option<u64>, Result<Written, String>);

impl Lines {
    /// Those of `file`; of the standard input for `-`.
    pub(super) fn open(file: &Path) -> anyhow::Result<Self> {
        let name = file.display().to_string();
        let source: Box<dyn BufRead> = if file == Path::new("-") {
            Box::new(BufReader::new(io::stdin()))
        } else {
            Box::new(BufReader::new(File::open(file).with_context(|| name.clone())?))
        };
        Ok(Self { source, name, number: 0 })
    }

    /// The next line with its end; empty behind the last. Of one that is too long, only the beginning.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        self.source.by_ref().take(LONGEST + 1).read_until(b'\n', &mut line)?;
        if line.len() as u64 > LONGEST && line.last() != Some(&b'\n') {
            self.source.skip_until(b'\n')?;
        }
        Ok(line)
    }
}

impl Iterator for Lines {
    type Item = anyhow::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.number += 1;
            let line = match self.read().with_context(|| format!("{}, line {}", self.name, self.number)) {
                Ok(line) if line.is_empty() => return None,
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            if line.len() as u64 > LONGEST {
                return Some(Ok((Some(self.number), Err(format!("it is longer than {LONGEST} bytes")))));
            }
            match str::from_utf8(&line) {
                Ok(text) if text.trim().is_empty() => {}
                Ok(text) => {
                    let written = Written::parse(text).map_err(|error| error.to_string());
                    return Some(Ok((Some(self.number), written)));
                }
                Err(error) => return Some(Ok((Some(self.number), Err(error.to_string())))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_gets_its_number_and_no_line_stops_those_behind_it() {
        let good = r#"{"time": "2026-03-01T18:00:00Z", "change": {"remove": {"product": "oat"}}}"#;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("corrections");
        let mut bytes = format!("{good}\n\n{{\"time\": 5}}\n").into_bytes();
        bytes.extend(b"\xff\xfe\n");
        bytes.extend(vec![b'x'; 3 << 20]);
        bytes.extend(format!("\n{good}").into_bytes());
        std::fs::write(&file, bytes).unwrap();
        let lines: Vec<Line> = Lines::open(&file).unwrap().map(Result::unwrap).collect();
        let told: Vec<_> = lines.iter().map(|(number, written)| (*number, written.is_ok())).collect();
        assert_eq!(told, [(1, true), (3, false), (4, false), (5, false), (6, true)].map(|(n, good)| (Some(n), good)));
        assert!(lines[3].1.as_ref().unwrap_err().contains("longer than"));
    }
}
