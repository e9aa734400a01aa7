//! The records of an event, and the object that they make: every field once, with several values where several records
//! have it and they differ. Arguments of a program that was executed take the place of those of the system call.

use std::collections::HashMap;

use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_till1, take_while1};
use nom::character::complete::{char, digit1};
use nom::combinator::{consumed, opt};
use nom::sequence::{delimited, preceded, terminated};

use super::super::Parsed;
use super::value;
use crate::json::Json;

/// Kinds of records that come with others under one number. All else comes alone.
const SEVERAL: [&[u8]; 34] = [
    b"SYSCALL",
    b"PATH",
    b"IPC",
    b"SOCKETCALL",
    b"CONFIG_CHANGE",
    b"SOCKADDR",
    b"CWD",
    b"EXECVE",
    b"IPC_SET_PERM",
    b"MQ_OPEN",
    b"MQ_SENDRECV",
    b"MQ_NOTIFY",
    b"MQ_GETSETATTR",
    b"KERNEL_OTHER",
    b"FD_PAIR",
    b"OBJ_PID",
    b"TTY",
    b"EOE",
    b"BPRM_FCAPS",
    b"CAPSET",
    b"MMAP",
    b"NETFILTER_PKT",
    b"NETFILTER_CFG",
    b"SECCOMP",
    b"PROCTITLE",
    b"FEATURE_CHANGE",
    b"KERN_MODULE",
    b"FANOTIFY",
    b"TIME_INJOFFSET",
    b"TIME_ADJNTPVAL",
    b"BPF",
    b"URINGOP",
    b"OPENAT2",
    b"AVC",
];

/// What a record begins with.
pub(super) struct Head<'t> {
    /// The machine, where the log has several.
    pub node: &'t [u8],
    pub kind: &'t [u8],
    /// `TIME:NUMBER`.
    pub stamp: &'t [u8],
    pub time: &'t [u8],
    pub serial: &'t [u8],
    /// The time in milliseconds.
    pub millis: u64,
    /// What follows the head.
    pub fields: &'t [u8],
    /// Whether others may follow under the number.
    pub has_several: bool,
    /// Whether none follows.
    pub is_last: bool,
}

/// Reads what a record begins with.
pub(super) fn head(text: &[u8]) -> Option<Head<'_>> {
    let (rest, (node, kind)) = kind(text).ok()?;
    let (fields, Stamp { time, seconds, decimals, serial }) = stamp(rest).ok()?;
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse::<u64>().ok();
    let millis = decimals.and_then(|digits| number(digits.get(..3)?)).unwrap_or(0);
    Some(Head {
        node: node.unwrap_or_default(),
        kind,
        stamp: rest.get(..time.len() + 1 + serial.len())?,
        time,
        serial,
        millis: number(seconds)?.saturating_mul(1000).saturating_add(millis),
        fields: fields.trim_ascii(),
        has_several: SEVERAL.contains(&kind) || kind.starts_with(b"MAC_") || kind.starts_with(b"ANOM_"),
        is_last: matches!(kind, b"PROCTITLE" | b"EOE"),
    })
}

/// `node=HOST type=NAME msg=audit(`, where the node may be missing.
fn kind(text: &[u8]) -> Parsed<'_, (Option<&[u8]>, &[u8])> {
    fn word(text: &[u8]) -> Parsed<'_, &[u8]> {
        terminated(take_till1(|byte| byte == b' '), char(' ')).parse(text)
    }
    let node = opt(preceded(tag("node="), word));
    terminated((node, preceded(tag("type="), word)), tag("msg=audit(")).parse(text)
}

/// When an event was, and its number.
struct Stamp<'t> {
    time: &'t [u8],
    seconds: &'t [u8],
    decimals: Option<&'t [u8]>,
    serial: &'t [u8],
}

/// `1763713809.123:456):`.
fn stamp(text: &[u8]) -> Parsed<'_, Stamp<'_>> {
    let time = consumed((digit1, opt(preceded(char('.'), digit1))));
    (time, delimited(char(':'), digit1, tag("):")))
        .map(|((time, (seconds, decimals)), serial)| Stamp { time, seconds, decimals, serial })
        .parse(text)
}

/// A value, and how it is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Value<'t> {
    pub text: &'t [u8],
    /// Whether it stood between double quotes: what did is not encoded.
    pub quoted: bool,
    /// Whether it stood between what holds pairs.
    pub nested: bool,
}

/// Fields in the order in which they were met, and where each is.
#[derive(Default)]
struct Fields<'t> {
    list: Vec<(&'t [u8], Vec<Value<'t>>)>,
    at: HashMap<&'t [u8], usize>,
}

