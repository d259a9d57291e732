//! Durations (`500ms`, `30s`, `15m`, `2h`, `1d`) and sizes (`64KiB`, `32MiB`, `1GiB`, `500`), as config and logs write them.

use std::time::Duration;

const DURATIONS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZES: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
    ("", 1),
];

/// Parses a duration: a number, fractions allowed, and one of `ms`, `s`, `m`, `h`, `d`. A lone `0` is zero.
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, factor) = split(text, &DURATIONS)?;
    Duration::try_from_secs_f64(number * factor / 1_000.0).ok()
}

/// Parses a size in bytes: a number and one of `KiB`, `MiB`, `GiB`, `KB`, `MB`, `GB`, `B`, or nothing for bytes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`split` yields no negative number, and a float-to-integer cast saturates"
)]
pub fn size(text: &str) -> Option<u64> {
    let (number, factor) = split(text, &SIZES)?;
    Some((number * factor) as u64)
}

/// The number before the unit, and the unit's factor.
#[expect(clippy::cast_precision_loss, reason = "the factors are far below 2^52")]
fn split(text: &str, units: &[(&str, u64)]) -> Option<(f64, f64)> {
    let text = text.trim();
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(at)?;
    let factor = units.iter().find(|(name, _)| *name == unit.trim())?.1;
    let number: f64 = number.parse().ok()?;
    Some((number, factor as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_as_the_contract_writes_them() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("15m"), Some(Duration::from_mins(15)));
        assert_eq!(duration("0"), Some(Duration::ZERO));
        for bad in ["", "5", "-5s", "5 parsecs", "s", "1e3s", "."] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(size("64MiB"), Some(64 << 20));
        assert_eq!(size("1500"), Some(1500));
        for bad in ["", "x", "-1KiB", "1TiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}
