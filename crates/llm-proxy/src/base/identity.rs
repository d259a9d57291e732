//! Identities: short names of things whose state must be found again, in this process and after a reload.

use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// The identity of a thing that these parts make up. Equal parts have equal identities for as long as the program
/// runs; the hash is keyed at random, so that nobody outside can make two things meet.
pub fn identity(parts: &[&[u8]]) -> u64 {
    let mut made = Identity::default();
    for part in parts {
        made.part(part);
    }
    made.done()
}

/// An identity in the making, for a thing whose parts come one after the other.
#[derive(Clone, Debug)]
pub struct Identity(DefaultHasher);

impl Default for Identity {
    fn default() -> Self {
        static KEY: OnceLock<RandomState> = OnceLock::new();
        Self(KEY.get_or_init(RandomState::new).build_hasher())
    }
}

impl Identity {
    /// Adds a part.
    pub fn part(&mut self, part: &[u8]) {
        self.0.write_usize(part.len());
        self.0.write(part);
    }

    /// The identity of all the parts so far.
    pub fn done(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_are_one_thing_and_other_cuts_are_another() {
        assert_eq!(identity(&[b"a", b"b"]), identity(&[b"a", b"b"]));
        assert_ne!(identity(&[b"a", b"b"]), identity(&[b"ab"]));
        assert_ne!(identity(&[b"a", b"b"]), identity(&[b"", b"ab"]));
    }

    #[test]
    fn parts_that_come_one_by_one_make_the_same_thing() {
        let mut made = Identity::default();
        made.part(b"a");
        assert_eq!(made.done(), identity(&[b"a"]));
        made.part(b"b");
        assert_eq!(made.done(), identity(&[b"a", b"b"]));
    }
}
