//! Sums that are exact, rounded once at their end: whole numbers of units of 2^-1074, of which every finite float is a
//! multiple, and a search for the float that is nearest to a quotient of two such numbers.

use std::cmp::Ordering;

/// The smallest float, as a power of two.
const UNIT: usize = 1074;

/// A number of the kind that is added up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
}

impl Number {
    pub fn float(self) -> f64 {
        match self {
            Number::Int(x) => x as f64,
            Number::Float(x) => x,
        }
    }

    fn units(self) -> Signed {
        match self {
            Number::Int(x) => Signed { negative: x < 0, size: Big::of(x.unsigned_abs()).shifted(UNIT) },
            Number::Float(x) => Signed { negative: x < 0.0, size: Big::units(x.abs()) },
        }
    }
}

/// The sum, rounded once.
pub(super) fn sum(numbers: &[Number]) -> f64 {
    mean_of(numbers, 1)
}

/// The mean, rounded once.
pub(super) fn mean(numbers: &[Number]) -> f64 {
    mean_of(numbers, numbers.len() as u64)
}

fn mean_of(numbers: &[Number], by: u64) -> f64 {
    let total = numbers.iter().fold(Signed::default(), |sum, number| sum.plus(&number.units()));
    let size = nearest(&total.size, &Big::of(by), UNIT);
    // Nothing is not less than nothing.
    if total.negative && size > 0.0 { -size } else { size }
}

/// The standard deviation of a whole population: the root of its variance, which is rounded once.
pub(super) fn stddev(numbers: &[Number]) -> f64 {
    let n = Big::of(numbers.len() as u64);
    let total = numbers.iter().fold(Signed::default(), |sum, number| sum.plus(&number.units()));
    let squares = numbers.iter().fold(Big::default(), |sum, number| {
        let size = number.units().size;
        sum.plus(&size.times(&size))
    });
    let spread = n.times(&squares).minus(&total.size.times(&total.size));
    nearest(&spread, &n.times(&n), 2 * UNIT).sqrt()
}

/// The float nearest to `dividend / divisor`, where the dividend counts units of 2^-`unit`; of two that are equally
/// near the even one.
fn nearest(dividend: &Big, divisor: &Big, unit: usize) -> f64 {
    let of = |float: f64| Big::units(float).times(divisor).shifted(unit - UNIT);
    // Floats are ordered as their bits are.
    let (mut low, mut high) = (0u64, f64::MAX.to_bits());
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if of(f64::from_bits(middle)) <= *dividend { low = middle } else { high = middle - 1 }
    }
    let (below, above) = (f64::from_bits(low), f64::from_bits(low + 1));
    if !above.is_finite() {
        return below;
    }
    match dividend.plus(dividend).cmp(&of(below).plus(&of(above))) {
        Ordering::Less => below,
        Ordering::Greater => above,
        Ordering::Equal => {
            if low % 2 == 0 {
                below
            } else {
                above
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Signed {
    negative: bool,
    size: Big,
}

impl Signed {
    fn plus(&self, other: &Signed) -> Signed {
        if self.negative == other.negative {
            return Signed { negative: self.negative, size: self.size.plus(&other.size) };
        }
        let (more, less) = if self.size >= other.size { (self, other) } else { (other, self) };
        Signed { negative: more.negative, size: more.size.minus(&less.size) }
    }
}

/// A whole number of any size, least part first, without zeros at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Big(Vec<u32>);

impl Big {
    fn of(x: u64) -> Big {
        Big(vec![x as u32, (x >> 32) as u32]).trimmed()
    }

    /// A float of no sign, in units of 2^-1074.
    fn units(x: f64) -> Big {
        let bits = x.to_bits();
        let (exponent, fraction) = ((bits >> 52) as usize & 0x7ff, bits & ((1 << 52) - 1));
        if exponent == 0 { Big::of(fraction) } else { Big::of(fraction | 1 << 52).shifted(exponent - 1) }
    }

    fn trimmed(mut self) -> Big {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        self
    }

    fn part(&self, at: usize) -> u64 {
        self.0.get(at).copied().map_or(0, u64::from)
    }

    fn plus(&self, other: &Big) -> Big {
        let mut carry = 0;
        let parts = (0..=self.0.len().max(other.0.len())).map(|at| {
            let sum = self.part(at) + other.part(at) + carry;
            carry = sum >> 32;
            sum as u32
        });
        Big(parts.collect()).trimmed()
    }

    /// The difference; the other is not greater.
    fn minus(&self, other: &Big) -> Big {
        let mut borrow = 0;
        let parts = (0..self.0.len()).map(|at| {
            let (from, take) = (self.part(at), other.part(at) + borrow);
            borrow = u64::from(from < take);
            (from + (borrow << 32) - take) as u32
        });
        Big(parts.collect()).trimmed()
    }

    fn times(&self, other: &Big) -> Big {
        let mut out = Big::default();
        for (at, part) in self.0.iter().enumerate() {
            let mut carry = 0;
            let mut row = vec![0; at];
            for (to, _) in other.0.iter().enumerate().chain([(other.0.len(), &0)]) {
                let product = u64::from(*part) * other.part(to) + carry;
                carry = product >> 32;
                row.push(product as u32);
            }
            out = out.plus(&Big(row).trimmed());
        }
        out
    }

    fn shifted(&self, bits: usize) -> Big {
        let mut parts = vec![0; bits / 32];
        let mut carry = 0;
        for part in self.0.iter().copied().map(u64::from).chain([0]) {
            let wide = part << (bits % 32) | carry;
            parts.push(wide as u32);
            carry = wide >> 32;
        }
        Big(parts).trimmed()
    }
}

impl PartialOrd for Big {
    fn partial_cmp(&self, other: &Big) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Big {
    fn cmp(&self, other: &Big) -> Ordering {
        let by_length = self.0.len().cmp(&other.0.len());
        by_length.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_rounded_once() {
        let floats = |all: &[f64]| all.iter().copied().map(Number::Float).collect::<Vec<_>>();
        assert_eq!(sum(&floats(&[1e300, 1.0, -1e300])), 1.0);
        assert_eq!(sum(&floats(&[0.1; 10])), 1.0);
        assert_eq!(sum(&floats(&[1.0, 2f64.powi(-53)])), 1.0);
        assert_eq!(sum(&floats(&[1.0, 2f64.powi(-53), f64::from_bits(1)])), 1.0 + f64::EPSILON);
        assert_eq!(sum(&floats(&[5e-324, 5e-324])), 1e-323);
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[Number::Int(i64::MAX), Number::Float(0.5), Number::Int(-i64::MAX)]), 0.5);
        assert_eq!(sum(&floats(&[-1.5, 0.25])), -1.25);
    }

    #[test]
    fn a_sum_and_a_mean_are_those_of_plain_arithmetic_where_that_is_exact() {
        for n in 1..40i64 {
            let numbers: Vec<Number> = (1..=n).map(|x| Number::Int(x * x - 7)).collect();
            let total: i64 = (1..=n).map(|x| x * x - 7).sum();
            assert_eq!(sum(&numbers), total as f64);
            assert_eq!(mean(&numbers), total as f64 / n as f64);
        }
        assert_eq!(stddev(&[1, 2, 3, 4].map(Number::Int)), 1.25f64.sqrt());
        assert_eq!(stddev(&[Number::Float(0.1); 3]), 0.0);
        assert_eq!(stddev(&[Number::Int(-2), Number::Int(2)]), 2.0);
    }
}
