//! Texts with `{names}` in them: addresses, queries, bodies, headers.

use tripline_event::{format_date, format_time};

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Written {
    /// RFC 3339 in UTC: `2026-01-31T08:00:00Z`.
    #[default]
    Rfc3339,
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// `2026-01-31`.
    Date,
    /// `2026-01-31T08:00:00`, in UTC without saying so.
    Plain,
}

const WRITTEN: [(&str, Written); 5] = [
    ("rfc3339", Written::Rfc3339),
    ("seconds", Written::Seconds),
    ("millis", Written::Millis),
    ("date", Written::Date),
    ("plain", Written::Plain),
];

impl Written {
    /// A time (nanoseconds since 1970), cut to whole seconds: some services take no fractions.
    pub fn write(self, at: i64) -> String {
        let seconds = at.div_euclid(1_000_000_000);
        let whole = seconds.saturating_mul(1_000_000_000);
        match self {
            Written::Rfc3339 => format_time(whole),
            Written::Seconds => seconds.to_string(),
            Written::Millis => seconds.saturating_mul(1000).to_string(),
            Written::Date => format_date(whole),
            Written::Plain => format_time(whole).trim_end_matches('Z').to_string(),
        }
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A time, nanoseconds since 1970.
    Time(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String, Written),
}

/// A text with names in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Reads a template. A brace that is only a brace is written twice.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            let brace = if from.starts_with('{') { '{' } else { '}' };
            let after = from.get(1..).unwrap_or_default();
            if let Some(after) = after.strip_prefix(brace) {
                plain.push(brace);
                rest = after;
                continue;
            }
            if brace == '}' {
                return Err("a `}` has no `{` before it; a brace that is only a brace is written twice".into());
            }
            let (name, after) = after.split_once('}').ok_or("a `{` has no `}` behind it")?;
            let (name, written) = match name.split_once(':') {
                None => (name, Written::default()),
                Some((name, wanted)) => {
                    let found = WRITTEN.iter().find(|(word, _)| *word == wanted).map(|(_, written)| *written);
                    let words = WRITTEN.map(|(word, _)| word).join(", ");
                    let found = found.ok_or_else(|| format!("a time is written as one of {words}, not `{wanted}`"))?;
                    (name, found)
                }
            };
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
            if name.is_empty() || !name.chars().all(fits) {
                return Err(format!("`{{{name}}}` is no name: it has letters, digits and `_`"));
            }
            if !plain.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut plain)));
            }
            parts.push(Part::Name(name.to_string(), written));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Template(parts))
    }

    /// A text without names.
    pub fn plain(text: &str) -> Self {
        Template(vec![Part::Text(text.to_string())])
    }

    /// The names in it; of `{key.member}` it is `key`.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Name(name, _) => Some(name.split('.').next().unwrap_or(name)),
            Part::Text(_) => None,
        })
    }

    /// The text, with what `value` gives for each name, which `written` may encode. None where a name has no value.
    pub fn fill(&self, value: &dyn Fn(&str) -> Option<Value>, written: fn(&str) -> String) -> Option<String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Name(name, time) => match value(name)? {
                    Value::Text(text) => out.push_str(&written(&text)),
                    Value::Time(at) => out.push_str(&written(&time.write(at))),
                },
            }
        }
        Some(out)
    }
}

/// Leaves a text as it is.
pub fn as_is(text: &str) -> String {
    text.to_string()
}

/// RFC 3986: everything but letters, digits, `-`, `.`, `_` and `~` is escaped.
pub fn escaped(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Option<String> {
        let value = |name: &str| match name {
            "since" => Some(Value::Time(1_769_846_400_500_000_000)),
            "org" => Some(Value::Text("a b/c".into())),
            _ => None,
        };
        Template::parse(text).unwrap().fill(&value, escaped)
    }

    #[test]
    fn times_are_written_as_each_service_wants_them() {
        assert_eq!(filled("{since}").unwrap(), "2026-01-31T08%3A00%3A00Z");
        assert_eq!(filled("{since:seconds}-{since:millis}").unwrap(), "1769846400-1769846400000");
        assert_eq!(filled("{since:date}/{since:plain}").unwrap(), "2026-01-31/2026-01-31T08%3A00%3A00");
    }

    #[test]
    fn what_is_filled_in_stays_within_its_place() {
        assert_eq!(filled("/orgs/{org}/log").unwrap(), "/orgs/a%20b%2Fc/log");
        assert_eq!(filled("{{{org}}}").unwrap(), "{a%20b%2Fc}");
        assert_eq!(filled("{absent}"), None);
    }

    #[test]
    fn broken_templates_are_errors() {
        for text in ["{", "}", "{a b}", "{}", "{since:soon}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
