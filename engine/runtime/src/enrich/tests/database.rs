//! Writes databases in MaxMind's format, as small as tests need them: IPv4, records of 24 bits.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde_json::{Value as Json, json};

#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A database of these networks, which do not overlap.
pub fn write(networks: &[(&str, &Json)]) -> Vec<u8> {
    let mut nodes = vec![[Record::Nothing; 2]];
    let mut data = Vec::new();
    for (network, facts) in networks {
        let (address, length) = network.split_once('/').unwrap();
        let bits = u32::from(address.parse::<Ipv4Addr>().unwrap());
        let length: u32 = length.parse().unwrap();
        let mut at = 0;
        for depth in 0..length {
            let side = (bits >> (31 - depth) & 1) as usize;
            if depth + 1 == length {
                nodes[at][side] = Record::Data(data.len());
            } else if let Record::Node(next) = nodes[at][side] {
                at = next;
            } else {
                nodes.push([Record::Nothing; 2]);
                nodes[at][side] = Record::Node(nodes.len() - 1);
                at = nodes.len() - 1;
            }
        }
        encode(facts, &mut data);
    }
    let count = nodes.len();
    let mut out = Vec::new();
    for record in nodes.into_iter().flatten() {
        let number = match record {
            Record::Nothing => count,
            Record::Node(at) => at,
            Record::Data(at) => count + 16 + at,
        };
        out.extend(&(number as u32).to_be_bytes()[1..]);
    }
    out.extend([0; 16]);
    out.extend(data);
    out.extend(b"\xab\xcd\xefMaxMind.com");
    let about = json!({
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_767_607_200,
        "database_type": "Tripline-Test", "description": { "en": "a test" }, "ip_version": 4, "languages": ["en"],
        "node_count": count, "record_size": 24,
    });
    encode(&about, &mut out);
    out
}

fn begin(kind: u8, size: usize, out: &mut Vec<u8>) {
    assert!(size < 29 + 256);
    let short = size.min(29) as u8;
    match kind {
        0..8 => out.push(kind << 5 | short),
        _ => out.extend([short, kind - 7]),
    }
    if short == 29 {
        out.push((size - 29) as u8);
    }
}

fn whole(kind: u8, number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let bytes = &bytes[bytes.iter().position(|byte| *byte > 0).unwrap_or(8)..];
    begin(kind, bytes.len(), out);
    out.extend(bytes);
}

fn encode(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::String(text) => {
            begin(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Json::Number(number) if number.is_u64() => {
            whole(6, number.as_u64().unwrap(), out);
        }
        Json::Number(number) => {
            begin(3, 8, out);
            out.extend(number.as_f64().unwrap().to_be_bytes());
        }
        Json::Bool(truth) => begin(14, usize::from(*truth), out),
        Json::Array(items) => {
            begin(11, items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
        Json::Object(members) => {
            begin(7, members.len(), out);
            for (name, member) in members.iter().collect::<BTreeMap<_, _>>() {
                encode(&Json::from(name.as_str()), out);
                // What the database says of itself is read by its types.
                match (name.as_str(), member.as_u64()) {
                    ("build_epoch", Some(number)) => whole(9, number, out),
                    ("binary_format_major_version" | "binary_format_minor_version", Some(number))
                    | ("ip_version" | "record_size", Some(number)) => whole(5, number, out),
                    _ => encode(member, out),
                }
            }
        }
        Json::Null => panic!("there is no null"),
    }
}
