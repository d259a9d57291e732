//! A simulated backend in a process of its own, so that it can be killed.

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use llm_sim::{Answer, Seen, Sim};
use serde_json::json;

use super::dice;
use super::faults::{self, Sabotage};
use super::order::Order;
use super::roster::{CLIENT_KEY, Member};

/// What the command line of the process says.
struct Part {
    member: Member,
    listen: SocketAddr,
    seed: u64,
    sabotage: Option<Sabotage>,
}

impl Part {
    fn parse(words: &[String]) -> Result<Self> {
        let [name, listen, seed, sabotage] = words else {
            bail!("a backend wants its name, its address, a seed and a lie");
        };
        Ok(Self {
            member: Member::named(name).with_context(|| format!("no backend is called {name}"))?,
            listen: listen.parse()?,
            seed: seed.parse()?,
            sabotage: Sabotage::named(sabotage),
        })
    }

    /// The same request is met in the same way, whenever it comes.
    fn answer(&self, seen: &Seen) -> Answer {
        if let Some(wrong) = self.objection(seen) {
            return Answer::status(400).body(json!({"error": {"message": wrong, "type": "soak"}}));
        }
        let Some(order) = Order::find(&seen.body) else {
            return Answer::status(400).body(json!({"error": {"message": "no order in it", "type": "soak"}}));
        };
        if order.is_plain() {
            return Answer::healthy().text(order.text());
        }
        let name = self
            .member
            .name
            .bytes()
            .fold(0, |sum, byte| sum * 31 + u64::from(byte));
        let mut dice = dice::of(&[self.seed, name, order.nonce]);
        match self.sabotage {
            Some(sabotage) if dice.u32(0..Sabotage::ONE_IN) == 0 => sabotage.lie(order),
            _ => {
                let [key, _] = self.member.keys();
                faults::answer(order, self.member.api, &key, &mut dice)
            }
        }
    }

    /// A request must come with this backend's key, and without any of the client's.
    fn objection(&self, seen: &Seen) -> Option<&'static str> {
        let shown = [seen.header("authorization"), seen.header("x-api-key")];
        let keys = self.member.keys();
        let own = |value: &str| keys.iter().any(|key| value.trim_start_matches("Bearer ") == key);
        if !shown.into_iter().flatten().any(own) {
            return Some("it came with the key of somebody else");
        }
        let mut values = seen.headers.iter().map(|(_, value)| value);
        values
            .any(|value| value.contains(CLIENT_KEY))
            .then_some("it came with the key of the client")
    }
}

/// Serves until it is killed, or until whoever started it is gone.
pub(crate) fn run(words: &[String]) -> Result<()> {
    let part = Part::parse(words)?;
    std::thread::spawn(|| {
        // The pipe ends with the process at its other end.
        let _gone = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(part))
}

async fn serve(part: Part) -> Result<()> {
    let mut dice = dice::of(&[part.seed, 0x1d1e]);
    let sim = Sim::start_on(part.listen, part.member.speaks()).await?;
    sim.forget().script(move |seen| part.answer(seen));
    loop {
        tokio::time::sleep(Duration::from_millis(dice.u64(50..800))).await;
        sim.close_idle().await;
    }
}
