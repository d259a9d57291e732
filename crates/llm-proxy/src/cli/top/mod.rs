//! `llm-proxy top`: the running proxy in a terminal, refreshed in place. What a frame shows is decided in `frame.rs`,
//! without I/O; here is the loop around it.

mod ask;
mod board;
mod frame;
mod health;
mod numbers;
mod paint;
mod screen;
mod words;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, SystemTime};

use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::terminal;

use self::ask::Admin;
use self::board::{Answers, Board};
use self::screen::Screen;
use super::args::Watched;
use crate::base::{Secret, clock, env};
use crate::config;

/// Exit code: a run-time failure.
const FAILED: u8 = 1;
/// Exit code: a wrong config or usage.
const WRONG: u8 = 2;
/// How often the proxy is asked.
const EVERY: Duration = Duration::from_secs(1);
/// How long a new answer waits to be shown at most.
const LOOK: Duration = Duration::from_millis(100);
/// The frame where there is no terminal: as wide as a page, as high as it takes.
const PLAIN: (usize, usize) = (120, 60);

/// What the thread that asks has to tell.
type Told = Result<Answers, String>;

/// Shows the proxy until somebody has seen enough; or once.
pub(super) fn top(watched: &Watched, colour: bool) -> ExitCode {
    let admin = match admin(watched, colour) {
        Ok(admin) => admin,
        Err(sentence) => return failed(&sentence, WRONG),
    };
    let once = watched.once || !io::stdout().is_terminal() || !io::stdin().is_terminal();
    let shown = if once { show_once(&admin) } else { show(&admin) };
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => failed(&sentence, FAILED),
    }
}

/// Whom to ask: what the command line names, else what the config does. The key is the config's, wherever it says it is;
/// where a URL is named and no config can be read, `$ADMIN_KEY`.
fn admin(watched: &Watched, colour: bool) -> Result<Admin, String> {
    let loaded = config::load(&watched.at.path());
    if let Some(url) = &watched.admin {
        let from_environment = || env::var("ADMIN_KEY").filter(|key| !key.is_empty());
        let key = match loaded {
            Ok(loaded) => loaded.config.admin.key,
            Err(_) => from_environment().map(|key| Secret::new(&key)),
        };
        return Admin::of_url(url, key);
    }
    let config = loaded.map_err(|report| report.render(colour))?.config;
    let listen = config.admin.listen.filter(|listen| listen.port() != 0);
    let listen = listen.ok_or("the config names no address of an admin listener: name it with --admin")?;
    Ok(Admin::at(listen, config.admin.key))
}

fn show_once(admin: &Admin) -> Result<(), String> {
    let mut board = Board {
        address: admin.address(),
        ..Board::default()
    };
    let told = admin.answers();
    let answers = told.map_err(|why| format!("no answer of {}: {why}", admin.address()))?;
    board.take(answers, clock::now(), unix());
    let (width, height) = PLAIN;
    let frame = frame::frame(&board, width, height, clock::now());
    // A closed pipe is nobody's loss.
    let _ = writeln!(io::stdout(), "{frame}");
    Ok(())
}

fn show(admin: &Admin) -> Result<(), String> {
    let mut board = Board {
        address: admin.address(),
        colour: env::var("NO_COLOR").is_none_or(|value| value.is_empty()),
        ..Board::default()
    };
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = mpsc::channel();
    let asked = admin.clone();
    std::thread::spawn(move || ask(&asked, &tell, &stopped));
    let ended = watch(&mut board, &told);
    drop(stop);
    ended.map_err(|error| format!("the terminal cannot be used: {error}"))
}

/// Asks again and again, until nobody listens any more.
fn ask(admin: &Admin, tell: &Sender<Told>, stopped: &Receiver<()>) {
    while tell.send(admin.answers()).is_ok() {
        if stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Shows what comes, until a key says that it is enough.
fn watch(board: &mut Board, told: &Receiver<Told>) -> io::Result<()> {
    let screen = Screen::enter()?;
    let mut shown = String::new();
    loop {
        for told in told.try_iter() {
            match told {
                Ok(answers) => board.take(answers, clock::now(), unix()),
                Err(why) => board.fault = Some(why),
            }
        }
        let (width, height) = terminal::size()?;
        let frame = frame::frame(board, usize::from(width), usize::from(height), clock::now());
        if frame != shown {
            screen.show(&frame)?;
            shown = frame;
        }
        if event::poll(LOOK)? {
            match event::read()? {
                Event::Key(key) if ends(key) => return Ok(()),
                // Whatever the screen has made of the old frame, it is written anew.
                Event::Resize(..) => shown.clear(),
                _ => {}
            }
        }
    }
}

/// `q`, Escape or Ctrl-C.
fn ends(key: KeyEvent) -> bool {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind != KeyEventKind::Release
        && match key.code {
            KeyCode::Char('c') => control,
            KeyCode::Char('q' | 'Q') | KeyCode::Esc => true,
            _ => false,
        }
}

/// Seconds since 1970.
fn unix() -> f64 {
    let since = clock::wall().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}

/// One clear sentence, on standard error.
fn failed(text: &str, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_keys_end_it_and_no_other() {
        let key = |code, modifiers| ends(KeyEvent::new(code, modifiers));
        let none = KeyModifiers::NONE;
        assert!(key(KeyCode::Char('q'), none) && key(KeyCode::Esc, none));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL) && !key(KeyCode::Char('c'), none));
        assert!(!key(KeyCode::Enter, none));
    }
}
