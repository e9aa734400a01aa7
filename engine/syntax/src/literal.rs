//! What a text literal stands for: its escapes, and the indentation of texts over several lines.

/// Resolves escapes; gives the byte ranges of those that do not exist.
pub(crate) fn unescape(raw: &str) -> (String, Vec<(usize, usize)>) {
    let mut out = String::with_capacity(raw.len());
    let mut bad = Vec::new();
    let mut chars = raw.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some((next_at, next)) = chars.next() else {
            bad.push((at, raw.len()));
            break;
        };
        match next {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            '0' => out.push('\0'),
            '\\' | '"' | '\'' | '{' | '}' => out.push(next),
            'u' => {
                let rest = raw.get(next_at + 1..).unwrap_or("");
                let code = rest.strip_prefix('{').and_then(|r| r.split_once('}')).map(|(hex, _)| hex);
                match code.and_then(|hex| Some((hex, char::from_u32(u32::from_str_radix(hex, 16).ok()?)?))) {
                    Some((hex, c)) => {
                        out.push(c);
                        for _ in 0..hex.chars().count() + 2 {
                            chars.next();
                        }
                    }
                    None => bad.push((at, next_at + 1)),
                }
            }
            other => bad.push((at, next_at + other.len_utf8())),
        }
    }
    (out, bad)
}

/// A triple-quoted text without the line breaks at its ends and the indentation common to its lines. A text
/// that does not begin with a line break is one line, as it is.
pub(crate) struct Lines<'t>(Vec<Line<'t>>);

struct Line<'t> {
    /// Where the line begins in the text, its indentation included.
    from: usize,
    /// Where what is kept of it begins.
    start: usize,
    kept: &'t str,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let Some(rest) = text.strip_prefix('\n').or_else(|| text.strip_prefix("\r\n")) else {
            return Lines(vec![Line { from: 0, start: 0, kept: text }]);
        };
        let indent = rest
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| line.len() - line.trim_start_matches([' ', '\t']).len())
            .min()
            .unwrap_or(0);
        let mut out = Vec::new();
        let mut from = text.len() - rest.len();
        for (line, whole) in rest.lines().zip(rest.split_inclusive('\n')) {
            let kept = line.get(indent..).unwrap_or_else(|| line.trim_start());
            out.push(Line { from, start: from + line.len() - kept.len(), kept: kept.trim_end() });
            from += whole.len();
        }
        if out.last().is_some_and(|line| line.kept.is_empty()) {
            out.pop();
        }
        Lines(out)
    }

    /// The whole text.
    pub(crate) fn join(&self) -> String {
        self.0.iter().map(|line| line.kept).collect::<Vec<_>>().join("\n")
    }

    /// What is kept of the text between two places of it.
    pub(crate) fn between(&self, from: usize, to: usize) -> String {
        let mut out = String::new();
        for (at, line) in self.0.iter().enumerate() {
            if at > 0 && (from + 1..=to).contains(&line.from) {
                out.push('\n');
            }
            let part = from.saturating_sub(line.start)..to.saturating_sub(line.start).min(line.kept.len());
            out.push_str(line.kept.get(part).unwrap_or(""));
        }
        out
    }

    /// Where in the text a place of [`Lines::join`] is.
    pub(crate) fn source(&self, place: usize) -> usize {
        let mut left = place;
        for line in &self.0 {
            if left <= line.kept.len() {
                return line.start + left;
            }
            left -= line.kept.len() + 1;
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_indentation_and_outer_breaks_are_dropped() {
        for (text, wanted) in [
            ("a\n  b", "a\n  b"),
            ("\n    one\n      two  \n\n    three\n  ", "one\n  two\n\nthree"),
            ("\r\n  one\r\n  two\r\n", "one\ntwo"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(Lines::of(text).join(), wanted, "{text:?}");
        }
    }

    #[test]
    fn every_kept_character_is_found_in_its_source() {
        let text = "\n    öne\r\n      two  \n\n    thrée\n  ";
        let lines = Lines::of(text);
        for (at, c) in lines.join().char_indices().filter(|(_, c)| *c != '\n') {
            assert!(text.get(lines.source(at)..).is_some_and(|rest| rest.starts_with(c)), "{at} {c}");
        }
        let whole = lines.between(0, text.len());
        assert_eq!(whole, lines.join());
        for cut in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(lines.between(0, cut) + &lines.between(cut, text.len()), whole, "{cut}");
        }
    }
}
