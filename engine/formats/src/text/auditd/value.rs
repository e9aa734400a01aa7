//! Values of the audit log. Text that a user could choose is quoted, or written in hexadecimal digits where it has a
//! blank, a quote or a control character in it; this is known by the name of the field.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::record::Value;
use crate::json::Json;
use crate::text::escaped::hex;

/// Fields that are encoded so, besides the arguments of `EXECVE`; those of `msg='…'` among them.
const ENCODED: [&[u8]; 24] = [
    b"acct",
    b"cmd",
    b"comm",
    b"cwd",
    b"data",
    b"dir",
    b"exe",
    b"file",
    b"grp",
    b"invalid_context",
    b"key",
    b"name",
    b"new_group",
    b"ocomm",
    b"old-disk",
    b"new-disk",
    b"path",
    b"proctitle",
    b"root_dir",
    b"sw",
    b"vm",
    b"watch",
    b"device",
    b"filetype",
];

/// Writes a value of a field.
pub(super) fn write(key: &[u8], value: Value<'_>, json: &mut Json<'_>) {
    match decoded(value).filter(|_| ENCODED.contains(&key)) {
        Some(text) => json.text_of(spaced(&text)),
        None => json.text(value.text),
    }
}

/// What hexadecimal digits stand for; none where there are none.
fn decoded(value: Value<'_>) -> Option<Vec<u8>> {
    if value.quoted || value.text.iter().any(u8::is_ascii_lowercase) { None } else { hex(value.text) }
}

/// The parts of a text, with blanks between them where it has zeros, as the arguments of a program have; a zero at the
/// end is none of it.
fn spaced(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let parts = text.get(..end).unwrap_or_default().split(|byte| *byte == 0);
    parts.enumerate().flat_map(|(at, part)| [if at > 0 { b" ".as_slice() } else { b"" }, part])
}

/// Writes the arguments of a program, each under its name, and all of them as `cmdline`. A long one comes in parts
/// (`a1[0]`, `a1[1]`), which are one again.
pub(super) fn arguments(arguments: &[(&[u8], Value<'_>)], json: &mut Json<'_>) {
    let mut whole: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for (key, value) in arguments {
        let name = key.split(|byte| *byte == b'[').next().unwrap_or_default();
        // `a1_len` says how long the parts are together.
        if name.iter().skip(1).any(|byte| !byte.is_ascii_digit()) {
            continue;
        }
        let text = decoded(*value).unwrap_or_else(|| value.text.to_vec());
        match whole.last_mut() {
            Some((last, parts)) if *last == name && name.len() < key.len() => parts.extend_from_slice(&text),
            _ => whole.push((name, text)),
        }
    }
    for (name, text) in &whole {
        json.key(name);
        json.text(text);
    }
    json.key(b"cmdline");
    let all = whole.iter().enumerate();
    json.text_of(all.flat_map(|(at, (_, text))| [if at > 0 { b" ".as_slice() } else { b"" }, text]));
}

/// Writes what a socket's address says, by the names that an enriched log has for it; nothing where its family is not
/// known.
pub(super) fn address(text: &[u8], json: &mut Json<'_>) {
    let Some(bytes) = hex(text) else { return };
    let port = || Some(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?));
    let family = bytes.get(..2).and_then(|two| Some(u16::from_le_bytes(two.try_into().ok()?)));
    let ip = match family {
        Some(1) => {
            let path = bytes.get(2..).unwrap_or_default();
            // The name of an abstract socket begins with a zero.
            let path = path.strip_prefix(b"\0").unwrap_or(path);
            json.field("saddr_fam", b"local");
            json.field("path", path.split(|byte| *byte == 0).next().unwrap_or_default());
            return;
        }
        Some(2) => bytes.get(4..8).and_then(|ip| Some(("inet", Ipv4Addr::from(<[u8; 4]>::try_from(ip).ok()?).into()))),
        Some(10) => {
            bytes.get(8..24).and_then(|ip| Some(("inet6", Ipv6Addr::from(<[u8; 16]>::try_from(ip).ok()?).into())))
        }
        _ => None,
    };
    let said: Option<((&str, IpAddr), u16)> = ip.zip(port());
    if let Some(((family, ip), port)) = said {
        json.field("saddr_fam", family.as_bytes());
        json.field("laddr", ip.to_string().as_bytes());
        json.key(b"lport");
        json.int(u64::from(port));
    }
}
