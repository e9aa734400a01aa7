//! Sums that are exact, whatever the order in which numbers come and go.
//!
//! Whole numbers are added up in 128 bits; others in a fixed-point number that is wide enough for every 64-bit float,
//! so that taking a number away leaves what was there before. It is rounded once, when it is read.

use tripline_event::Value;

use super::keep::Keep;

/// Bits in a limb; limbs are signed, so that carries can wait.
const BITS: i32 = 32;
/// 2^-1074 is the least float, 2^1023 the greatest power; and room for 2^64 of them.
const LIMBS: usize = 70;
/// The least exponent.
const LEAST: i32 = -1074;
/// How many additions a limb takes before carries must be moved on.
const PATIENCE: u32 = 1 << 29;

/// A sum.
#[derive(Clone, Debug, Default)]
pub struct Exact {
    whole: i128,
    parts: Option<Box<Parts>>,
}

#[derive(Clone, Debug)]
struct Parts {
    limbs: [i64; LIMBS],
    waiting: u32,
}

impl Exact {
    /// Adds a whole number, or takes it away.
    pub fn int(&mut self, n: i128, add: bool) {
        self.whole = if add { self.whole.wrapping_add(n) } else { self.whole.wrapping_sub(n) };
    }

    /// Adds a float, or takes it away. What is not finite counts as nothing.
    pub fn float(&mut self, x: f64, add: bool) {
        if !x.is_finite() || x == 0.0 {
            return;
        }
        self.parts.get_or_insert_with(|| Box::new(Parts { limbs: [0; LIMBS], waiting: 0 })).add(x, add);
    }

    /// Adds a value that is a number.
    pub fn value(&mut self, value: &Value<'_>) {
        match value {
            Value::Int(n) | Value::Time(n) | Value::Duration(n) => self.int(i128::from(*n), true),
            Value::Float(x) => self.float(*x, true),
            _ => {}
        }
    }

    /// Adds the square of a value that is a number.
    pub fn value_squared(&mut self, value: &Value<'_>) {
        match value {
            Value::Int(n) | Value::Time(n) | Value::Duration(n) => self.int(i128::from(*n) * i128::from(*n), true),
            Value::Float(x) => self.square(*x, true),
            _ => {}
        }
    }

    /// Adds the square of a float, or takes it away.
    pub fn square(&mut self, x: f64, add: bool) {
        let square = x * x;
        self.float(square, add);
        self.float(x.mul_add(x, -square), add);
    }

    /// Adds another sum.
    pub fn add(&mut self, other: &Exact) {
        self.int(other.whole, true);
        if let Some(parts) = &other.parts {
            let mine = self.parts.get_or_insert_with(|| Box::new(Parts { limbs: [0; LIMBS], waiting: 0 }));
            let mut theirs = (**parts).clone();
            theirs.settle();
            mine.settle();
            for (to, from) in mine.limbs.iter_mut().zip(theirs.limbs) {
                *to += from;
            }
            mine.waiting = 1;
        }
    }

    /// The sum of the whole numbers, where it fits.
    pub fn as_int(&self) -> Option<i64> {
        i64::try_from(self.whole).ok()
    }

    /// The sum as the nearest float, and what is left of it as another.
    pub fn read(&self) -> (f64, f64) {
        let mut parts = self.parts();
        let high = parts.round(1);
        parts.add(high, false);
        (high, parts.round(1))
    }

    /// The mean of so many numbers: their sum by their count, rounded once. Not a number where there are none.
    pub fn mean(&self, n: u64) -> f64 {
        if n == 0 { f64::NAN } else { self.parts().round(n) }
    }

    /// All of it in fixed point.
    fn parts(&self) -> Parts {
        let mut parts = match &self.parts {
            Some(parts) => (**parts).clone(),
            None => Parts { limbs: [0; LIMBS], waiting: 0 },
        };
        // In pieces that a float holds exactly.
        let mut rest = self.whole;
        let mut scale = 1.0;
        while rest != 0 {
            let piece = (rest % (1 << 32)) as f64;
            parts.add(piece * scale, true);
            rest /= 1 << 32;
            scale *= 4_294_967_296.0;
        }
        parts
    }

