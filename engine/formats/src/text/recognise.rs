//! Which format the first lines of an input are of. Only what cannot be anything else is taken for a format: a wrong
//! guess would cost every event.

use super::{apache, auditd, csv, kv, syslog, vpcflow};
use crate::format::Format;
use crate::json::Json;

/// How many lines are looked at.
const LINES: usize = 10;
/// How many bytes are looked at.
const BYTES: usize = 64 << 10;

/// The format of an input that begins with these bytes; `ended` where there are no more. Nothing where further bytes
/// may tell. What is of no other format is JSON.
pub fn recognise(head: &[u8], ended: bool) -> Option<Format> {
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let text = text.get(..BYTES).unwrap_or(text);
    match text.trim_ascii_start() {
        [b'{', ..] => return Some(Format::Json),
        // An error log of Apache begins with a day of the week.
        [b'[', next, ..] if !next.is_ascii_uppercase() => return Some(Format::Json),
        _ => {}
    }
    let whole = text.iter().filter(|byte| **byte == b'\n').count() >= LINES || head.len() >= BYTES || ended;
    if !whole {
        return None;
    }
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').take(LINES + 1).collect();
    // The last is there in part, unless it is the only one.
    if lines.len() > 1 && !(ended && lines.len() <= LINES) {
        lines.pop();
    }
    lines.retain(|line| !line.trim_ascii().is_empty());
    Some(of_lines(&lines.iter().map(|line| line.trim_ascii()).collect::<Vec<_>>()).unwrap_or(Format::Json))
}

fn of_lines(lines: &[&[u8]]) -> Option<Format> {
    let first = *lines.first()?;
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| first.starts_with(prefix.as_bytes()));
    if begins(&["#separator ", "#fields\t"]) {
        return Some(Format::Zeek);
    }
    if begins(&["#Software:", "#Version:", "#Fields:", "#Date:", "#Start-Date:", "#Remark:"]) {
        return Some(Format::W3c);
    }
    if begins(&["CEF:"]) {
        return Some(Format::Cef);
    }
    if begins(&["LEEF:"]) {
        return Some(Format::Leef);
    }
    if auditd::is(first) {
        return Some(Format::Auditd);
    }
    if vpcflow::is_header(first) || vpcflow::is_default_row(first) {
        return Some(Format::Vpcflow);
    }
    if syslog::is(first) {
        return Some(Format::Syslog);
    }
    if apache::is(first) {
        return Some(Format::Apache);
    }
    if lines.iter().all(|line| are_pairs(line)) {
        return Some(Format::Kv);
    }
    is_table(lines).then_some(Format::Csv)
}

fn are_pairs(line: &[u8]) -> bool {
    kv::members(line, None, &mut Json::new(&mut Vec::new())).is_ok_and(|pairs| pairs >= kv::FEWEST)
}

/// Whether the first line has three different names or more, and the others have as many values with commas between.
fn is_table(lines: &[&[u8]]) -> bool {
    let Some((header, rows)) = lines.split_first() else { return false };
    let Ok(names) = csv::names(header, b',') else { return false };
    let mut sorted: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.len() == names.len()
        && names.len() >= 3
        && names.iter().all(|name| is_name(name))
        && !rows.is_empty()
        // A row of several lines is no row in this.
        && rows.iter().all(|row| csv::names(row, b',').is_ok_and(|values| values.len() == names.len()))
}

/// Letters, digits and what joins words, beginning with a letter.
fn is_name(name: &[u8]) -> bool {
    let name = name.trim_ascii();
    name.len() <= 64
        && name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@'))
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b" _-./()#:@".contains(byte))
}
