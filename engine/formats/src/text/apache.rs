//! Access logs of Apache httpd and nginx (common, combined, with the virtual host before it) in the names that the W3C
//! format and Sigma's rules for web servers have, and their error logs. What identifies time is written as RFC 3339.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till1, take_while_m_n, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{map_opt, opt, recognize, rest, verify};
use nom::sequence::{delimited, preceded, terminated};

use super::escaped::{unescaped, unescaped_position};
use super::{Parsed, Reason, refused};
use crate::json::Json;

/// Writes the members of an event.
pub(super) fn members(text: &[u8], json: &mut Json<'_>) -> Result<(), Reason> {
    let mark = json.mark();
    if text.starts_with(b"[") && apache_error(text, json).is_ok() {
        return Ok(());
    }
    json.back(mark);
    if text.first().is_some_and(u8::is_ascii_digit) && nginx_error(text, json).is_ok() {
        return Ok(());
    }
    json.back(mark);
    access(text, json)
        .map_err(|_| "it is no line of an access log or an error log of Apache or nginx".into())
        .map(|_| ())
}

/// Whether a line is one of these logs.
pub(super) fn is(text: &[u8]) -> bool {
    members(text, &mut Json::new(&mut Vec::new())).is_ok()
}

fn blank(text: &[u8]) -> Parsed<'_, char> {
    char(' ').parse(text)
}

fn word(text: &[u8]) -> Parsed<'_, &[u8]> {
    take_till1(|byte| byte == b' ').parse(text)
}

/// What stands between quotes, in which a backslash stands before a quote.
fn quoted(text: &[u8]) -> Parsed<'_, &[u8]> {
    let inner = |text| match unescaped_position(text, |byte| byte == b'"') {
        Some(at) => {
            let (value, rest) = text.split_at(at);
            Ok((rest, value))
        }
        None => Err(refused(text)),
    };
    delimited(char('"'), inner, char('"')).parse(text)
}

/// A time: year, month, day, time of the day, and offset.
struct Time<'t> {
    year: &'t [u8],
    month: &'static str,
    day: &'t [u8],
    time: &'t [u8],
    offset: Option<(&'t [u8], &'t [u8])>,
}

impl Time<'_> {
    fn write(&self, json: &mut Json<'_>) {
        json.key(b"timestamp");
        let (hours, minutes) = self.offset.unwrap_or_default();
        let colon: &[u8] = if self.offset.is_some() { b":" } else { b"" };
        let zero: &[u8] = if self.day.len() == 1 { b"0" } else { b"" };
        let month = self.month.as_bytes();
        json.text_of([self.year, b"-", month, b"-", zero, self.day, b"T", self.time, hours, colon, minutes]);
    }
}

fn digits<'t>(count: usize) -> impl Parser<&'t [u8], Output = &'t [u8], Error = nom::error::Error<&'t [u8]>> {
    take_while_m_n(count, count, |byte: u8| byte.is_ascii_digit())
}

fn month(text: &[u8]) -> Parsed<'_, &'static str> {
    const MONTHS: [(&[u8; 3], &str); 12] = [
        (b"Jan", "01"),
        (b"Feb", "02"),
        (b"Mar", "03"),
        (b"Apr", "04"),
        (b"May", "05"),
        (b"Jun", "06"),
        (b"Jul", "07"),
        (b"Aug", "08"),
        (b"Sep", "09"),
        (b"Oct", "10"),
        (b"Nov", "11"),
        (b"Dec", "12"),
    ];
    map_opt(nom::bytes::complete::take(3usize), |name: &[u8]| {
        Some(MONTHS.iter().find(|(month, _)| month.as_slice() == name)?.1)
    })
    .parse(text)
}

fn clock(text: &[u8]) -> Parsed<'_, &[u8]> {
    recognize((digits(2), char(':'), digits(2), char(':'), digits(2), opt((char('.'), digit1)))).parse(text)
}

/// `[21/Nov/2026:08:15:09 +0100]`.
fn access_time(text: &[u8]) -> Parsed<'_, Time<'_>> {
    let offset = (recognize((alt((char('+'), char('-'))), digits(2))), digits(2));
    let day = (digits(2), char('/'), month, char('/'), digits(4), char(':'), clock, char(' '), offset);
    delimited(char('['), day, char(']'))
        .map(|(day, _, month, _, year, _, time, _, offset)| Time { year, month, day, time, offset: Some(offset) })
        .parse(text)
}

/// `host user … "request" status bytes`, then the referrer and the client where it is combined, and who it was
/// forwarded for.
fn access<'t>(text: &'t [u8], json: &mut Json<'_>) -> Parsed<'t, ()> {
    let people = (word, blank, word, blank, word, blank, access_time);
    let plain = { people }.map(|(client, _, _, _, user, _, time)| (None, client, user, time));
    let people = (word, blank, word, blank, word, blank, word, blank, access_time);
    let hosted = { people }.map(|(host, _, client, _, _, _, user, _, time)| (Some(host), client, user, time));
    let (rest, (host, client, user, time)) = alt((plain, hosted)).parse(text)?;
    let status = verify(digit1, |status: &[u8]| status.len() == 3);
    let (rest, (request, status, sent)) =
        (preceded(blank, quoted), preceded(blank, status), preceded(blank, alt((tag("-"), digit1)))).parse(rest)?;
    let (rest, combined) = opt((preceded(blank, quoted), preceded(blank, quoted))).parse(rest)?;
    let (rest, forwarded) = opt(preceded(blank, quoted)).parse(rest)?;
    nom::combinator::eof(rest)?;
    if let Some(host) = host {
        let at = host.iter().rposition(|byte| *byte == b':').unwrap_or(host.len());
        let (name, port) = host.split_at(at);
        json.field("cs-host", name);
        if let Some(port) = port.strip_prefix(b":") {
            json.number_field("s-port", port);
        }
    }
    json.field("c-ip", client);
    text_field("cs-username", user, json);
    time.write(json);
    write_request(request, json);
    json.number_field("sc-status", status);
    if sent != b"-" {
        json.number_field("sc-bytes", sent);
    }
    if let Some((referrer, agent)) = combined {
        text_field("cs-referer", referrer, json);
        text_field("cs-user-agent", agent, json);
    }
    if let Some(forwarded) = forwarded {
        text_field("x-forwarded-for", forwarded, json);
    }
    Ok((b"", ()))
}

