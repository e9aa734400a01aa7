//! Queries of addresses: every name is known, given once, and of a form that is said.

use super::reply::Refusal;

/// The longest value (bytes).
const LONGEST: usize = 256;

/// The parameters of a request.
#[derive(Debug, Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads a query; `known` are the names that it may have.
    pub fn read(query: &str, known: &[&str]) -> Result<Self, Refusal> {
        let mut params: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let there =
                    if known.is_empty() { "there are none".into() } else { format!("there are {}", known.join(", ")) };
                let name: String = name.chars().take(64).collect();
                return Err(Refusal::bad(format!("there is no parameter `{name}`; {there}")));
            }
            if params.iter().any(|(before, _)| *before == name) {
                return Err(Refusal::bad(format!("`{name}` is given twice")));
            }
            if value.len() > LONGEST {
                return Err(Refusal::bad(format!("`{name}` has at most {LONGEST} bytes")));
            }
            params.push((name.into_owned(), value.into_owned()));
        }
        Ok(Params(params))
    }

    /// A parameter as it is written.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A time (RFC 3339) or a date, nanoseconds since 1970.
    pub fn time(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let read = tripline_event::parse_time(text).or_else(|| tripline_event::parse_date(text));
        let said = || Refusal::bad(format!("`{name}` is a time such as 2026-01-31T09:00:00Z, or a date"));
        read.map(Some).ok_or_else(said)
    }

    /// How many rows are wanted.
    pub fn limit(&self, plain: usize, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.text("limit") else { return Ok(plain) };
        let read = text.parse().ok().filter(|limit| (1..=most).contains(limit));
        read.ok_or_else(|| Refusal::bad(format!("`limit` is a number from 1 to {most}")))
    }

    /// A number that is not negative.
    pub fn number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let read = text.parse().ok().filter(|number: &i64| *number >= 0);
        read.map(Some).ok_or_else(|| Refusal::bad(format!("`{name}` is a number from 0")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_or_refused_with_what_there_is() {
        let params = Params::read("rule=a%20b&limit=5&from=2026-01-31", &["rule", "limit", "from"]).unwrap();
        assert_eq!((params.text("rule"), params.limit(1, 10)), (Some("a b"), Ok(5)));
        assert_eq!(params.time("from").unwrap().map(tripline_event::format_date).as_deref(), Some("2026-01-31"));
        let said = |query: &str| Params::read(query, &["rule"]).unwrap_err().message;
        assert!(said("rul=a").contains("there are rule"), "{}", said("rul=a"));
        assert!(said("rule=a&rule=b").contains("twice"));
        assert!(said(&format!("rule={}", "x".repeat(300))).contains("256 bytes"));
        let bad = Params::read("limit=11&from=soon&after=-1", &["limit", "from", "after"]).unwrap();
        assert!(bad.limit(1, 10).is_err() && bad.time("from").is_err() && bad.number("after").is_err());
    }
}
