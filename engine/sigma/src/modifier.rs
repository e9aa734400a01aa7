//! Modifiers, from left to right: each takes the values that the one before it made.

mod encode;
mod windash;

pub(crate) use windash::variants;

use ipnet::IpNet;
use tripline_base::{Code, Diagnostic, Span, did_you_mean};
use tripline_syntax::ast::CompareOp;

use crate::codes;
use crate::model::{FieldRef, Item, Number, RefOp, Regex, Value, Word};
use crate::pattern::Pattern;
use crate::yaml::{Node, Scalar};

/// All modifiers.
pub const NAMES: &[&str] = &[
    "all",
    "base64",
    "base64offset",
    "cased",
    "cidr",
    "contains",
    "day",
    "dotall",
    "endswith",
    "exists",
    "expand",
    "fieldref",
    "gt",
    "gte",
    "hour",
    "i",
    "ignorecase",
    "lt",
    "lte",
    "m",
    "minute",
    "month",
    "multiline",
    "neq",
    "re",
    "s",
    "startswith",
    "utf16",
    "utf16be",
    "utf16le",
    "week",
    "wide",
    "windash",
    "year",
];

/// What does not fit.
pub(crate) struct Problem {
    pub code: &'static Code,
    pub message: String,
    pub help: Option<String>,
}

impl Problem {
    fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), help: None }
    }

    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// An item of a search: the field with its modifiers, and its values as YAML. None where it cannot be read.
pub(crate) fn item(
    field: Option<String>,
    modifiers: &[Word],
    key_span: Span,
    span: Span,
    values: &[Node],
    out: &mut Vec<Diagnostic>,
) -> Option<Item> {
    let mut failed = false;
    for modifier in modifiers {
        if !NAMES.contains(&modifier.text.as_str()) {
            let message = format!("there is no modifier `{}`", modifier.text);
            let hint = did_you_mean(&modifier.text, NAMES.iter().copied());
            out.push(Diagnostic::new(&codes::UNKNOWN_MODIFIER, modifier.span, message).maybe_help(hint));
            failed = true;
        }
    }
    if failed {
        return None;
    }
    let regex = modifiers.iter().any(|modifier| modifier.text == "re");
    let mut item = Item { span, key_span, field, values: Vec::new(), all: false, negated: false, applied: Vec::new() };
    for node in values {
        let Some(scalar) = node.scalar() else {
            let message = format!("a value cannot be {}", node.what());
            out.push(Diagnostic::new(&codes::BAD_DETECTION, node.span, message));
            failed = true;
            continue;
        };
        let written = node.text().unwrap_or("");
        let value = match scalar {
            _ if regex => {
                let source = Pattern::literal(written);
                Value::Regex(Regex { source, ..Regex::default() })
            }
            Scalar::Null => Value::Null,
            Scalar::Bool(value) => Value::Bool(value),
            Scalar::Int(value) => Value::Number(Number::Int(value)),
            Scalar::Float(value) => Value::Number(Number::Float(value)),
            Scalar::Text(text) => Value::Text(Pattern::parse(&text)),
        };
        match chain(value, modifiers, item.field.is_some(), node, out) {
            Ok(value) => item.values.push((value, node.span)),
            Err((modifier, problem)) => {
                let at = if problem.code == &codes::MODIFIER_ORDER { modifier } else { node.span };
                let mut said = Diagnostic::new(problem.code, at, problem.message).maybe_help(problem.help);
                if at != modifier {
                    said = said.also(modifier, "asked for here");
                }
                out.push(said);
                failed = true;
            }
        }
    }
    if values.is_empty() {
        if item.field.is_none() {
            out.push(Diagnostic::new(&codes::BAD_DETECTION, span, "there is nothing to look for"));
            return None;
        }
        item.values.push((Value::Null, span));
    }
    item.all = modifiers.iter().any(|modifier| modifier.text == "all");
    item.negated = modifiers.iter().any(|modifier| modifier.text == "neq");
    (!failed).then_some(item)
}

type Failed = (Span, Problem);