    /// The sum as the nearest float.
    pub fn float_value(&self) -> f64 {
        self.read().0
    }
}

impl Parts {
    fn add(&mut self, x: f64, add: bool) {
        if !x.is_finite() || x == 0.0 {
            return;
        }
        let bits = x.to_bits();
        let raw = i32::try_from(bits >> 52 & 0x7ff).unwrap_or(0);
        let fraction = bits & 0x000f_ffff_ffff_ffff;
        // A float is mantissa * 2^exponent.
        let (mantissa, exponent) = if raw == 0 { (fraction, LEAST) } else { (fraction | 1 << 52, raw - 1075) };
        let place = exponent - LEAST;
        let (limb, shift) = (usize::try_from(place / BITS).unwrap_or(0), place % BITS);
        let wide = u128::from(mantissa) << shift;
        let up = (bits >> 63 == 0) == add;
        for (n, slot) in self.limbs.iter_mut().skip(limb).take(3).enumerate() {
            let piece = i64::try_from(wide >> (32 * n) & 0xffff_ffff).unwrap_or(0);
            *slot += if up { piece } else { -piece };
        }
        self.waiting += 1;
        if self.waiting >= PATIENCE {
            self.settle();
        }
    }

    /// Moves carries on: each limb but the last is then between 0 and 2^32.
    fn settle(&mut self) {
        let mut carry = 0;
        let last = self.limbs.len() - 1;
        for (n, limb) in self.limbs.iter_mut().enumerate() {
            let sum = *limb + carry;
            if n == last {
                *limb = sum;
            } else {
                *limb = sum & 0xffff_ffff;
                carry = sum >> BITS;
            }
        }
        self.waiting = 0;
    }

    /// The float nearest to it by `over`, which is not 0; of two, the even one.
    fn round(&self, over: u64) -> f64 {
        let mut settled = self.clone();
        settled.settle();
        let negative = settled.limbs.last().is_some_and(|last| *last < 0);
        if negative {
            for limb in &mut settled.limbs {
                *limb = -*limb;
            }
            settled.settle();
        }
        let mut left: u128 = 0;
        for limb in settled.limbs.iter_mut().rev() {
            let whole = left << BITS | u128::from(limb.unsigned_abs());
            *limb = i64::try_from(whole / u128::from(over)).unwrap_or(i64::MAX);
            left = whole % u128::from(over);
        }
        let Some(top) = settled.limbs.iter().rposition(|limb| *limb != 0) else {
            let least = if left * 2 > u128::from(over) { f64::from_bits(1) } else { 0.0 };
            return if negative { -least } else { least };
        };
        // The four highest limbs hold more than a mantissa; of those below, only whether there is anything.
        let mut wide: u128 = 0;
        for n in 0..4 {
            let limb = top.checked_sub(n).and_then(|at| settled.limbs.get(at)).copied().unwrap_or(0);
            wide = wide << 32 | u128::from(limb.unsigned_abs());
        }
        let below = top.saturating_sub(3);
        let sticky = left != 0 || settled.limbs.iter().take(below).any(|limb| *limb != 0);
        let exponent = (i32::try_from(top).unwrap_or(0) - 3) * BITS + LEAST;
        let width = 128 - i32::try_from(wide.leading_zeros()).unwrap_or(0);
        // A float keeps 53 bits, fewer near the least one.
        let keep = (width + exponent - LEAST).min(53);
        let drop = width - keep;
        let mut mantissa = if drop > 0 { wide >> drop } else { wide };
        if drop > 0 {
            let half = 1u128 << (drop - 1);
            let lost = wide & ((1u128 << drop) - 1);
            if lost > half || (lost == half && (sticky || mantissa & 1 == 1)) {
                mantissa += 1;
            }
        } else if left * 2 > u128::from(over) || (left * 2 == u128::from(over) && mantissa & 1 == 1) {
            // Near the least float nothing is dropped but what the division left.
            mantissa += 1;
        }
        let value = scaled(mantissa as f64, exponent + drop.max(0));
        if negative { -value } else { value }
    }
}

