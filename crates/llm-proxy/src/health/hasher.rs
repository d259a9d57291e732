//! A hash for keys that are hashes already.
//!
//! Identities come out of a hash keyed at random (`base::identity`), so nobody outside can choose two that meet; mixing
//! them again with the standard hasher would cost every request four times what this does.

use std::hash::{BuildHasherDefault, Hasher};

/// Builds [`Mixer`]s.
pub(super) type Mixing = BuildHasherDefault<Mixer>;

/// Mixes identities and small numbers into one.
#[derive(Debug, Default)]
pub(super) struct Mixer(u64);

/// An odd number without a pattern: the golden ratio's fraction in 64 bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(23) ^ number).wrapping_mul(ODD);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number.cast_unsigned() as u64);
    }
}
