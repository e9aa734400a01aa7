//! Folded text, and the literals that a pattern cannot match without.

use regex_syntax::hir::{Class, Hir, HirKind};
use tripline_ir::Pattern;
use tripline_semantic::typed::Prefix;

/// The most literals that stand for one pattern.
const MOST: usize = 64;

/// Text without case, character by character, so that a part of a text folds to a part of the folded text.
/// Coarser than the comparisons of the language, which have to confirm what is not ASCII.
pub fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    fold_into(text, &mut out);
    out
}

/// Like [`fold`], at the end of a text that is there already.
pub fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let begin = out.len();
        out.push_str(text);
        if let Some(added) = out.get_mut(begin..) {
            added.make_ascii_lowercase();
        }
        return;
    }
    for c in text.chars() {
        out.extend(c.to_lowercase().map(|c| match c {
            'ſ' => 's',
            'ς' => 'σ',
            c => c,
        }));
    }
}

/// Folded texts of which one is in every text that the pattern matches; none where that cannot be said.
pub fn required(pattern: &Pattern) -> Option<Vec<String>> {
    match pattern.prefix {
        Prefix::Glob | Prefix::GlobIgnoreCase => {
            // Case folding beyond ASCII differs between folding and matching: such characters split.
            let piece =
                pattern.text.split(|c: char| matches!(c, '*' | '?') || !c.is_ascii()).max_by_key(|p| p.len())?;
            (piece.len() >= 2).then(|| vec![fold(piece)])
        }
        Prefix::Regex => {
            let hir = regex_syntax::ParserBuilder::new().nest_limit(64).build().parse(&pattern.text).ok()?;
            let found = of(&hir)?;
            found.iter().all(|text| text.len() >= 2).then_some(found)
        }
        Prefix::Backtrack | Prefix::None | Prefix::IgnoreCase => None,
    }
}

/// How good a set of literals is: the length of its shortest.
fn score(set: &[String]) -> usize {
    set.iter().map(String::len).min().unwrap_or(0)
}

fn of(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0);
            let piece = text.split(|c: char| !c.is_ascii()).max_by_key(|piece| piece.len())?;
            (!piece.is_empty()).then(|| vec![fold(piece)])
        }
        HirKind::Class(class) => one_letter(class).map(|c| vec![c.to_string()]),
        HirKind::Capture(capture) => of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => of(&repetition.sub),
        HirKind::Alternation(parts) => {
            let mut all = Vec::new();
            for part in parts {
                all.extend(of(part)?);
                if all.len() > MOST {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Concat(parts) => {
            let mut best: Option<Vec<String>> = None;
            let mut run = String::new();
            let mut offer = |set: Vec<String>| {
                if best.as_ref().is_none_or(|best| score(&set) > score(best)) {
                    best = Some(set);
                }
            };
            for part in parts {
                match part.kind() {
                    HirKind::Literal(literal) => {
                        for c in String::from_utf8_lossy(&literal.0).chars() {
                            if c.is_ascii() {
                                run.push(c.to_ascii_lowercase());
                            } else if !run.is_empty() {
                                offer(vec![std::mem::take(&mut run)]);
                            }
                        }
                    }
                    HirKind::Class(class) if one_letter(class).is_some() => run.extend(one_letter(class)),
                    HirKind::Look(_) | HirKind::Empty => {}
                    _ => {
                        if !run.is_empty() {
                            offer(vec![std::mem::take(&mut run)]);
                        }
                        if let Some(set) = of(part) {
                            offer(set);
                        }
                    }
                }
            }
            if !run.is_empty() {
                offer(vec![run]);
            }
            best
        }
        _ => None,
    }
}

/// The ASCII letter whose cases make up the class.
fn one_letter(class: &Class) -> Option<char> {
    let mut letter = None;
    let mut take = |c: char| {
        let folded = fold(c.encode_utf8(&mut [0; 4]));
        let mut chars = folded.chars();
        let (Some(c), None) = (chars.next(), chars.next()) else { return false };
        c.is_ascii() && *letter.get_or_insert(c) == c
    };
    let all = match class {
        Class::Unicode(class) => class.ranges().iter().all(|range| {
            (range.end() as u32) - (range.start() as u32) < 4 && (range.start()..=range.end()).all(&mut take)
        }),
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .all(|range| range.end() - range.start() < 4 && (range.start()..=range.end()).all(|b| take(char::from(b)))),
    };
    letter.filter(|_| all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_regex(text: &str) -> Option<Vec<String>> {
        of(&regex_syntax::parse(text).unwrap())
    }

    #[test]
    fn literals_are_found_in_every_shape() {
        let one = |text: &str| Some(vec![text.to_string()]);
        assert_eq!(of_regex("foo.*barbaz"), one("barbaz"));
        assert_eq!(of_regex("(?i)MiMikatz"), one("mimikatz"));
        assert_eq!(of_regex("^(?:abc)+$"), one("abc"));
        assert_eq!(of_regex("(?:one|three)x*"), Some(vec!["one".into(), "three".into()]));
        assert_eq!(of_regex("a?"), None);
        assert_eq!(of_regex("[a-z]+"), None);
        assert_eq!(of_regex("straße"), one("stra"));
    }

    #[test]
    fn folding_keeps_parts() {
        assert!(fold("ΑΣΑ").contains(&fold("ΑΣ")));
        assert_eq!(fold("ſK"), "sk");
    }
}
