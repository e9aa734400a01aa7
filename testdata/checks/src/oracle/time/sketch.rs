//! About how many different values there are: what the page says of the estimate, term by term.

use std::collections::BTreeSet;

use tripline_event::Value;

use super::super::Values;
use super::aggregate::text;

/// The most registers.
const MOST: usize = 4_096;

/// How many registers go with so many events that are kept.
pub(super) fn registers(per_key: usize) -> usize {
    (0..=12).map(|bits| 1 << bits).filter(|m| *m <= per_key.clamp(1, MOST)).max().unwrap_or(1)
}

/// About how many different values events have.
pub(super) fn distinct(events: &[Values], per_key: usize) -> Values {
    let all = registers(per_key);
    let texts: BTreeSet<String> = events.iter().flatten().map(text).collect();
    // The greatest rank of each register.
    let mut ranks = vec![0_u32; all];
    for text in &texts {
        let hash = (tripline_detect::content(text.as_bytes()) >> 64) as u64;
        let bits: Vec<bool> = (0..64).rev().map(|bit| hash >> bit & 1 == 1).collect();
        let (place, rest) = bits.split_at(all.ilog2() as usize);
        let register = place.iter().fold(0, |number, bit| 2 * number + usize::from(*bit));
        let rank = rest.iter().take_while(|bit| !**bit).count() as u32 + 1;
        if let Some(greatest) = ranks.get_mut(register) {
            *greatest = rank.max(*greatest);
        }
    }
    let m = all as f64;
    let empty = ranks.iter().filter(|rank| **rank == 0).count() as f64 / m;
    if empty == 1.0 {
        return vec![Value::Int(0)];
    }
    let with: f64 = ranks.iter().filter(|rank| **rank > 0).map(|rank| 0.5_f64.powi(*rank as i32)).sum();
    let without: f64 = (1..=60).map(|k| empty.powf(2_f64.powi(k)) * 2_f64.powi(k - 1)).sum::<f64>() + empty;
    let estimate = m * m / (2.0 * 2_f64.ln() * (with + m * without));
    vec![Value::Int(estimate.round() as i64)]
}
