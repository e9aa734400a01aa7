//! Syslog: RFC 5424, and the older kind that RFC 3164 describes, with or without a priority (files of syslog have
//! none). A message that is CEF, LEEF, JSON or pairs of key and value is read on: its members are those of the event,
//! and the header is under `syslog`.

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_while, take_while_m_n, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{map_opt, opt, recognize, verify};
use nom::multi::fold_many0;
use nom::sequence::{delimited, preceded, separated_pair, terminated};
use serde_json::value::RawValue;
use tripline_event::date_parts;

use super::escaped::{unescaped, unescaped_position};
use super::{Parsed, Reason, cef, kv, leef, refused};
use crate::json::Json;

/// The longest name of a program; what is longer is text that has a colon in it.
const LONGEST_TAG: usize = 128;
const DAY: i64 = 86_400_000_000_000;

/// What stands before the message.
#[derive(Default)]
struct Header<'t> {
    priority: Option<u8>,
    timestamp: Timestamp<'t>,
    hostname: Option<&'t [u8]>,
    appname: Option<&'t [u8]>,
    procid: Option<&'t [u8]>,
    msgid: Option<&'t [u8]>,
    /// The elements of structured data, as they are.
    structured: &'t [u8],
}

/// When it was sent.
#[derive(Clone, Copy, Default)]
enum Timestamp<'t> {
    #[default]
    None,
    /// With its year, as RFC 3339 has it.
    Whole(&'t [u8]),
    /// `Nov  3 08:15:09`: as it is, its month from 1, its day, and its time.
    Yearless { text: &'t [u8], month: u8, day: u8, time: &'t [u8] },
    /// The same with a year after the day.
    Dated { year: &'t [u8], month: u8, day: u8, time: &'t [u8] },
}

/// Writes the members of an event.
pub(super) fn members(text: &[u8], near: Option<i64>, json: &mut Json<'_>) -> Result<(), Reason> {
    let (rest, priority) = opt(priority).parse(text).unwrap_or((text, None));
    let new = priority.is_some().then(|| rfc5424(rest).ok()).flatten();
    let (message, mut header) = match new.filter(|(_, header)| !header.is_short()) {
        Some(found) => found,
        None => rfc3164(rest),
    };
    header.priority = priority;
    if priority.is_none() && matches!(header.timestamp, Timestamp::None) {
        return Err("a line of syslog begins with a priority, as `<34>`, or with a time".into());
    }
    let mark = json.mark();
    if payload(message, json) {
        json.key(b"syslog");
        json.open();
        header.write(near, json);
        json.close();
    } else {
        json.back(mark);
        header.write(near, json);
        json.field("message", message);
    }
    Ok(())
}

/// Whether a line begins as syslog does: with a priority, or with a time and what may be a host.
pub(super) fn is(text: &[u8]) -> bool {
    match priority(text) {
        Ok((rest, _)) => !rest.is_empty(),
        Err(_) => {
            let (message, header) = rfc3164(text);
            // Logs of programs have a level where syslog has a host.
            let levels = ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL"];
            let host = header.hostname.unwrap_or_default().trim_ascii_end();
            let is_level = levels.iter().any(|level| level.as_bytes().eq_ignore_ascii_case(host));
            !matches!(header.timestamp, Timestamp::None)
                && header.appname.is_some()
                && !message.is_empty()
                && !host.is_empty()
                && !is_level
        }
    }
}

fn priority(text: &[u8]) -> Parsed<'_, u8> {
    let number = map_opt(take_while_m_n(1, 3, |byte: u8| byte.is_ascii_digit()), |digits: &[u8]| {
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number <= 191)
    });
    delimited(char('<'), number, char('>')).parse(text)
}

fn word(text: &[u8]) -> Parsed<'_, &[u8]> {
    terminated(take_while1(|byte| byte != b' '), char(' ')).parse(text)
}

/// A word that is not `-`.
fn given(text: &[u8]) -> Parsed<'_, Option<&[u8]>> {
    word.map(|word| (word != b"-").then_some(word)).parse(text)
}

/// The new kind: what is left is the message.
fn rfc5424(text: &[u8]) -> Parsed<'_, Header<'_>> {
    let mut head = preceded((tag("1"), char(' ')), (timestamp_or_none, given, given, given, given));
    let (rest, (timestamp, hostname, appname, procid, msgid)) = head.parse(text)?;
    let (rest, structured) = alt((tag("-"), recognize(elements))).parse(rest)?;
    let structured = if structured == b"-" { &[] } else { structured };
    let message = match rest.split_first() {
        None => rest,
        Some((b' ', message)) => message.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(message),
        Some(_) => return Err(refused(rest)),
    };
    Ok((message, Header { timestamp, hostname, appname, procid, msgid, structured, ..Header::default() }))
}

fn timestamp_or_none(text: &[u8]) -> Parsed<'_, Timestamp<'_>> {
    alt((terminated(whole_time, char(' ')), tag("- ").map(|_| Timestamp::None))).parse(text)
}

