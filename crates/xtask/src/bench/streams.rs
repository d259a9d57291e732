//! What open streams hold: memory a stream, at several counts, to see that it does not grow with them.

use std::io::Read;
use std::net::TcpStream;

use anyhow::{Context, Result, bail};

use super::Options;
use super::client;
use super::rig::Rig;
use super::rows::{Ask, Target};
use super::table::{Line, float};

/// KiB a stream at several counts of open ones. nginx's figure is the bar of a stream that passes as it is, and stands beside
/// the one of a converted stream, which nginx cannot do.
pub(super) fn memory(rig: &Rig, options: &Options) -> Result<Vec<Line>> {
    let counts: &[u32] = if options.quick { &[1000] } else { &[1000, 5000] };
    let mut lines = Vec::new();
    for count in counts {
        lines.extend(at(rig, options, *count)?);
    }
    Ok(lines)
}

fn at(rig: &Rig, options: &Options, count: u32) -> Result<Vec<Line>> {
    let passed = format!("KiB per open stream, at {count}");
    let converted = format!("KiB per open stream, converted, at {count}");
    if !options.wants(&passed) && !options.wants(&converted) {
        return Ok(Vec::new());
    }
    let nginx = kib_a_stream(rig, Target::Nginx, &Ask::slow(), count)?;
    let mut lines = Vec::new();
    for (work, ask, bar) in [
        (passed, Ask::slow(), Some(nginx)),
        (converted, Ask::slow().converted(), None),
    ] {
        if options.wants(&work) {
            lines.push(Line {
                work,
                nginx: Some(nginx),
                proxy: Some(kib_a_stream(rig, Target::Proxy, &ask, count)?),
                bar,
            });
        }
    }
    Ok(lines)
}

/// A fresh process is asked, so that what earlier load left behind does not hide the growth.
fn kib_a_stream(rig: &Rig, target: Target, ask: &Ask, count: u32) -> Result<f64> {
    let (mut process, addr) = rig.another(target)?;
    process.first_answer(addr, &Ask::small().for_target(target))?;
    let idle = process.memory()?;
    let request = ask.for_target(target);
    let open: Result<Vec<TcpStream>> = (0..count).map(|_| client::send_only(addr, &request)).collect();
    let mut open = open.with_context(|| format!("{count} streams: is `ulimit -n` high enough?"))?;
    for stream in &mut open {
        wait_for_200(stream)?;
    }
    let grown = process.memory()?.saturating_sub(idle);
    Ok(float(grown) / f64::from(count))
}

fn wait_for_200(stream: &mut TcpStream) -> Result<()> {
    let mut head = [0; 12];
    stream.read_exact(&mut head).context("a stream did not begin")?;
    if &head != b"HTTP/1.1 200" {
        bail!("a stream began with {:?}", String::from_utf8_lossy(&head));
    }
    Ok(())
}
