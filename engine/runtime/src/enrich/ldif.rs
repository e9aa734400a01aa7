//! LDIF (RFC 2849), as directories export it: folded lines, base64, comments, options of attributes. Addresses (`:<`)
//! are not fetched, and changes that remove or alter entries are passed over.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Attributes with their values, as they stand there. Values that are no text are left out.
pub(super) type Entry = Vec<(String, String)>;

/// The values of an attribute. Its name has no case; options (`cn;lang-de`) do not count.
pub(super) fn values<'e>(entry: &'e Entry, name: &str) -> Vec<&'e str> {
    let is = |found: &str| found.split(';').next().unwrap_or(found).eq_ignore_ascii_case(name);
    entry.iter().filter(|(found, _)| is(found)).map(|(_, value)| value.as_str()).collect()
}

/// Gives each entry to `each`, until it says that it is enough.
///
/// # Errors
/// The first line that is none of LDIF, and why.
pub(super) fn entries(text: &str, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), (usize, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut entry = Entry::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, first)) = lines.next() {
        let mut line = first.to_string();
        // A line that begins with a space goes on with the one before; so do comments.
        while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with(' ')) {
            line.push_str(more.get(1..).unwrap_or_default());
        }
        if line.starts_with('#') {
            continue;
        }
        if line.is_empty() {
            if !end(&mut entry, each) {
                return Ok(());
            }
            continue;
        }
        // Between the parts of a change.
        if line == "-" {
            continue;
        }
        let Some((name, rest)) = line.split_once(':') else {
            return Err((at + 1, "there is no `:` behind the name of an attribute".into()));
        };
        if entry.is_empty() && name.eq_ignore_ascii_case("version") {
            continue;
        }
        let value = if let Some(coded) = rest.strip_prefix(':') {
            let decoded = STANDARD.decode(coded.trim());
            let decoded = decoded.map_err(|_| (at + 1, "what stands behind `::` is not base64".to_string()))?;
            String::from_utf8(decoded).ok()
        } else if rest.starts_with('<') {
            None
        } else {
            Some(rest.trim_start_matches(' ').to_string())
        };
        // That the attribute was there marks the entry as begun.
        entry.push((name.trim().to_string(), value.unwrap_or_default()));
    }
    end(&mut entry, each);
    Ok(())
}

/// Ends an entry; false where it is enough.
fn end(entry: &mut Entry, each: &mut dyn FnMut(&Entry) -> bool) -> bool {
    let mut whole = std::mem::take(entry);
    let change = values(&whole, "changetype").first().map(|change| (*change).to_string());
    let counts = !whole.is_empty() && change.is_none_or(|change| change.eq_ignore_ascii_case("add"));
    whole.retain(|(_, value)| !value.is_empty());
    !counts || each(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Entry> {
        let mut out = Vec::new();
        entries(text, &mut |entry| {
            out.push(entry.clone());
            true
        })
        .unwrap();
        out
    }

    #[test]
    fn folded_lines_base64_options_and_comments_are_read() {
        let text = "version: 1\r\n# a comment\r\n that goes on\r\ndn: uid=alice,dc=example,dc=com\r\nuid: alice\r\n\
                    cn;lang-de:: w4RsaWNl\r\nmanager: uid=bob,\r\n dc=example,\r\n  dc=com\r\njpegPhoto:: /9j/4A==\r\n\
                    seeAlso:< file:///etc/passwd\r\nmemberOf: a\r\nmemberOf: b\r\n\r\n\r\ndn: uid=bob\r\nUID:bob";
        let entries = all(text);
        assert_eq!(entries.len(), 2);
        assert_eq!(values(&entries[0], "CN"), ["Älice"]);
        assert_eq!(values(&entries[0], "manager"), ["uid=bob,dc=example, dc=com"]);
        assert_eq!(values(&entries[0], "memberof"), ["a", "b"]);
        assert!(values(&entries[0], "jpegPhoto").is_empty() && values(&entries[0], "seeAlso").is_empty());
        assert_eq!(values(&entries[1], "uid"), ["bob"]);
    }

    #[test]
    fn changes_that_take_away_are_no_entries() {
        let text = "dn: a\nchangetype: add\nuid: a\n\ndn: b\nchangetype: modify\nadd: mail\nmail: b@example.com\n-\n\n\
                    dn: c\nchangetype: delete\n";
        assert_eq!(all(text).iter().map(|entry| values(entry, "dn")[0]).collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn what_is_no_ldif_is_said_with_its_line() {
        let said = |text: &str| entries(text, &mut |_| true).unwrap_err();
        assert_eq!(said("dn: a\n\nplain words\n").0, 3);
        assert_eq!(said("dn: a\ncn:: ***\n").0, 2);
    }
}
