//! What happens around the requests: configs change, backends die and come back.

use std::time::Duration;

use anyhow::Result;
use fastrand::Rng;

use super::caller::World;
use super::crew::Crew;
use super::dice;
use super::proxy::Proxy;
use super::roster::{BACKENDS, Variant};

/// How often it happened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reloads {
    pub(super) taken: u64,
    pub(super) refused: u64,
}

/// Reloads every few seconds, one in four times a broken config; in the end everything is there again.
pub(super) fn reload(proxy: &Proxy, world: &World) -> Result<Reloads> {
    let mut dice = dice::of(&[world.seed, 0x0e10]);
    let mut reloads = Reloads::default();
    while world.sleep(Duration::from_millis(dice.u64(500..4000))) {
        let variant = variant(&mut dice);
        proxy.reload(variant)?;
        reloads.taken += u64::from(!variant.broken);
        reloads.refused += u64::from(variant.broken);
    }
    proxy.reload(Variant::CALM)?;
    reloads.taken += 1;
    Ok(reloads)
}

fn variant(dice: &mut Rng) -> Variant {
    let pick = |dice: &mut Rng, choices: &[u32]| dice.choice(choices).copied().unwrap_or(1000);
    Variant {
        places: pick(dice, &[60, 150, 1000, 1000]),
        full: pick(dice, &[40, 80, 1000, 1000]),
        without: dice
            .bool()
            .then(|| dice.choice(&BACKENDS).map(|member| member.name))
            .flatten(),
        broken: dice.u8(0..4) == 0,
    }
}

/// Kills a backend every few seconds and starts it again.
pub(super) fn restart(crew: &mut Crew, world: &World) -> Result<u64> {
    let mut dice = dice::of(&[world.seed, 0x4e57]);
    let mut restarts = 0;
    while world.sleep(Duration::from_millis(dice.u64(500..5000))) {
        let (index, pause) = (dice.usize(0..crew.len()), dice.u64(0..1500));
        crew.restart(index, Duration::from_millis(pause))?;
        restarts += 1;
    }
    Ok(restarts)
}
