//! What open streams hold: memory a stream, at several counts, to see that it does not grow with them.

use std::io::Read;
use std::net::TcpStream;

use anyhow::{Context, Result, bail};

use super::Options;
use super::client;
use super::rig::Rig;
use super::rows::{Ask, Target};
use super::table::{Line, float};

/// KiB a stream of each target at `count` open ones; the bar is nginx's own figure.
pub(super) fn memory(rig: &Rig, options: &Options) -> Result<Vec<Line>> {
    let counts: &[u32] = if options.quick { &[1000] } else { &[1000, 5000] };
    let mut lines = Vec::new();
    for count in counts {
        let work = format!("KiB per open stream, at {count}");
        if options.wants(&work) {
            let nginx = kib_a_stream(rig, Target::Nginx, *count)?;
            let proxy = kib_a_stream(rig, Target::Proxy, *count)?;
            lines.push(Line {
                work,
                nginx: Some(nginx),
                proxy: Some(proxy),
                bar: Some(nginx),
            });
        }
    }
    Ok(lines)
}

/// A fresh process is asked, so that what earlier load left behind does not hide the growth.
fn kib_a_stream(rig: &Rig, target: Target, count: u32) -> Result<f64> {
    let (mut process, addr) = rig.another(target)?;
    process.first_answer(addr, &Ask::small().for_target(target))?;
    let idle = process.memory()?;
    let request = Ask::slow().for_target(target);
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