/// A member, unless the log says that there is none.
fn text_field(key: &str, text: &[u8], json: &mut Json<'_>) {
    if text != b"-" {
        json.key(key.as_bytes());
        json.text_of(plain(text));
    }
}

/// The parts of a text in which a backslash stands before a quote or a control character.
fn plain(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    unescaped(text, |byte| match byte {
        b'"' => Some(b"\""),
        b'\\' => Some(b"\\"),
        b't' => Some(b"\t"),
        b'n' => Some(b"\n"),
        b'r' => Some(b"\r"),
        _ => None,
    })
}

/// `GET /path?query HTTP/1.1`; whatever is no request is `request` as a whole.
fn write_request(text: &[u8], json: &mut Json<'_>) {
    let method = take_while1(|byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'));
    let version = (tag("HTTP/"), take_while1(|byte: u8| byte.is_ascii_digit() || byte == b'.'));
    let whole: Parsed<'_, _> = terminated(method, char(' ')).parse(text);
    let parts = whole.ok().and_then(|(target, method)| {
        let at = target.iter().rposition(|byte| *byte == b' ')?;
        let (target, version_text) = target.split_at(at);
        let version_text = version_text.get(1..)?;
        let read: Parsed<'_, _> = recognize(version).parse(version_text);
        matches!(read, Ok(([], _))).then_some((method, target, version_text))
    });
    let Some((method, target, version)) = parts else {
        text_field("request", text, json);
        return;
    };
    json.field("cs-method", method);
    let at = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
    let (stem, query) = target.split_at(at);
    json.key(b"cs-uri-stem");
    json.text_of(plain(stem));
    if let Some(query) = query.strip_prefix(b"?") {
        json.key(b"cs-uri-query");
        json.text_of(plain(query));
    }
    json.field("cs-version", version);
}

/// `[Sat Nov 21 08:15:09.123456 2026] [core:error] [pid 7:tid 9] [client 192.0.2.1:5] message`.
fn apache_error<'t>(text: &'t [u8], json: &mut Json<'_>) -> Parsed<'t, ()> {
    let day = map_opt(take_while_m_n(1, 2, |byte: u8| byte.is_ascii_digit()), Some);
    let time = (
        word,
        take_while1(|byte| byte == b' '),
        month,
        take_while1(|byte| byte == b' '),
        day,
        blank,
        clock,
        blank,
        digits(4),
    );
    let (rest, (.., month, _, day, _, time, _, year)) = delimited(char('['), time, char(']')).parse(text)?;
    let time = Time { year, month, day, time, offset: None };
    let inner = |text| delimited(tag(" ["), take_till1(|byte| byte == b']'), char(']')).parse(text);
    let (mut rest, level): (_, &[u8]) = { inner }.parse(rest)?;
    time.write(json);
    match level.iter().position(|byte| *byte == b':') {
        Some(at) => {
            let (module, level) = level.split_at(at);
            if !module.is_empty() && module != b"-" {
                json.field("module", module);
            }
            json.field("loglevel", level.get(1..).unwrap_or_default());
        }
        None => json.field("loglevel", level),
    }
    while let Ok((after, part)) = { inner }.parse(rest) {
        if let Some(ids) = part.strip_prefix(b"pid ") {
            let at = ids.iter().position(|byte| *byte == b':').unwrap_or(ids.len());
            let (process, thread) = ids.split_at(at);
            json.number_field("pid", process);
            if let Some(thread) = thread.strip_prefix(b":tid ") {
                json.number_field("tid", thread);
            }
        } else if let Some(client) = part.strip_prefix(b"client ") {
            json.field("client", client);
        } else {
            // What is in brackets is the message's own.
            break;
        }
        rest = after;
    }
    json.key(b"message");
    json.text(rest.trim_ascii_start());
    Ok((b"", ()))
}

/// `2026/11/21 08:15:09 [error] 7#9: *11 message`.
fn nginx_error<'t>(text: &'t [u8], json: &mut Json<'_>) -> Parsed<'t, ()> {
    let day = (digits(4), char('/'), digits(2), char('/'), digits(2), blank, clock);
    let level = delimited(tag(" ["), take_till1(|byte| byte == b']'), tag("] "));
    let ids = (digit1, char('#'), digit1, tag(": "));
    let connection = opt(delimited(char('*'), digit1, char(' ')));
    let (_, ((year, _, month, _, day, _, time), level, (pid, _, tid, _), connection, message)) =
        (day, level, ids, connection, rest).parse(text)?;
    json.key(b"timestamp");
    json.text_of([year, b"-", month, b"-", day, b"T", time]);
    json.field("loglevel", level);
    json.number_field("pid", pid);
    json.number_field("tid", tid);
    if let Some(connection) = connection {
        json.number_field("connection", connection);
    }
    json.field("message", message);
    Ok((b"", ()))
}
