//! Identities: short names of things whose state must be found again, in this process and after a reload.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// The identity of a thing that these parts make up. Equal parts have equal identities for as long as the program
/// runs; the hash is keyed at random, so that nobody outside can make two things meet.
pub fn identity(parts: &[&[u8]]) -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    let mut hasher = KEY.get_or_init(RandomState::new).build_hasher();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn equal_parts_are_one_thing_and_other_cuts_are_another() {
        assert_eq!(identity(&[b"a", b"b"]), identity(&[b"a", b"b"]));
        assert_ne!(identity(&[b"a", b"b"]), identity(&[b"ab"]));
        assert_ne!(identity(&[b"a", b"b"]), identity(&[b"", b"ab"]));
    }
}
