//! So many of what comes, the earliest: memory stays bounded, whatever the files hold.

/// Keeps the least of what is put in.
pub struct Earliest<T> {
    kept: Vec<T>,
    limit: usize,
    /// How many were let go.
    pub cut: u64,
}

impl<T: Ord> Earliest<T> {
    /// Keeps so many.
    pub fn new(limit: usize) -> Self {
        Earliest { kept: Vec::new(), limit, cut: 0 }
    }

    /// Takes one more. `same` says whether two that follow one another in order are one.
    pub fn put(&mut self, one: T, same: impl Fn(&T, &T) -> bool) {
        self.kept.push(one);
        // Sorting now and then costs less than keeping order.
        if self.kept.len() >= self.limit.saturating_mul(2).max(1_024) {
            self.sort(same);
        }
    }

    fn sort(&mut self, same: impl Fn(&T, &T) -> bool) {
        self.kept.sort_unstable();
        self.kept.dedup_by(|later, earlier| same(earlier, later));
        self.cut += self.kept.len().saturating_sub(self.limit) as u64;
        self.kept.truncate(self.limit);
    }

    /// What was kept, in order.
    pub fn done(mut self, same: impl Fn(&T, &T) -> bool) -> (Vec<T>, u64) {
        self.sort(same);
        (self.kept, self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_are_kept_each_once_and_the_others_counted() {
        let mut earliest = Earliest::new(3);
        for n in (0..5_000).rev().chain([0, 1]) {
            earliest.put(n, |a, b| a == b);
        }
        let (kept, cut) = earliest.done(|a, b| a == b);
        assert_eq!((kept, cut), (vec![0, 1, 2], 4_997));
    }
}
