//! Durations, numbers and names as a narrow column shows them.

use unicode_width::UnicodeWidthChar;

/// `0.4 s`, `12 s`, `3m 20s`, `4h 5m`, `2d 3h`.
pub(super) fn span(seconds: f64) -> String {
    let whole = whole(seconds);
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{}m {}s", whole / 60, whole % 60),
        3600..86_400 => format!("{}h {}m", whole / 3600, whole / 60 % 60),
        _ => format!("{}d {}h", whole / 86_400, whole / 3600 % 24),
    }
}

/// `12 ms`, `1.25 s`, `90 s`.
pub(super) fn took(seconds: f64) -> String {
    match seconds {
        ..0.0095 => format!("{:.1} ms", seconds * 1e3),
        ..0.9995 => format!("{:.0} ms", seconds * 1e3),
        ..9.995 => format!("{seconds:.2} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// `0`, `0.25`, `12.5`, `340`, `1.2k`, `3.4M`.
pub(super) fn count(number: f64) -> String {
    match number {
        ..0.005 => "0".to_owned(),
        ..9.995 => trimmed(&format!("{number:.2}")),
        ..99.95 => trimmed(&format!("{number:.1}")),
        ..9999.5 => format!("{number:.0}"),
        ..999_950.0 => format!("{:.1}k", number / 1e3),
        _ => format!("{:.1}M", number / 1e6),
    }
}

fn trimmed(text: &str) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whole seconds of a time that came as a number; what is no time is 0.
fn whole(seconds: f64) -> u64 {
    let duration = std::time::Duration::try_from_secs_f64(seconds.max(0.0));
    duration.map_or(0, |duration| duration.as_secs())
}

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The text in at most so many columns; the last one tells where something is missing.
pub(super) fn fitted(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut room = columns.saturating_sub(1);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        out.push(c);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_short() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (-3.0, "0 s"),
            (59.9, "59 s"),
            (200.0, "3m 20s"),
            (14_700.0, "4h 5m"),
            (183_600.0, "2d 3h"),
            (f64::NAN, "0 s"),
        ] {
            assert_eq!(span(seconds), text);
        }
        for (seconds, text) in [
            (0.0042, "4.2 ms"),
            (0.42, "420 ms"),
            (1.25, "1.25 s"),
            (90.0, "90 s"),
        ] {
            assert_eq!(took(seconds), text);
        }
        for (number, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (3.0, "3"),
            (12.5, "12.5"),
            (340.4, "340"),
            (12_345.0, "12.3k"),
            (3_400_000.0, "3.4M"),
        ] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn a_text_is_cut_by_columns_and_not_by_bytes() {
        for (text, columns, cut) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("余额不足", 5, "余额…"),
            ("余额不足", 4, "余…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(fitted(text, columns), cut);
            assert!(width(cut) <= columns);
        }
    }
}