/// `2026-11-03T08:15:09.123Z`, whatever follows the day.
fn whole_time(text: &[u8]) -> Parsed<'_, Timestamp<'_>> {
    let digits = |n| take_while_m_n(n, n, |byte: u8| byte.is_ascii_digit());
    let day = (digits(4), char('-'), digits(2), char('-'), digits(2), char('T'), digits(2), char(':'));
    recognize((day, take_while1(|byte: u8| byte != b' '))).map(Timestamp::Whole).parse(text)
}

/// Elements of structured data; there is one at least.
fn elements(text: &[u8]) -> Parsed<'_, ()> {
    let (rest, ()) = element(text, &mut |_, _, _| {})?;
    fold_many0(|text| element(text, &mut |_, _, _| {}), || (), |(), ()| ()).parse(rest)
}

/// One element; `each` is given its id and each of its parameters, and the id alone once before them.
fn element<'t>(text: &'t [u8], each: &mut dyn FnMut(&'t [u8], &'t [u8], Option<&'t [u8]>)) -> Parsed<'t, ()> {
    let name = |text| take_while1(|byte: u8| byte > b' ' && !matches!(byte, b'=' | b']' | b'"')).parse(text);
    let (mut rest, id) = preceded(char('['), name).parse(text)?;
    each(id, b"", None);
    loop {
        let (after, parameter) = opt(preceded(
            take_while1(|byte| byte == b' '),
            separated_pair(name, char('='), delimited(char('"'), parameter_value, char('"'))),
        ))
        .parse(rest)?;
        rest = after;
        match parameter {
            Some((name, value)) => each(id, name, Some(value)),
            None => break,
        }
    }
    preceded(take_while(|byte| byte == b' '), char(']')).map(|_| ()).parse(rest)
}

fn parameter_value(text: &[u8]) -> Parsed<'_, &[u8]> {
    match unescaped_position(text, |byte| byte == b'"') {
        Some(at) => {
            let (value, rest) = text.split_at(at);
            Ok((rest, value))
        }
        None => Err(refused(text)),
    }
}

/// The older kind says little that can be relied on; whatever is no header is message.
fn rfc3164(text: &[u8]) -> (&[u8], Header<'_>) {
    let times = alt((whole_time, short_time));
    let mut header = Header::default();
    // The beginning of a new header, which ends with the host.
    let text = text.strip_prefix(b"1 ").filter(|rest| whole_time(rest).is_ok()).unwrap_or(text);
    let Ok((rest, timestamp)) = terminated(times, char(' ')).parse(text) else {
        if let Ok((message, (name, Some(id)))) = program(text) {
            (header.appname, header.procid) = (Some(name), Some(id));
            return (message, header);
        }
        return (text, header);
    };
    header.timestamp = timestamp;
    let mut rest = rest.trim_ascii_start();
    let (after, first) =
        take_till::<_, _, nom::error::Error<&[u8]>>(|byte| byte == b' ').parse(rest).unwrap_or((rest, b""));
    if !first.ends_with(b":") && !after.is_empty() {
        header.hostname = Some(first);
        rest = after.trim_ascii_start();
    }
    if let Ok((message, (name, id))) = program(rest) {
        (header.appname, header.procid) = (Some(name), id);
        rest = message;
    }
    (rest, header)
}

/// `Nov  3 08:15:09`, also with decimals, and with a year after the day.
fn short_time(text: &[u8]) -> Parsed<'_, Timestamp<'_>> {
    const MONTHS: [&[u8; 3]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = map_opt(take(3usize), |name: &[u8]| {
        let at = MONTHS.iter().position(|month| month.as_slice() == name)?;
        u8::try_from(at + 1).ok()
    });
    let blanks = || take_while1(|byte| byte == b' ');
    let two = || take_while_m_n(2, 2, |byte: u8| byte.is_ascii_digit());
    let day = map_opt(take_while_m_n(1, 2, |byte: u8| byte.is_ascii_digit()), |digits: &[u8]| {
        std::str::from_utf8(digits).ok()?.parse::<u8>().ok().filter(|day| (1..=31).contains(day))
    });
    let year = terminated(take_while_m_n(4, 4, |byte: u8| byte.is_ascii_digit()), blanks());
    let seconds = (char(':'), two(), opt((char('.'), digit1)));
    let time = recognize((two(), char(':'), two(), seconds));
    let (rest, (month, _, day, _, year, time)) = (month, blanks(), day, blanks(), opt(year), time).parse(text)?;
    // The time may have a colon after it, as routers write it.
    let after = rest.strip_prefix(b":").filter(|after| after.starts_with(b" ")).unwrap_or(rest);
    let text = text.get(..text.len() - rest.len()).unwrap_or_default();
    let found = match year {
        Some(year) => Timestamp::Dated { year, month, day, time },
        None => Timestamp::Yearless { text, month, day, time },
    };
    Ok((after, found))
}

/// `sshd[4711]: ` or `sudo: `.
fn program(text: &[u8]) -> Parsed<'_, (&[u8], Option<&[u8]>)> {
    let name = verify(take_while1(|byte: u8| byte > b' ' && !matches!(byte, b'[' | b':')), |name: &[u8]| {
        name.len() <= LONGEST_TAG
    });
    let id = delimited(char('['), take_while1(|byte: u8| byte > b' ' && byte != b']'), char(']'));
    let (rest, (name, id)) = terminated((name, opt(id)), char(':')).parse(text)?;
    match rest.first() {
        None | Some(b' ') => Ok((rest.trim_ascii_start(), (name, id))),
        Some(_) => Err(refused(rest)),
    }
}

