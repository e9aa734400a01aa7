//! So many of what comes, the earliest, each once: memory stays bounded, whatever the files hold.

use std::cmp::Reverse;

use super::mark::Tally;

/// What comes, in the order in which it is laid out.
pub trait Keep: Ord {
    /// What tells it from others; the same of those that are one.
    fn mark(&self) -> u64;

    /// Of those that are one, the greatest is kept.
    fn revision(&self) -> u64 {
        0
    }
}

/// Keeps the least of what is put in.
pub struct Earliest<T> {
    /// Each with its mark.
    kept: Vec<(u64, T)>,
    limit: usize,
    /// The least that was cut: nothing from there on is kept, or something between would be missing.
    end: Option<T>,
    /// What was cut.
    cut: Tally,
}

impl<T: Keep> Earliest<T> {
    /// Keeps so many.
    pub fn new(limit: usize) -> Self {
        Earliest { kept: Vec::new(), limit, end: None, cut: Tally::default() }
    }

    /// Takes one more.
    pub fn put(&mut self, one: T) {
        self.kept.push((one.mark(), one));
        // Sorting now and then costs less than keeping order.
        if self.kept.len() >= self.limit.saturating_mul(2).max(1_024) {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let cut = &self.cut;
        self.kept.retain(|(mark, _)| !cut.has(*mark));
        self.kept.sort_unstable_by(|(a, one), (b, other)| {
            let told = |mark: u64, one: &T| (mark, Reverse(one.revision()));
            told(*a, one).cmp(&told(*b, other)).then_with(|| one.cmp(other))
        });
        self.kept.dedup_by_key(|(mark, _)| *mark);
        self.kept.sort_unstable_by(|(_, one), (_, other)| one.cmp(other));
        let before = |end: &T| self.kept.partition_point(|(_, one)| one < end);
        let end = self.end.as_ref().map_or(self.kept.len(), before).min(self.limit);
        let rest = self.kept.split_off(end);
        rest.iter().for_each(|(mark, _)| self.cut.add(*mark));
        let first = rest.into_iter().next().map(|(_, one)| one);
        self.end = self.end.take().into_iter().chain(first).min();
    }

    /// The marks of all that was put in: of what is kept, and of what was cut as far as that is known.
    pub fn marks(&self) -> impl Iterator<Item = u64> {
        self.kept.iter().map(|(mark, _)| *mark).chain(self.cut.marks())
    }

    /// What was kept, in order, and what was cut.
    pub fn done(mut self) -> (Vec<T>, Tally) {
        self.settle();
        (self.kept.into_iter().map(|(_, one)| one).collect(), self.cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When, which, and which revision of it.
    type One = (i64, u64, u64);

    impl Keep for One {
        fn mark(&self) -> u64 {
            self.1
        }

        fn revision(&self) -> u64 {
            self.2
        }
    }

    fn done(limit: usize, all: impl IntoIterator<Item = One>) -> (Vec<One>, Option<String>) {
        let mut earliest = Earliest::new(limit);
        all.into_iter().for_each(|one| earliest.put(one));
        let (kept, cut) = earliest.done();
        (kept, cut.said("event"))
    }

    /// As many as fill the buffer more than once, each again after all of them.
    #[test]
    fn what_was_cut_and_came_again_was_counted_again() {
        let all = || (0..5_000_i64).rev().map(|n| (n, n.unsigned_abs(), 0));
        let wanted = vec![(0, 0, 0), (1, 1, 0), (2, 2, 0)];
        assert_eq!(done(3, all().chain(all())), (wanted.clone(), Some("4997 events".into())));
        assert_eq!(done(3, all().rev().chain(all()).chain(all().rev())), (wanted, Some("4997 events".into())));
        assert_eq!(done(5_000, all().chain(all())).1, None, "nothing was cut");
    }

    #[test]
    fn revisions_at_other_times_were_laid_out_as_findings_of_their_own() {
        let all = [(10, 1, 0), (20, 2, 0), (30, 1, 1), (40, 1, 2), (40, 1, 2)];
        assert_eq!(done(10, all), (vec![(20, 2, 0), (40, 1, 2)], None));
    }

    #[test]
    fn nothing_is_kept_that_is_later_than_what_was_cut() {
        let many = |from: i64| (from..from + 2_000).map(|n| (n, n.unsigned_abs(), 0));
        // The first is moved behind what was cut before: there is room, but not for what is later than that.
        let (kept, cut) = done(2, many(0).chain([(9_000, 0, 1)]).chain(many(5_000)));
        assert_eq!((kept, cut.as_deref()), (vec![(1, 1, 0)], Some("3999 events")));
    }
}
