//! The cooldown of one scope: in use, out until a time, due for a probe, being probed, warming up.
//!
//! A scope that went out comes back by one success of a probe, never by time alone. Trips that follow one another
//! make it stay out longer; health takes them off again, one for each two cooldowns' length of it.

use std::time::{Duration, Instant};

use super::reset::LONGEST;
use crate::base::Class;

/// How long a recovered scope takes to get its full share back.
const WARM_UP: Duration = Duration::from_secs(10);
/// The share that it starts with.
const FIRST_SHARE: f32 = 0.1;

/// Where a scope stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    In { share: f32 },
    Due,
    Probing { class: Class },
    Cooling { until: Instant, class: Class },
}

#[derive(Clone, Debug)]
pub(super) struct Cooldown {
    phase: Phase,
    /// Trips that followed one another.
    times: u32,
    /// How long the last one lasted.
    length: Duration,
}

#[derive(Clone, Debug)]
enum Phase {
    In {
        recovered: Option<Instant>,
    },
    Out {
        until: Instant,
        class: Class,
        probe: Option<Lease>,
    },
}

/// The right to probe, with the time at which it lapses if nobody gives it back.
#[derive(Clone, Debug)]
struct Lease {
    token: u64,
    until: Instant,
}

impl Cooldown {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::In { recovered: None },
            times: 0,
            length: Duration::ZERO,
        }
    }

    pub(super) fn stage(&self, now: Instant) -> Stage {
        match &self.phase {
            Phase::In { recovered } => Stage::In {
                share: share(*recovered, now),
            },
            Phase::Out { until, class, .. } if now < *until => Stage::Cooling {
                until: *until,
                class: *class,
            },
            Phase::Out { class, .. } if self.is_probed(now) => Stage::Probing { class: *class },
            Phase::Out { .. } => Stage::Due,
        }
    }

    pub(super) fn is_out(&self) -> bool {
        matches!(self.phase, Phase::Out { .. })
    }

    /// Since when and for what it is out: the end, the class, how many times in a row.
    pub(super) fn out(&self) -> Option<(Instant, Class, u32)> {
        match self.phase {
            Phase::Out { until, class, .. } => Some((until, class, self.times)),
            Phase::In { .. } => None,
        }
    }

    /// Whether a probe is under way.
    pub(super) fn is_probed(&self, now: Instant) -> bool {
        matches!(&self.phase, Phase::Out { probe: Some(lease), .. } if now < lease.until)
    }

    /// Gives the probe to `token`; nothing to do where the scope is in use.
    pub(super) fn lend(&mut self, token: u64, until: Instant) {
        if let Phase::Out { probe, .. } = &mut self.phase {
            *probe = Some(Lease { token, until });
        }
    }

    pub(super) fn is_lent_to(&self, token: u64) -> bool {
        matches!(&self.phase, Phase::Out { probe: Some(lease), .. } if lease.token == token)
    }

    /// Takes the probe back without a verdict.
    pub(super) fn take_back(&mut self, token: u64) {
        if self.is_lent_to(token)
            && let Phase::Out { probe, .. } = &mut self.phase
        {
            *probe = None;
        }
    }

    /// The probe of `token` found it well.
    pub(super) fn recover(&mut self, token: u64, now: Instant) {
        if self.is_lent_to(token) {
            self.phase = Phase::In { recovered: Some(now) };
        }
    }

    /// One more trip: out for what `length` says for the number of trips in a row, never shorter than it already is.
    pub(super) fn trip(&mut self, class: Class, now: Instant, length: impl FnOnce(u32) -> Duration) {
        self.times = self.trips(now).saturating_add(1);
        self.length = length(self.times).min(LONGEST);
        self.stay_out(class, now + self.length, None);
    }

    /// A late word about a scope that is out: not a further trip, but it may stay out longer for it.
    pub(super) fn extend(&mut self, class: Class, now: Instant, length: impl FnOnce(u32) -> Duration) {
        let until = now + length(self.times).min(LONGEST);
        if let Phase::Out {
            until: current,
            probe,
            ..
        } = &mut self.phase
            && *current < until
        {
            let probe = probe.take();
            self.stay_out(class, until, probe);
        }
    }

    fn stay_out(&mut self, class: Class, until: Instant, probe: Option<Lease>) {
        let until = self.out().map_or(until, |(current, ..)| current.max(until));
        self.phase = Phase::Out { until, class, probe };
    }

    /// Trips in a row that still count.
    fn trips(&self, now: Instant) -> u32 {
        let Phase::In { recovered } = self.phase else {
            return self.times;
        };
        let healthy = recovered.map_or(Duration::MAX, |since| now.saturating_duration_since(since));
        let each = (self.length * 2).max(Duration::from_millis(1));
        let forgiven = u32::try_from(healthy.as_nanos() / each.as_nanos()).unwrap_or(u32::MAX);
        self.times.saturating_sub(forgiven)
    }
}