/// `x * 2^exponent`, in steps that are exact.
fn scaled(mut x: f64, mut exponent: i32) -> f64 {
    while exponent > 1000 {
        x *= 2f64.powi(1000);
        exponent -= 1000;
    }
    while exponent < -1000 {
        // Exact as long as the result is: what is below the least float was rounded away before.
        x *= 2f64.powi(-1000);
        exponent += 1000;
        if exponent >= -1000 {
            break;
        }
    }
    x * 2f64.powi(exponent)
}

impl Keep for Exact {
    fn put(&self, out: &mut Vec<u8>) {
        self.whole.put(out);
        // Most limbs of most sums are zero.
        let parts = self.parts.as_ref().map(|parts| {
            let mut settled = (**parts).clone();
            settled.settle();
            let limbs = settled.limbs.iter().enumerate().filter(|(_, limb)| **limb != 0);
            limbs.map(|(at, limb)| (at, *limb)).collect::<Vec<(usize, i64)>>()
        });
        parts.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let whole = i128::get(from)?;
        let parts = match Option::<Vec<(usize, i64)>>::get(from)? {
            None => None,
            Some(limbs) => {
                let mut parts = Parts { limbs: [0; LIMBS], waiting: 0 };
                for (at, limb) in limbs {
                    let in_place = (0..=0xffff_ffff).contains(&limb) || at + 1 == LIMBS;
                    *parts.limbs.get_mut(at).filter(|_| in_place && limb.abs() < 1 << 60)? = limb;
                }
                Some(Box::new(parts))
            }
        };
        Some(Exact { whole, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::Exact;

    fn sum(numbers: &[f64]) -> f64 {
        let mut exact = Exact::default();
        numbers.iter().for_each(|x| exact.float(*x, true));
        exact.float_value()
    }

    #[test]
    fn sums_are_rounded_once() {
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e308, 1.0, -1e308]), 1.0);
        assert_eq!(sum(&[1e16, 1.0, 1.0]), 1e16 + 2.0);
        assert_eq!(sum(&[f64::MIN_POSITIVE / 4.0, f64::MIN_POSITIVE / 4.0]), f64::MIN_POSITIVE / 2.0);
        assert_eq!(sum(&[-0.5, -0.25]), -0.75);
        assert_eq!(sum(&[f64::MAX, -f64::MAX]), 0.0);
    }

    #[test]
    fn a_mean_is_rounded_once() {
        let mean = |numbers: &[f64]| {
            let mut exact = Exact::default();
            numbers.iter().for_each(|x| exact.float(*x, true));
            exact.mean(numbers.len() as u64)
        };
        // Just beyond the middle between two floats, which a mean of the rounded sum would not see.
        assert_eq!(mean(&[1e16, 0.1, 0.1, 3.0, 1.0, 1.0, 0.0, 0.0]), 1_250_000_000_000_000.8);
        assert_eq!(mean(&[0.1, 0.2, 0.3]), 0.2);
        assert_eq!(mean(&[-1.0, -2.0]), -1.5);
        assert_eq!(mean(&[f64::MAX, f64::MAX]), f64::MAX);
        let least = f64::from_bits(1);
        assert_eq!((mean(&[least, 0.0]), mean(&[least, least, 0.0])), (0.0, least));
    }

    #[test]
    fn what_is_taken_away_leaves_nothing() {
        let mut exact = Exact::default();
        let numbers = [0.1, 1e300, -7.25, 3e-310, 123_456_789.123];
        numbers.iter().for_each(|x| exact.float(*x, true));
        numbers.iter().rev().for_each(|x| exact.float(*x, false));
        assert_eq!(exact.read(), (0.0, 0.0));
    }

    #[test]
    fn whole_numbers_stay_whole() {
        let mut exact = Exact::default();
        exact.int(i128::from(i64::MAX), true);
        exact.int(-1, true);
        assert_eq!(exact.as_int(), Some(i64::MAX - 1));
        exact.int(5, true);
        assert_eq!(exact.as_int(), None);
        assert_eq!(exact.float_value(), 9_223_372_036_854_775_811.0);
        exact.float(0.5, true);
        assert_eq!(exact.read(), (9_223_372_036_854_775_808.0, 3.5));
        let mut less = Exact::default();
        less.int(-(1i128 << 70) - 3, true);
        assert_eq!(less.read(), (-(2f64.powi(70)), -3.0));
    }
}
