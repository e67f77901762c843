//! Random numbers that are a pure function of where they are used.
//!
//! A [`Draws`] is named by a seed and a stream number (usually a tick), so the draws of any
//! container at any tick can be made without making the ones before it.
//!
//! Not here: what is drawn (`life`, `usage`, `service`).

/// The finaliser of splitmix64: every input bit changes about half of the output bits.
pub(crate) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// The seed of part `part` of the thing seeded with `seed`.
pub(crate) fn child(seed: u64, part: u64) -> u64 {
    mix(seed ^ mix(part.wrapping_add(0x9E37_79B9_7F4A_7C15)))
}

/// Standard normal made from the four 16-bit halves of one word (Irwin-Hall): bounded by
/// about 3.46, which is what a made-up load wants.
pub(crate) fn normal_of(word: u64) -> f64 {
    let sum = (word & 0xFFFF) + ((word >> 16) & 0xFFFF) + ((word >> 32) & 0xFFFF) + (word >> 48);
    (sum as f64 / 65_536.0 - 2.0) * 1.732_050_807_568_877_2
}

/// A sequence of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Draws(u64);

impl Draws {
    /// The sequence of `seed` for `stream`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self(child(seed, stream))
    }

    /// The next 64 bits.
    pub(crate) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Evenly in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / 9_007_199_254_740_992.0
    }

    /// Evenly in `[low, high)`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low)
    }

    /// A whole number evenly in `[0, n)`; 0 when `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.word()) * u128::from(n)) >> 64) as u64
    }

    /// Milliseconds evenly in `[low, high)`.
    pub(crate) fn ms(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low).max(0) as u64) as i64
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Standard normal, see [`normal_of`].
    pub(crate) fn normal(&mut self) -> f64 {
        normal_of(self.word())
    }

    /// Exponential with that mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.unit()).ln() * mean
    }

    /// `e` to the power of a normal with that mean and deviation.
    pub(crate) fn lognormal(&mut self, mean: f64, deviation: f64) -> f64 {
        (mean + deviation * self.normal()).exp()
    }

    /// How many of many rare things happened when `mean` are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> i64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean > 12.0 {
            return (mean + mean.sqrt() * self.normal()).max(0.0).round() as i64;
        }
        let floor = (-mean).exp();
        let (mut product, mut count) = (self.unit(), 0);
        while product > floor && count < 60 {
            product *= self.unit();
            count += 1;
        }
        count
    }
}
