//! What a target takes before any load: memory at rest, and time to its first answer.

use anyhow::Result;

use super::Options;
use super::rig::Rig;
use super::rows::{Ask, Target};
use super::table::{Line, median};

/// Idle memory that the proxy may hold, in MiB.
const IDLE_BAR: f64 = 10.0;

/// Milliseconds to the first answer.
const COLD_BAR: f64 = 15.0;

/// Starts a figure is drawn from.
const STARTS: usize = 5;

/// Resident memory after the first answers and before any load, in MiB.
pub(super) fn idle_memory(rig: &Rig, options: &Options) -> Result<Vec<Line>> {
    let work = "idle RSS, MiB".to_owned();
    if !options.wants(&work) {
        return Ok(Vec::new());
    }
    let mebibytes =
        |target| Ok::<_, anyhow::Error>(super::table::float(rig.process(target).memory()?) / 1024.0);
    let (nginx, proxy) = (mebibytes(Target::Nginx)?, mebibytes(Target::Proxy)?);
    Ok(vec![Line {
        work,
        nginx: Some(nginx),
        proxy: Some(proxy),
        bar: Some(IDLE_BAR),
    }])
}

/// Time from the start of the process to its first answer, in milliseconds.
pub(super) fn cold_start(rig: &Rig, options: &Options) -> Result<Vec<Line>> {
    let work = "cold start to first answer, ms".to_owned();
    if !options.wants(&work) {
        return Ok(Vec::new());
    }
    let (mut nginx, mut proxy) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        nginx.push(first_answer(rig, Target::Nginx)?);
        proxy.push(first_answer(rig, Target::Proxy)?);
    }
    Ok(vec![Line {
        work,
        nginx: median(&nginx),
        proxy: median(&proxy),
        bar: Some(COLD_BAR),
    }])
}

fn first_answer(rig: &Rig, target: Target) -> Result<f64> {
    let (mut process, addr) = rig.another(target)?;
    Ok(process
        .first_answer(addr, &Ask::small().for_target(target))?
        .as_secs_f64()
        * 1e3)
}
