//! Regular expressions: what other engines read is written so that this one means the same.

use tripline_syntax::ast::Prefix;

use crate::model::Regex;

/// A pattern ready to be matched: linear time where it can be.
pub(crate) fn compile(regex: &Regex, source: &str) -> Result<(Prefix, String), String> {
    let mut text = translate(source);
    if regex.from_start || regex.to_end {
        let (start, end) = (if regex.from_start { r"\A" } else { "" }, if regex.to_end { r"\z" } else { "" });
        text = format!("{start}(?:{text}){end}");
    }
    let flags: String = [(regex.ignore_case, 'i'), (regex.multi_line, 'm'), (regex.dot_all, 's')]
        .into_iter()
        .filter_map(|(set, flag)| set.then_some(flag))
        .collect();
    if !flags.is_empty() {
        text = format!("(?{flags}){text}");
    }
    let Err(error) = regex::Regex::new(&text) else {
        return Ok((Prefix::Regex, text));
    };
    match fancy_regex::Regex::new(&text) {
        Ok(_) => Ok((Prefix::Backtrack, text)),
        Err(_) => Err(reason(&error)),
    }
}

/// The last line of the error says why.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or("").trim();
    last.strip_prefix("error: ").unwrap_or(last).to_string()
}

/// Writes what has a plain meaning elsewhere so that it has the same one in Rust's syntax: `\<` is `<`, a `{`
/// that begins no repetition is itself, and so are `[`, `&&` and their like between brackets.
pub(crate) fn translate(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let at = |n: usize| chars.get(n).copied();
    let mut out = String::with_capacity(source.len());
    // Where the class began, while within one.
    let mut class: Option<usize> = None;
    let mut n = 0;
    while let Some(c) = at(n) {
        match (c, class) {
            ('\\', _) => {
                n += 1;
                match at(n) {
                    Some(
                        next @ ('<' | '>' | '\'' | '"' | '`' | '@' | '!' | '%' | ',' | ':' | ';' | '=' | '_' | '/'),
                    ) => out.push(next),
                    Some(' ') => out.push_str(r"\x20"),
                    Some('Z') if class.is_none() => out.push_str(r"\z"),
                    Some('e') => out.push_str(r"\x1B"),
                    // `\b` between brackets is a backspace.
                    Some('b') if class.is_some() => out.push_str(r"\x08"),
                    Some(next) => {
                        out.push('\\');
                        out.push(next);
                    }
                    None => out.push('\\'),
                }
            }
            ('[', None) => {
                out.push('[');
                if at(n + 1) == Some('^') {
                    out.push('^');
                    n += 1;
                }
                // A first `]` is itself.
                if at(n + 1) == Some(']') {
                    out.push_str(r"\]");
                    n += 1;
                }
                class = Some(n);
            }
            (']', Some(_)) => {
                out.push(']');
                class = None;
            }
            ('[', Some(_)) => match posix(&chars, n) {
                Some(end) => {
                    out.extend(chars.get(n..end).unwrap_or_default());
                    n = end - 1;
                }
                None => out.push_str(r"\["),
            },
            ('&' | '~' | '-', Some(_)) if at(n + 1) == Some(c) => {
                out.push('\\');
                out.push(c);
            }
            ('{', None) => match repetition(&chars, n) {
                Some(end) => {
                    let body: String = chars.get(n..end).unwrap_or_default().iter().collect();
                    out.push_str(&body.replacen("{,", "{0,", 1));
                    n = end - 1;
                }
                None => out.push_str(r"\{"),
            },
            ('}', None) => out.push_str(r"\}"),
            _ => out.push(c),
        }
        n += 1;
    }
    out
}

/// The end of `[:alpha:]` that begins at `from`.
fn posix(chars: &[char], from: usize) -> Option<usize> {
    if chars.get(from + 1) != Some(&':') {
        return None;
    }
    let name = chars.get(from + 2..)?.iter().take_while(|c| c.is_ascii_lowercase() || **c == '^').count();
    let end = from + 2 + name;
    (name > 0 && chars.get(end) == Some(&':') && chars.get(end + 1) == Some(&']')).then_some(end + 2)
}

/// The end of `{n}`, `{n,}`, `{n,m}` or `{,m}` that begins at `from` and follows something; also of the braces
/// of `\x{41}`, `\u{41}` and `\p{L}`.
fn repetition(chars: &[char], from: usize) -> Option<usize> {
    let before = |n: usize| from.checked_sub(n).and_then(|at| chars.get(at)).copied();
    if matches!(before(1), Some('x' | 'u' | 'U' | 'p' | 'P')) && before(2) == Some('\\') && before(3) != Some('\\') {
        let length = chars.get(from..)?.iter().position(|c| *c == '}')?;
        return Some(from + length + 1);
    }
    let body: String = chars.get(from + 1..)?.iter().take_while(|c| **c != '}').take(16).collect();
    let end = from + 1 + body.chars().count();
    let (low, high) = body.split_once(',').unwrap_or((&body, "0"));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let counted = digits(low) && digits(high) && body != "," && !body.is_empty();
    (from > 0 && counted && chars.get(end) == Some(&'}')).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(source: &str) -> (Prefix, String) {
        compile(&Regex::default(), source).unwrap()
    }

    #[test]
    fn escapes_of_other_engines_keep_their_meaning() {
        assert_eq!(compiled(r#"a\/b\"c\_\<\ "#), (Prefix::Regex, r#"a/b"c_<\x20"#.to_string()));
        assert_eq!(compiled(r"\$\{x{2,}{").1, r"\$\{x{2,}\{");
        assert_eq!(compiled(r"${env}a{,3}").1, r"$\{env\}a{0,3}");
        assert_eq!(compiled(r"[[a&&b]]").1, r"[\[a\&&b]]");
        assert_eq!(compiled(r"[]a][^]b]").1, r"[\]a][^\]b]");
        assert_eq!(compiled(r"[[:alpha:]\b]\x{41}\p{L}").1, r"[[:alpha:]\x08]\x{41}\p{L}");
    }

    #[test]
    fn look_around_takes_the_other_engine() {
        assert_eq!(compiled(r"(?<!a)b").0, Prefix::Backtrack);
        assert_eq!(compiled(r"(a)\1").0, Prefix::Backtrack);
        assert!(compile(&Regex::default(), "(a").is_err());
        let flags = Regex { ignore_case: true, dot_all: true, ..Regex::default() };
        assert_eq!(compile(&flags, "a.b").unwrap().1, "(?is)a.b");
        let whole = Regex { from_start: true, to_end: true, ..Regex::default() };
        assert_eq!(compile(&whole, "a|b").unwrap().1, r"\A(?:a|b)\z");
    }
}
