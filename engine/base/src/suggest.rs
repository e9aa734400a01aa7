//! "Did you mean": the nearest known word to an unknown one.

/// The nearest of `candidates` to `word`, if one is near enough to be meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = (lower.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)))
        .map(|(_, candidate)| candidate)
}

/// ``did you mean `x`?`` for the nearest candidate.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|found| format!("did you mean `{found}`?"))
}

fn distance(a: &str, b: &str) -> usize {
    if !a.is_empty() && (b.starts_with(a) || a.starts_with(b)) && a.chars().count() > 3 && b.chars().count() > 3 {
        return 1;
    }
    let edits = strsim::damerau_levenshtein(a, b);
    // `Failed` and `Failure`: one stem with two endings.
    let stem = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let longest = a.chars().count().max(b.chars().count());
    if stem >= 4 && stem * 2 >= longest { edits.min(2) } else { edits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("emial_addr", ["email_addr", "name"]), Some("email_addr"));
        assert_eq!(nearest("Failed", ["Success", "Failure"]), Some("Failure"));
        assert_eq!(nearest("zzz", ["email_addr", "name"]), None);
    }
}
