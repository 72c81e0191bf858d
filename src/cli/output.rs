//! What every command prints alike: results, progress, tables.

use std::{
    borrow::Cow,
    io::{self, IsTerminal as _, Write as _},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Where results and progress go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    json: bool,
    bars: bool,
}

impl Output {
    pub(super) fn new(json: bool, quiet: bool) -> Self {
        Self { json, bars: !json && !quiet && io::stderr().is_terminal() }
    }

    /// Whether results are JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// Prints `result` as JSON, or else what `pretty` makes of it.
    pub(super) fn result<T: Serialize>(&self, result: &T, pretty: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
        let text = if self.json { serde_json::to_string_pretty(result)? } else { pretty(result) };
        print_line(text.trim_end())
    }

    /// Prints a line for people; JSON output has none.
    pub(super) fn say(&self, line: &str) -> anyhow::Result<()> {
        if self.json { Ok(()) } else { print_line(line) }
    }

    /// Prints a piece of a JSON document; people are told the whole at the end.
    pub(super) fn piece(&self, json: &str) -> anyhow::Result<()> {
        if self.json { print_line(json) } else { Ok(()) }
    }

    /// A progress bar over `total` of `unit`, with the rate and the time left; a spinner where the total is unknown (0).
    pub(super) fn progress(&self, what: impl Into<Cow<'static, str>>, total: u64, unit: &str) -> ProgressBar {
        if !self.bars {
            return ProgressBar::hidden();
        }
        let template = if total > 0 {
            format!("{{msg}} {{bar:30}} {{human_pos}}/{{human_len}} {unit} ({{per_sec}}, {{eta}} left)")
        } else {
            format!("{{msg}} {{spinner}} {{human_pos}} {unit} ({{per_sec}}, {{elapsed}})")
        };
        let bar = if total > 0 { ProgressBar::new(total) } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar
    }
}

/// Prints a line; a reader who went away has seen enough.
fn print_line(line: &str) -> anyhow::Result<()> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => Ok(printed?),
    }
}

/// A table in plain text: the first column left-aligned, numbers right-aligned.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let numeric: Vec<bool> = (0..header.len())
        .map(|i| !rows.is_empty() && rows.iter().filter_map(|row| row.get(i)).all(|cell| is_number(cell)))
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (i, cell) in cells.enumerate() {
            let pad = " ".repeat(widths[i].saturating_sub(cell.chars().count()));
            let parts = if numeric[i] { [pad.as_str(), cell] } else { [cell, pad.as_str()] };
            line.extend(["  ", parts[0], parts[1]]);
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut text = line(&mut header.iter().copied());
    for row in rows {
        text += &line(&mut row.iter().map(String::as_str));
    }
    text
}

fn is_number(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || "+-.,%".contains(c)) || cell == "-"
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_align_right_and_words_left() {
        let rows = [vec!["milk".to_owned(), "2".to_owned()], vec!["eggs, free range".to_owned(), "12".to_owned()]];
        let text = super::table(&["product", "count"], &rows);
        assert_eq!(text, "  product           count\n  milk                  2\n  eggs, free range     12\n");
    }
}