/// The share of its weight that a scope gets so long after its recovery.
fn share(recovered: Option<Instant>, now: Instant) -> f32 {
    recovered.map_or(1.0, |since| {
        let warm = now.saturating_duration_since(since).as_secs_f32() / WARM_UP.as_secs_f32();
        (FIRST_SHARE + (1.0 - FIRST_SHARE) * warm).min(1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    const SECOND: Duration = Duration::from_secs(1);

    fn doubling(times: u32) -> Duration {
        SECOND * (1 << (times - 1))
    }

    #[test]
    fn it_comes_back_by_a_probe_and_not_by_time_alone() {
        let now = clock::now();
        let mut cooldown = Cooldown::new();
        assert_eq!(cooldown.stage(now), Stage::In { share: 1.0 });
        cooldown.trip(Class::Server, now, doubling);
        assert_eq!(
            cooldown.stage(now),
            Stage::Cooling {
                until: now + SECOND,
                class: Class::Server
            }
        );
        let late = now + SECOND * 3600;
        assert_eq!(cooldown.stage(late), Stage::Due);
        cooldown.lend(7, late + SECOND);
        let probing = Stage::Probing { class: Class::Server };
        assert_eq!(cooldown.stage(late), probing);
        cooldown.recover(8, late);
        assert_eq!(cooldown.stage(late), probing, "that was somebody else's");
        cooldown.recover(7, late);
        assert_eq!(cooldown.stage(late), Stage::In { share: FIRST_SHARE });
        let Stage::In { share } = cooldown.stage(late + SECOND * 5) else {
            panic!("it recovered");
        };
        assert!((0.54..0.56).contains(&share), "half-way from a tenth: {share}");
        assert_eq!(cooldown.stage(late + WARM_UP), Stage::In { share: 1.0 });
        assert_eq!(cooldown.stage(late + WARM_UP * 2), Stage::In { share: 1.0 });
    }

    #[test]
    fn a_lease_that_nobody_gives_back_lapses() {
        let now = clock::now();
        let mut cooldown = Cooldown::new();
        cooldown.trip(Class::Server, now, |_| Duration::ZERO);
        cooldown.lend(7, now + SECOND);
        assert_eq!(cooldown.stage(now + SECOND), Stage::Due);
    }

    #[test]
    fn trips_in_a_row_add_up_and_health_takes_them_off() {
        let mut now = clock::now();
        let mut cooldown = Cooldown::new();
        for times in 1..=3 {
            cooldown.trip(Class::Server, now, doubling);
            assert_eq!(cooldown.out().unwrap().2, times);
            now += SECOND * 60;
        }
        cooldown.lend(1, now + SECOND);
        cooldown.recover(1, now);
        // The last length was 4 s: 8 s of health take one trip off.
        now += SECOND * 9;
        cooldown.trip(Class::Server, now, doubling);
        assert_eq!(cooldown.out().unwrap().2, 3);
    }

    #[test]
    fn a_late_word_lengthens_and_never_shortens() {
        let now = clock::now();
        let mut cooldown = Cooldown::new();
        cooldown.trip(Class::Rate, now, |_| SECOND * 10);
        cooldown.extend(Class::Rate, now, |_| SECOND);
        assert_eq!(cooldown.out(), Some((now + SECOND * 10, Class::Rate, 1)));
        cooldown.extend(Class::Quota, now, |_| SECOND * 10);
        assert_eq!(
            cooldown.out(),
            Some((now + SECOND * 10, Class::Rate, 1)),
            "the first word for the same time stays"
        );
        cooldown.extend(Class::Quota, now, |_| SECOND * 30);
        assert_eq!(
            cooldown.out(),
            Some((now + SECOND * 30, Class::Quota, 1)),
            "no further trip"
        );
    }
}
