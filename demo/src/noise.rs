//! Chance that repeats: smooth noise that is a pure function of seed, stream and time.

/// Periods of the eddies that make up turbulence, in seconds, each twice the one before.
const EDDIES_S: [f64; 8] = [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];
/// Variance of one eddy of weight 1: uniform on [-1, 1] is 1/3, and smoothstep between
/// independent neighbours keeps 26/35 of it on average.
const EDDY_VARIANCE: f64 = 26.0 / 35.0 / 3.0;

/// Which of the independent signals of one seed is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    Water = 1,
    Surface,
    Voltage,
    Frequency,
    Load,
    VibrationX,
    VibrationZ,
    Story,
    Faults,
}

/// The source of all chance of one virtual site.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    seed: u64,
}

impl Noise {
    /// The same seed gives the same values for ever.
    pub fn new(seed: u64) -> Noise {
        Noise { seed }
    }

    /// A signal in [-1, 1] that wanders from one value to the next within `period_s` seconds.
    pub fn wander(&self, stream: Stream, period_s: f64, time_s: f64) -> f64 {
        let position = time_s / period_s;
        let step = position.floor();
        let phase = position - step;
        let blend = phase * phase * (3.0 - 2.0 * phase);
        let (from, to) = (self.uniform(stream, period_s, step), self.uniform(stream, period_s, step + 1.0));
        from + (to - from) * blend
    }

    /// Turbulence of mean 0 and standard deviation 1 when `shortest_s` is 2 or less; a larger one
    /// leaves out the shorter eddies, as an averaging instrument or a large rotor does.
    ///
    /// The eddies' amplitudes grow with the cube root of their period: Kolmogorov's -5/3
    /// spectrum, in octaves.
    pub fn turbulence(&self, stream: Stream, shortest_s: f64, time_s: f64) -> f64 {
        let weight = |period_s: f64| period_s.cbrt();
        let variance: f64 = EDDIES_S.iter().map(|&period_s| weight(period_s).powi(2) * EDDY_VARIANCE).sum();
        let sum: f64 = EDDIES_S
            .iter()
            .filter(|&&period_s| period_s >= shortest_s)
            .map(|&period_s| weight(period_s) * self.wander(stream, period_s, time_s))
            .sum();
        sum / variance.sqrt()
    }

    /// Uniform on [-1, 1].
    fn uniform(&self, stream: Stream, period_s: f64, step: f64) -> f64 {
        let bits = self.bits(stream, [period_s.to_bits(), step.to_bits()]);
        (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }

    /// 64 bits of chance for these words, by SplitMix64 (Steele, Lea, Flood 2014).
    pub fn bits(&self, stream: Stream, words: impl IntoIterator<Item = u64>) -> u64 {
        std::iter::once(stream as u64).chain(words).fold(self.seed, |bits, word| mix(bits ^ word))
    }
}

fn mix(word: u64) -> u64 {
    let mut z = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(shortest_s: f64) -> (f64, f64) {
        let noise = Noise::new(7);
        let values: Vec<f64> =
            (0..40_000).map(|i| noise.turbulence(Stream::Water, shortest_s, f64::from(i) * 1.7)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn turbulence_has_mean_zero_and_deviation_one() {
        let (mean, deviation) = mean_and_deviation(1.0);
        assert!(mean.abs() < 0.15 && (deviation - 1.0).abs() < 0.1, "{mean} ± {deviation}");
    }

    #[test]
    fn averaging_takes_the_short_eddies_away() {
        let (_, all) = mean_and_deviation(1.0);
        let (_, slow) = mean_and_deviation(32.0);
        assert!(slow < 0.95 * all && slow > 0.5 * all, "{slow} of {all}");
    }

    #[test]
    fn seed_and_stream_decide_the_values() {
        let at = |seed, stream| Noise::new(seed).turbulence(stream, 1.0, 1234.5);
        assert_eq!(at(1, Stream::Water), at(1, Stream::Water));
        assert_ne!(at(1, Stream::Water), at(2, Stream::Water));
        assert_ne!(at(1, Stream::Water), at(1, Stream::Surface));
    }

    #[test]
    fn the_signal_has_no_steps() {
        let noise = Noise::new(3);
        for i in 0..2_000 {
            let time_s = f64::from(i) * 0.1;
            let step =
                noise.turbulence(Stream::Water, 1.0, time_s + 0.01) - noise.turbulence(Stream::Water, 1.0, time_s);
            assert!(step.abs() < 0.05, "{step} at {time_s}");
        }
    }
}
