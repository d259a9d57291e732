//! Quick hashes: one for keys that nobody outside can choose, and one, with a key drawn at random, for those of clients.
//!
//! Identities come out of a hash keyed at random (`base::identity`), and names of a config are its writer's: nobody can
//! have two of them meet. The standard hasher would cost every request four times what this does.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

pub use foldhash::quality::FixedState as Drawn;

/// Builds [`Mixer`]s.
pub type Mixing = BuildHasherDefault<Mixer>;

/// Mixes identities and small numbers into one.
#[derive(Debug, Default)]
pub struct Mixer(u64);

/// Another hash each time, by a key out of the system's randomness: for addresses, which clients choose. It is no match for
/// whoever could measure for hours which of them meet; what they would slow down are tables that are bounded.
pub fn drawn() -> Drawn {
    // What std's hasher makes of nothing is its key, hashed.
    Drawn::with_seed(RandomState::new().build_hasher().finish())
}

/// An odd number without a pattern: the golden ratio's fraction in 64 bits.
const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        for byte in rest {
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