fn chain(
    mut value: Value,
    modifiers: &[Word],
    field: bool,
    node: &Node,
    out: &mut Vec<Diagnostic>,
) -> Result<Value, Failed> {
    let written = node.text().unwrap_or("");
    for (n, modifier) in modifiers.iter().enumerate() {
        let name = modifier.text.as_str();
        let first = n == 0;
        // Numbers that are meant as text, and text that is meant as a number.
        let converted = match (&value, wants(name)) {
            (Value::Number(_) | Value::Bool(_), Wants::Text) => Some(Value::Text(Pattern::parse(written))),
            (Value::Text(_), Wants::Number) => match Scalar::read(written, true) {
                Scalar::Int(number) => Some(Value::Number(Number::Int(number))),
                Scalar::Float(number) => Some(Value::Number(Number::Float(number))),
                _ => None,
            },
            _ => None,
        };
        if let Some(converted) = converted {
            let message = format!("`{name}` works on {}", if wants(name) == Wants::Text { "text" } else { "numbers" });
            let help = if wants(name) == Wants::Text { "put the value in quotes" } else { "take the quotes away" };
            out.push(Diagnostic::new(&codes::UNQUOTED_NUMBER, node.span, message).help(help));
            value = converted;
        }
        value = apply(value, name, first, field).map_err(|problem| (modifier.span, problem))?;
    }
    if let Value::Bytes(_) = value {
        let problem =
            Problem::new(&codes::MODIFIER_ORDER, "this encoding is of use only before `base64` or `base64offset`");
        let at = modifiers.iter().rfind(|m| encode::is_encoding(&m.text)).map_or(node.span, |m| m.span);
        return Err((at, problem.help("add `|base64offset|contains` behind it")));
    }
    Ok(value)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wants {
    Text,
    Number,
    Other,
}

fn wants(name: &str) -> Wants {
    match name {
        "contains" | "startswith" | "endswith" | "cased" | "base64" | "base64offset" | "utf16" | "utf16le"
        | "utf16be" | "wide" | "windash" | "expand" | "fieldref" | "cidr" => Wants::Text,
        "lt" | "lte" | "gt" | "gte" | "minute" | "hour" | "day" | "week" | "month" | "year" => Wants::Number,
        _ => Wants::Other,
    }
}

fn apply(value: Value, name: &str, first: bool, field: bool) -> Result<Value, Problem> {
    if let Value::AnyOf(values) = value {
        let values: Result<Vec<Value>, Problem> =
            values.into_iter().map(|value| apply(value, name, first, field)).collect();
        return values.map(Value::AnyOf);
    }
    match (name, value) {
        ("all" | "neq" | "re", value) if name != "re" || first => Ok(value),
        ("re" | "cidr" | "exists", _) if !first => {
            Err(Problem::new(&codes::MODIFIER_ORDER, format!("`{name}` comes first, on values as they are written")))
        }
        ("contains" | "startswith" | "endswith", Value::Text(mut pattern)) => {
            if name != "startswith" {
                pattern.open_start();
            }
            if name != "endswith" {
                pattern.open_end();
            }
            Ok(Value::Text(pattern))
        }
        ("contains", Value::Regex(regex)) => Ok(Value::Regex(regex)),
        ("startswith", Value::Regex(regex)) => Ok(Value::Regex(Regex { from_start: true, ..regex })),
        ("endswith", Value::Regex(regex)) => Ok(Value::Regex(Regex { to_end: true, ..regex })),
        ("contains" | "startswith" | "endswith", Value::FieldRef(reference)) => {
            let op = match name {
                "contains" => RefOp::Contains,
                "startswith" => RefOp::Starts,
                _ => RefOp::Ends,
            };
            Ok(Value::FieldRef(FieldRef { op, ..reference }))
        }
        ("cased", Value::Text(pattern)) => Ok(Value::Text(Pattern { cased: true, ..pattern })),
        ("cased", Value::FieldRef(reference)) => Ok(Value::FieldRef(FieldRef { cased: true, ..reference })),
        ("cased", Value::Regex(regex)) => Ok(Value::Regex(regex)),
        ("i" | "ignorecase", Value::Regex(regex)) => Ok(Value::Regex(Regex { ignore_case: true, ..regex })),
        ("m" | "multiline", Value::Regex(regex)) => Ok(Value::Regex(Regex { multi_line: true, ..regex })),
        ("s" | "dotall", Value::Regex(regex)) => Ok(Value::Regex(Regex { dot_all: true, ..regex })),
        ("i" | "ignorecase" | "m" | "multiline" | "s" | "dotall", _) => {
            Err(Problem::new(&codes::MODIFIER_ORDER, format!("`{name}` follows `re`")))
        }
        ("cidr", Value::Text(pattern)) => network(&pattern.written()),
        ("exists", Value::Bool(value)) if field => Ok(Value::Exists(value)),
        ("exists", _) if !field => Err(Problem::new(&codes::MODIFIER_ORDER, "`exists` asks about a field")),
        ("exists", _) => Err(Problem::new(&codes::BAD_VALUE, "`exists` takes `true` or `false`")),
        ("lt", Value::Number(number)) => Ok(Value::Compare(CompareOp::Lt, number)),
        ("lte", Value::Number(number)) => Ok(Value::Compare(CompareOp::Le, number)),
        ("gt", Value::Number(number)) => Ok(Value::Compare(CompareOp::Gt, number)),
        ("gte", Value::Number(number)) => Ok(Value::Compare(CompareOp::Ge, number)),
        ("minute" | "hour" | "day" | "week" | "month" | "year", Value::Number(Number::Int(number))) => {
            let unit = ["minute", "hour", "day", "week", "month", "year"].into_iter().find(|unit| *unit == name);
            Ok(Value::Time(unit.unwrap_or("year"), number))
        }
        ("lt" | "lte" | "gt" | "gte", _) => {
            Err(Problem::new(&codes::BAD_VALUE, format!("`{name}` compares with a number")))
        }
        ("minute" | "hour" | "day" | "week" | "month" | "year", _) => {
            Err(Problem::new(&codes::BAD_VALUE, format!("`{name}` takes a whole number")))
        }
        ("base64" | "base64offset" | "utf16" | "utf16le" | "utf16be" | "wide", value) => encode::encode(name, value),
        ("windash", Value::Text(pattern)) => windash::expand(&pattern),
        ("fieldref", Value::Text(pattern)) => match pattern.as_literal() {
            Some(field) => {
                Ok(Value::FieldRef(FieldRef { field: field.to_string(), op: RefOp::Equals, cased: pattern.cased }))
            }
            None => Err(Problem::new(&codes::BAD_VALUE, "the name of a field has no wildcards")
                .help("put `contains`, `startswith` or `endswith` behind `fieldref`")),
        },
        ("expand", Value::Text(mut pattern)) => {
            pattern.find_placeholders();
            Ok(Value::Text(pattern))
        }
        ("expand", Value::Regex(mut regex)) => {
            regex.source.find_placeholders();
            Ok(Value::Regex(regex))
        }
        (_, Value::Null) => Err(Problem::new(&codes::BAD_VALUE, format!("`{name}` has nothing to work on"))
            .help("write `''` for an empty text, or leave the modifier out to ask for a missing field")),
        (_, value) => {
            Err(Problem::new(&codes::MODIFIER_ORDER, format!("`{name}` cannot work on {}", describe(&value))))
        }
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Regex(_) => "a regular expression",
        Value::Cidr(_) => "a network",
        Value::Compare(..) | Value::Time(..) | Value::Number(_) => "a number",
        Value::FieldRef(_) => "the name of a field",
        Value::Exists(_) | Value::Bool(_) => "a truth value",
        Value::Bytes(_) => "encoded bytes",
        _ => "this value",
    }
}

fn network(text: &str) -> Result<Value, Problem> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => match text.parse::<std::net::IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => {
                return Err(Problem::new(&codes::BAD_VALUE, format!("`{text}` is no network"))
                    .help("write an address and the length of its prefix, as in `10.0.0.0/8`"));
            }
        },
    };
    if net.trunc() != net {
        return Err(Problem::new(&codes::BAD_VALUE, format!("`{text}` has bits set behind its prefix"))
            .help(format!("the network is `{}`", net.trunc())));
    }
    Ok(Value::Cidr(net))
}