impl<'t> Fields<'t> {
    fn add(&mut self, key: &'t [u8], value: Value<'t>) {
        let at = *self.at.entry(key).or_insert(self.list.len());
        if at == self.list.len() {
            self.list.push((key, vec![value]));
        } else if let Some((_, values)) = self.list.get_mut(at)
            && !values.contains(&value)
            && values.len() < MOST_VALUES
        {
            values.push(value);
        }
    }
}

/// How many different values of one field are kept; an event has as many records as paths that it touched.
const MOST_VALUES: usize = 256;

/// Writes the members of an event of these records.
pub(super) fn members(text: &[u8], json: &mut Json<'_>) {
    let records: Vec<Head<'_>> = text.split(|byte| *byte == b'\n').filter_map(head).collect();
    let Some(first) = records.first() else { return };
    let mut kinds: Vec<&[u8]> = Vec::new();
    for record in &records {
        if record.kind != b"EOE" && !kinds.contains(&record.kind) {
            kinds.push(record.kind);
        }
    }
    json.key(b"type");
    several(&kinds, json, |kind, json| json.text(kind));
    json.number_field("time", first.time);
    json.number_field("serial", first.serial);
    if !first.node.is_empty() {
        json.field("node", first.node);
    }
    let executed = kinds.contains(&b"EXECVE".as_slice());
    let mut fields = Fields::default();
    let mut arguments = Vec::new();
    for record in &records {
        let (execve, syscall) = (record.kind == b"EXECVE", record.kind == b"SYSCALL");
        pairs(record.fields, &mut |key, value| {
            if execve && is_argument(key) {
                arguments.push((key, value));
            } else if !(executed && syscall && is_argument(key)) && is_said(value) {
                fields.add(key, value);
            }
        });
    }
    for (key, values) in &fields.list {
        json.key(key);
        several(values, json, |value, json| value::write(key, *value, json));
    }
    let said = |key: &[u8]| fields.at.contains_key(key);
    if let Some((_, values)) = fields.at.get(b"saddr".as_slice()).and_then(|at| fields.list.get(*at))
        && let Some(value) = values.first().filter(|_| !said(b"saddr_fam"))
    {
        value::address(value.text, json);
    }
    if executed {
        value::arguments(&arguments, json);
    }
}

/// One value, or an array of several.
fn several<T>(values: &[T], json: &mut Json<'_>, write: impl Fn(&T, &mut Json<'_>)) {
    match values {
        [one] => write(one, json),
        values => {
            json.open_array();
            values.iter().for_each(|value| write(value, json));
            json.close_array();
        }
    }
}

/// `a0`, `a12`, and `a1[0]`, a part of a long one.
fn is_argument(key: &[u8]) -> bool {
    key.strip_prefix(b"a").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_digit))
}

/// Whether a value says anything.
fn is_said(value: Value<'_>) -> bool {
    value.quoted || !matches!(value.text, b"" | b"?" | b"(null)" | b"(none)")
}

/// Gives each pair of a record. What is in `msg='…'`, and what a log that was enriched has after a separator, is of the
/// record too; words that are no pairs are passed over.
fn pairs<'t>(text: &'t [u8], each: &mut dyn FnMut(&'t [u8], Value<'t>)) {
    let mut rest = text;
    loop {
        rest = skip(rest);
        if rest.is_empty() {
            return;
        }
        match pair(rest) {
            // What is written in the record's own words.
            Ok((after, (b"msg" | b"SADDR", value))) if value.nested => {
                pairs(value.text, each);
                rest = after;
            }
            Ok((after, (key, value))) => {
                each(key, value);
                rest = after;
            }
            Err(_) => {
                let end = rest.iter().position(|byte| is_between(*byte)).unwrap_or(rest.len()).max(1);
                rest = rest.get(end..).unwrap_or_default();
            }
        }
    }
}

fn is_between(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x1d' | b',')
}

fn skip(text: &[u8]) -> &[u8] {
    let at = text.iter().position(|byte| !is_between(*byte)).unwrap_or(text.len());
    text.get(at..).unwrap_or_default()
}

fn pair(text: &[u8]) -> Parsed<'_, (&[u8], Value<'_>)> {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']');
    let key = terminated(take_while1(is_key), char('='));
    let plain = |text| Value { text, quoted: false, nested: false };
    let value = alt((
        delimited(char('"'), take_till(|byte| byte == b'"'), char('"'))
            .map(|text| Value { quoted: true, ..plain(text) }),
        delimited(char('\''), take_till(|byte| byte == b'\''), char('\''))
            .map(|text| Value { nested: true, ..plain(text) }),
        delimited(char('{'), take_till(|byte| byte == b'}'), char('}'))
            .map(|text| Value { nested: true, ..plain(text) }),
        take_till(|byte| matches!(byte, b' ' | b'\t' | b'\x1d'))
            .map(|text: &[u8]| plain(text.strip_suffix(b",").unwrap_or(text))),
    ));
    (key, value).parse(text)
}
