//! Seeded chance. Every person, day and scenario has its own stream, so that adding one changes no other.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A record, session, device or application id.
pub(crate) type Guid = u128;

/// A stream of random choices; integers only, so that every machine makes the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The stream of these numbers, such as seed, purpose, person, day.
    pub(crate) fn of(numbers: [u64; 4]) -> Self {
        let mut seed = [0; 32];
        for (bytes, number) in seed.chunks_exact_mut(8).zip(numbers) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// 0 to `bound` - 1; 0 for a bound of 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The bias of a multiply-shift over 64 bits is far below anything that the evidence could show.
        let wide = u128::from(self.0.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// `low` to `high`, both included.
    pub(crate) fn within(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.below(span))
    }

    /// Whether something happens that happens so many times in a thousand.
    pub(crate) fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of these.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(items.len() as u64)).expect("an index fits");
        &items[index]
    }

    /// A random (version 4) id.
    pub(crate) fn guid(&mut self) -> Guid {
        let bits = (u128::from(self.0.next_u64()) << 64) | u128::from(self.0.next_u64());
        (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
    }

    /// Mixes the order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            let other = usize::try_from(self.below(end as u64 + 1)).expect("an index fits");
            items.swap(end, other);
        }
    }
}

/// A fixed number from others, for what must be found again without being remembered (message ids, sessions).
pub(crate) fn mix(numbers: [u64; 3]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in numbers {
        state = (state ^ number).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 29;
        state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 32;
    }
    state
}

/// [`mix`] as an id.
pub(crate) fn mixed_guid(numbers: [u64; 3]) -> Guid {
    let high = mix(numbers);
    let low = mix([high, numbers[0], numbers[2]]);
    let bits = (u128::from(high) << 64) | u128::from(low);
    (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_streams_differ() {
        let mut dice = Dice::of([1, 2, 3, 4]);
        for _ in 0..1000 {
            assert!(dice.below(7) < 7);
            assert!((-3..=3).contains(&dice.within(-3, 3)));
        }
        assert_eq!(dice.below(0), 0);
        assert_ne!(Dice::of([1, 0, 0, 0]).guid(), Dice::of([1, 0, 0, 1]).guid());
        assert_eq!(Dice::of([9, 0, 0, 0]).guid() >> 76 & 0xf, 4);
    }
}
