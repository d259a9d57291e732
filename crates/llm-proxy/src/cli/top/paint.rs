//! Lines of text in tones, cut to a width; and columns of them.

use super::words::{fitted, width};
use crate::observe::one_line;

/// What a piece of text is to the eye.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Of less weight.
    Dim,
    /// Of more.
    Strong,
    /// All is well.
    Good,
    /// Not all is.
    Warn,
    /// Nothing is.
    Bad,
}

impl Tone {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Strong => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// A line in the making. What goes in may have come from anywhere: nothing of it acts on the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    pieces: Vec<(Tone, String)>,
}

impl Line {
    /// A line of one piece.
    pub(super) fn of(tone: Tone, text: &str) -> Self {
        Self::default().add(tone, text)
    }

    /// The same with one more piece.
    pub(super) fn add(mut self, tone: Tone, text: &str) -> Self {
        self.pieces.push((tone, one_line(text)));
        self
    }

    /// How many columns it takes.
    fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| width(text)).sum()
    }

    /// Its text in at most so many columns.
    pub(super) fn shown(&self, columns: usize, colour: bool) -> String {
        let (mut out, mut room) = (String::new(), columns);
        for (tone, text) in &self.pieces {
            let text = fitted(text, room);
            room -= width(&text).min(room);
            if colour && *tone != Tone::Plain && !text.is_empty() {
                out.extend([tone.code(), &text, "\x1b[0m"]);
            } else {
                out.push_str(&text);
            }
        }
        out.truncate(out.trim_end_matches(' ').len());
        out
    }
}

/// A column of a table.
pub(super) struct Column {
    /// What stands above it.
    pub head: &'static str,
    /// Whether it is of numbers.
    pub right: bool,
    /// The terminal's width from which on it is shown.
    pub from: usize,
    /// The most that it takes.
    pub most: usize,
}

/// Rows below their heads. The last column takes the rest of the line.
pub(super) fn table(columns: &[Column], rows: Vec<Vec<Line>>, room: usize) -> Vec<Line> {
    let heads = columns
        .iter()
        .map(|column| Line::of(Tone::Dim, column.head))
        .collect();
    let all: Vec<Vec<Line>> = std::iter::once(heads).chain(rows).collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| wide(column, n, &all))
        .collect();
    all.iter()
        .map(|row| joined(columns, &widths, row, room))
        .collect()
}

fn wide(column: &Column, n: usize, rows: &[Vec<Line>]) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(n));
    cells.map(Line::width).max().unwrap_or_default().min(column.most)
}

fn joined(columns: &[Column], widths: &[usize], row: &[Line], room: usize) -> Line {
    let mut line = Line::default();
    let last = columns.len().saturating_sub(1);
    for (n, ((column, cell), wide)) in columns.iter().zip(row).zip(widths).enumerate() {
        if room < column.from {
            continue;
        }
        let tone = cell.pieces.first().map(|(tone, _)| *tone).unwrap_or_default();
        if n == last {
            line.pieces.extend(cell.pieces.iter().cloned());
            continue;
        }
        let text: String = cell.pieces.iter().map(|(_, text)| text.as_str()).collect();
        let text = fitted(&text, *wide);
        let gap = " ".repeat(wide - width(&text).min(*wide));
        line.pieces.push((
            tone,
            if column.right {
                format!("{gap}{text}  ")
            } else {
                format!("{text}{gap}  ")
            },
        ));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_line_acts_on_the_terminal_and_none_is_longer_than_the_screen() {
        let line = Line::of(Tone::Bad, "a\x1b[2J\nb").add(Tone::Plain, "\u{202e}cdef");
        assert_eq!(line.shown(80, false), "a\u{fffd}[2J\u{fffd}b\u{fffd}cdef");
        assert_eq!(
            line.shown(9, true),
            "\x1b[31ma\u{fffd}[2J\u{fffd}b\x1b[0m\u{fffd}…"
        );
        assert_eq!(line.shown(0, true), "");
    }
}
