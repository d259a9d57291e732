//! The order of a backend's keys: each request starts one further.

/// The indexes of `keys` keys, starting where `turn` points. `turn` may grow without end.
pub fn rotate(keys: usize, turn: u64) -> impl Iterator<Item = usize> {
    let count = u64::try_from(keys).unwrap_or(u64::MAX).max(1);
    let start = usize::try_from(turn % count).unwrap_or_default();
    (start..keys).chain(0..start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turn_starts_one_further_and_names_every_key_once() {
        for (keys, turn, expected) in [
            (3, 0, vec![0, 1, 2]),
            (3, 1, vec![1, 2, 0]),
            (3, 5, vec![2, 0, 1]),
            (1, u64::MAX, vec![0]),
            (0, 7, vec![]),
        ] {
            assert_eq!(
                rotate(keys, turn).collect::<Vec<_>>(),
                expected,
                "{keys} keys, turn {turn}"
            );
        }
    }
}
