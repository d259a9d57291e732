//! The terminal: taken over, written to a frame at a time, and given back as it was.

use std::io::{self, Write};

use crossterm::cursor::{Hide, Show};
use crossterm::execute;
use crossterm::terminal::{
    DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};

/// The terminal while it is ours. Dropping it gives it back, whatever happened.
pub(super) struct Screen {
    out: io::Stdout,
}

impl Screen {
    /// Takes it over: a page of its own, keys without a line end, no cursor.
    pub(super) fn enter() -> io::Result<Self> {
        enable_raw_mode()?;
        let mut screen = Self { out: io::stdout() };
        execute!(screen.out, EnterAlternateScreen, Hide, DisableLineWrap)?;
        Ok(screen)
    }

    /// Shows a frame in the place of the one before, in one write: nothing is cleared first, so nothing flickers.
    pub(super) fn show(&self, frame: &str) -> io::Result<()> {
        let mut out = self.out.lock();
        out.write_all(overwriting(frame).as_bytes())?;
        out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(self.out, EnableLineWrap, Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// From the upper left corner, each line to its end, and nothing of old below.
fn overwriting(frame: &str) -> String {
    let mut out = String::with_capacity(frame.len() + 256);
    out.push_str("\x1b[H");
    out.push_str(&frame.replace('\n', "\x1b[K\r\n"));
    out.push_str("\x1b[K\x1b[J");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_written_over_the_one_before() {
        assert_eq!(overwriting("a\nb"), "\x1b[Ha\x1b[K\r\nb\x1b[K\x1b[J");
    }
}
