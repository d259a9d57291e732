//! A process under measurement: started on a core, watched through `/proc`, ended with the rig.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::client::Client;
use super::clock;

/// The kernel's unit of CPU time in `/proc`, fixed for user space at 100 a second.
const TICK: Duration = Duration::from_millis(10);

/// No target takes longer to start.
const PATIENCE: Duration = Duration::from_secs(15);

/// A pause between two looks at a starting process: far below a millisecond, which cold starts are told in.
const LOOK: Duration = Duration::from_micros(200);

/// A child process; dropping it ends it.
pub(super) struct Process {
    child: Child,
    started: Instant,
}

impl Process {
    /// Starts `words` on `core`, its output going to `log`.
    pub(super) fn start(words: &[String], core: usize, log: &Path) -> Result<Self> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let started = clock::now();
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .args(words)
            .env("ANTHROPIC_API_KEY", "")
            .env("OPENAI_API_KEY", "")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {words:?}"))?;
        Ok(Self { child, started })
    }

    /// Waits for the first 200 to `request` and tells how long after the start it came.
    pub(super) fn first_answer(&mut self, addr: SocketAddr, request: &[u8]) -> Result<Duration> {
        loop {
            match Client::connect(addr).and_then(|mut client| client.ask(request)) {
                Ok(answer) if answer.status == 200 => return Ok(self.age()),
                Ok(answer) if answer.status != 503 => bail!("the first answer was {}", answer.status),
                _ => {}
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended with {status} before its first answer");
            }
            if self.age() > PATIENCE {
                bail!("no answer within {PATIENCE:?}");
            }
            thread::sleep(LOOK);
        }
    }

    fn age(&self) -> Duration {
        clock::now().duration_since(self.started)
    }

    /// CPU time so far, user and system, of the process and its children.
    pub(super) fn cpu(&self) -> Result<Duration> {
        let ticks = self
            .family()
            .iter()
            .map(|pid| ticks(&read(*pid, "stat")?))
            .sum::<Result<u32>>()?;
        Ok(TICK * ticks)
    }

    /// Resident memory of the process and its children, in KiB.
    pub(super) fn memory(&self) -> Result<u64> {
        self.resident("VmRSS:")
    }

    /// The most that it has been.
    pub(super) fn peak(&self) -> Result<u64> {
        self.resident("VmHWM:")
    }

    fn resident(&self, field: &str) -> Result<u64> {
        self.family()
            .iter()
            .map(|pid| resident(&read(*pid, "status")?, field))
            .sum()
    }

    /// The process and its children: nginx works in one of those.
    fn family(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = read(own, &format!("task/{own}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        std::iter::once(own).chain(children).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // By signal, so that nginx's master takes its worker along; `taskset` has become the target itself.
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _already_gone = self.child.kill();
        }
        let _reaped = self.child.wait();
    }
}

pub(super) fn read(pid: u32, file: &str) -> Result<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// Fields 14 and 15 of `/proc/PID/stat`, counted past the name, which may hold spaces.
fn ticks(stat: &str) -> Result<u32> {
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    let times: Vec<u32> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(times.iter().sum())
}

/// That field of `/proc/PID/status`, in KiB.
pub(super) fn resident(status: &str, field: &str) -> Result<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .with_context(|| format!("no {field}"))?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_past_a_name_with_spaces() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 5 6 20 0 1 0 99 1000 50";
        assert_eq!(ticks(stat).expect("well formed"), 42);
        assert!(
            ticks("7 (a) S 1").is_ok_and(|ticks| ticks == 0),
            "a short line counts nothing"
        );
        assert!(ticks("nonsense").is_err());
    }

    #[test]
    fn resident_memory_is_read_in_kib() {
        let status = "Name:\tx\nVmHWM:\t  5678 kB\nVmRSS:\t   1234 kB\n";
        assert_eq!(resident(status, "VmRSS:").expect("well formed"), 1234);
        assert_eq!(resident(status, "VmHWM:").expect("well formed"), 5678);
        assert!(
            resident("Name:\tx\n", "VmRSS:").is_err(),
            "a zombie has no memory to tell of"
        );
    }
}