/// Writes the members of a message that is of a format itself; false where it is not, whatever was written.
pub(super) fn payload(message: &[u8], json: &mut Json<'_>) -> bool {
    let text = message.strip_prefix(b"@cee:").unwrap_or(message).trim_ascii();
    if text.starts_with(b"CEF:") {
        return cef::members(text, json).is_ok();
    }
    if text.starts_with(b"LEEF:") {
        // Tabs stand between its attributes, the last of which may be empty.
        return leef::members(message.trim_ascii_start(), json).is_ok();
    }
    if let Some(members) = text.strip_prefix(b"{").and_then(|inner| inner.strip_suffix(b"}")) {
        let is = serde_json::from_slice::<&RawValue>(text).is_ok();
        let members = members.trim_ascii();
        if is && !members.is_empty() {
            json.raw(members);
        }
        return is;
    }
    kv::members(text, None, json).is_ok_and(|pairs| pairs >= kv::FEWEST)
}

impl Header<'_> {
    /// Whether it ended with the host, as in front of CEF and LEEF, and its next words are of the message.
    fn is_short(&self) -> bool {
        self.appname.is_some_and(|name| name.starts_with(b"CEF:") || name.starts_with(b"LEEF:"))
    }

    fn write(&self, near: Option<i64>, json: &mut Json<'_>) {
        if let Some(priority) = self.priority {
            for (key, number) in [("priority", priority), ("facility", priority >> 3), ("severity", priority & 7)] {
                json.key(key.as_bytes());
                json.int(u64::from(number));
            }
        }
        self.timestamp.write(near, json);
        let words =
            [("hostname", self.hostname), ("appname", self.appname), ("procid", self.procid), ("msgid", self.msgid)];
        for (key, word) in words {
            if let Some(word) = word {
                json.field(key, word);
            }
        }
        if self.structured.is_empty() {
            return;
        }
        json.key(b"structured_data");
        json.open();
        let mut rest = self.structured;
        while !rest.is_empty() {
            json_element(&mut rest, json);
        }
        json.close();
    }
}

/// Writes the element that the text begins with, and takes it off.
fn json_element(text: &mut &[u8], json: &mut Json<'_>) {
    let written = element(text, &mut |id, name, value| match value {
        None => {
            json.key(id);
            json.open();
        }
        Some(value) => {
            json.key(name);
            json.text_of(unescaped(value, |byte| match byte {
                b'"' => Some(b"\""),
                b'\\' => Some(b"\\"),
                b']' => Some(b"]"),
                _ => None,
            }));
        }
    });
    // They were read before: nothing else can be here.
    *text = written.map_or(&[], |(rest, ())| rest);
    json.close();
}

impl Timestamp<'_> {
    fn write(self, near: Option<i64>, json: &mut Json<'_>) {
        let (year, month, day, time) = match self {
            Timestamp::None => return,
            Timestamp::Whole(text) => return json.field("timestamp", text),
            Timestamp::Dated { year, month, day, time } => {
                (String::from_utf8_lossy(year).into_owned(), month, day, time)
            }
            Timestamp::Yearless { text, month, day, time } => {
                match near.and_then(|near| year(near, month, day, time)) {
                    Some(year) => (year.to_string(), month, day, time),
                    None => return json.field("timestamp", text),
                }
            }
        };
        json.key(b"timestamp");
        json.text_of([format!("{year}-{month:02}-{day:02}T").as_bytes(), time]);
    }
}

/// The last year in which there was such a time, a day after `near` at most.
fn year(near: i64, month: u8, day: u8, time: &[u8]) -> Option<i16> {
    let until = date_parts(near.checked_add(DAY)?)?;
    let number = |at: usize| {
        let digits = time.get(at..at + 2)?;
        digits.iter().try_fold(0i16, |all, digit| Some(all * 10 + i16::from(digit.checked_sub(b'0')?)))
    };
    let (hour, minute) = (number(0)?, number(3)?);
    let (month, day) = (i16::from(month), i16::from(day));
    let this = (month, day, hour, minute) <= (until.month, until.day, until.hour, until.minute);
    let year = if this { until.year } else { until.year - 1 };
    let leap = |year: i16| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month, day) == (2, 29) { (year - 8..=year).rev().find(|year| leap(*year)) } else { Some(year) }
}
