//! Numbers and spans from a seed, so that a run can be repeated (SplitMix64; Steele, Lea, Flood 2014).

use std::time::Duration;

/// The same seed gives the same numbers.
#[derive(Debug, Clone)]
pub struct Chance(u64);

impl Chance {
    /// From this seed.
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// One of `0..most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % most
    }

    /// A span shorter than `most`.
    pub fn span_below(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros() as u64))
    }
}

/// A number that a longer run may set by this variable of the environment.
///
/// # Panics
/// When what is set is no number.
pub fn rounds(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).map_or(usual, |number| number.parse().unwrap_or_else(|_| panic!("{variable}={number}")))
}
