//! The proxy of a soak: the real binary, its log as it is written, its status, its signals, its end.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::super::clock;
use super::ledger::{Ledger, Line};
use super::roster::{Addresses, CANARY, Variant, config};
use super::wire::{Heard, Leaves, Manner, Wire};

/// Starting, reloading and ending take no longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// What is kept of the log, in bytes; as much again of the time before.
const LOG: u64 = 64 << 20;

/// A running proxy.
pub(super) struct Proxy {
    child: Child,
    log: Option<JoinHandle<()>>,
    addresses: Addresses,
    config: PathBuf,
}

impl Proxy {
    /// Starts it and waits until it answers. Its log goes to `dir` and its access lines into the ledger.
    pub(super) fn start(
        binary: &Path,
        dir: &Path,
        addresses: Addresses,
        ledger: &Arc<Ledger>,
    ) -> Result<Self> {
        let config_file = dir.join("soak.yaml");
        fs::write(&config_file, config(&addresses, Variant::CALM))?;
        let mut child = Command::new(binary)
            .args(["serve", "-c"])
            .arg(&config_file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let (lines, ledger) = (child.stderr.take().context("no log")?, Arc::clone(ledger));
        let mut kept = Kept::new(dir.join("proxy.log"))?;
        let log = thread::spawn(move || read(lines, &ledger, &mut kept));
        let mut proxy = Self {
            child,
            log: Some(log),
            addresses,
            config: config_file,
        };
        proxy.wait()?;
        Ok(proxy)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self) -> Result<()> {
        let until = clock::now() + PATIENCE;
        while self.status().is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the proxy ended with {status} at its start");
            }
            if clock::now() > until {
                bail!("the proxy does not answer within {PATIENCE:?}");
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// `GET /api/status`.
    pub(super) fn status(&self) -> Result<Value> {
        let request = format!(
            "GET /api/status HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.addresses.admin
        );
        let manner = Manner {
            leaves: Leaves::Never,
            nap: Duration::ZERO,
        };
        match Wire::open(self.addresses.admin)?
            .ask(request.as_bytes(), manner)
            .0
        {
            Heard::Whole(answer) if answer.status == 200 => Ok(serde_json::from_slice(&answer.body)?),
            other => bail!("no status: {other:?}"),
        }
    }

    /// Puts a config in force, or tries to: one that is broken must change nothing and be told.
    pub(super) fn reload(&self, variant: Variant) -> Result<()> {
        let before = self.status()?;
        let fresh = self.config.with_extension("fresh");
        fs::write(&fresh, config(&self.addresses, variant))?;
        fs::rename(&fresh, &self.config)?;
        self.signal("-HUP")?;
        let until = clock::now() + PATIENCE;
        loop {
            let now = self.status()?;
            match (
                variant.broken,
                generation(&now) == generation(&before),
                is_told(&now),
            ) {
                (true, true, true) | (false, false, false) => return Ok(()),
                (true, false, _) => bail!("a broken config was taken"),
                _ if clock::now() > until => bail!("{variant:?} is not in force after {PATIENCE:?}"),
                _ => thread::sleep(LOOK),
            }
        }
    }

    /// Ends it, and waits until it has ended and its log has been read.
    pub(super) fn end(mut self) -> Result<ExitStatus> {
        self.signal("-TERM")?;
        let until = clock::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if clock::now() > until {
                bail!("it does not end within {PATIENCE:?}");
            }
            thread::sleep(LOOK);
        };
        if let Some(Err(_panic)) = self.log.take().map(JoinHandle::join) {
            bail!("the reader of the log panicked");
        }
        Ok(status)
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status()?;
        if !sent.success() {
            bail!("the proxy is gone");
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // After `end` there is nothing left to kill.
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn generation(status: &Value) -> Option<u64> {
    status.pointer("/config/generation")?.as_u64()
}

fn is_told(status: &Value) -> bool {
    status
        .pointer("/config/last_reload_error")
        .is_some_and(|error| !error.is_null())
}

/// What is not at rest in a status, in words.
pub(super) fn unrest(status: &Value) -> Vec<String> {
    let fixed = [
        "/in_flight",
        "/concurrency/in_service",
        "/concurrency/waiting",
        "/panics",
    ];
    let backends = status
        .get("backends")
        .and_then(Value::as_array)
        .map_or(0, Vec::len);
    let of_backends = (0..backends).map(|index| format!("/backends/{index}/in_flight"));
    let mut unrest: Vec<String> = fixed
        .map(str::to_owned)
        .into_iter()
        .chain(of_backends)
        .filter(|path| status.pointer(path).and_then(Value::as_u64) != Some(0))
        .map(|path| format!("{path} is {:?} and not 0", status.pointer(&path)))
        .collect();
    if backends == 0 {
        unrest.push("the status has no backends".to_owned());
    }
    unrest
}

/// Reads the log to its end: access lines into the ledger, everything into files.
fn read(lines: ChildStderr, ledger: &Ledger, kept: &mut Kept) {
    for line in BufReader::new(lines).split(b'\n').map_while(Result::ok) {
        let text = String::from_utf8_lossy(&line);
        kept.line(&text);
        if text.contains(CANARY) || text.contains("panicked") {
            ledger.violate(format!("in the log: {text}"));
        }
        match serde_json::from_str::<Value>(&text) {
            Ok(line) => {
                if let Some(line) = Line::read(&line) {
                    ledger.line(line);
                }
            }
            Err(_) => ledger.violate(format!("a line of the log that is no JSON: {text:?}")),
        }
    }
}

/// The end of a log of any length, in two files.
struct Kept {
    path: PathBuf,
    file: fs::File,
    written: u64,
}

impl Kept {
    fn new(path: PathBuf) -> Result<Self> {
        let file = fs::File::create(&path)?;
        Ok(Self {
            path,
            file,
            written: 0,
        })
    }

    /// A disk that is full is no reason to stop.
    fn line(&mut self, text: &str) {
        if self.written > LOG
            && fs::rename(&self.path, self.path.with_extension("before.log")).is_ok()
            && let Ok(file) = fs::File::create(&self.path)
        {
            (self.file, self.written) = (file, 0);
        }
        let _full = writeln!(self.file, "{text}");
        self.written += u64::try_from(text.len()).unwrap_or_default() + 1;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_is_not_zero_is_unrest() {
        let status = |waiting: u64, oak: u64| {
            json!({
                "in_flight": 0, "panics": 0, "concurrency": {"in_service": 0, "waiting": waiting},
                "backends": [{"in_flight": oak}, {"in_flight": 0}],
            })
        };
        assert_eq!(unrest(&status(0, 0)), [""; 0]);
        assert_eq!(unrest(&status(1, 1)).len(), 2);
        assert_eq!(
            unrest(&json!({})).len(),
            5,
            "what is not told is not known to be zero"
        );
    }
}
