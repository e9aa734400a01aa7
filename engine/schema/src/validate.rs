//! Checks a whole event against the schema.
//!
//! This is what `normalize --validate` reports. It judges form alone: which
//! attributes are there, of which type, with which permitted values. Whether
//! the values are true to the log they came from is beyond it. Strings are
//! not held to the shapes which the schema suggests for e-mail addresses,
//! UUIDs and the like; addresses, networks and times are, since detections
//! compute with them.
//!
//! An attribute whose value is null counts as absent throughout.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

use crate::ocsf::{Attribute, Class, Enum, Requirement, Type, ocsf};
use crate::path::Holder;

/// One way in which an event departs from the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where: names joined by dots, elements of lists by their zero-based
    /// index, such as `resources[0].name`. Empty: the event as a whole. For
    /// something missing it is the place where it should be; for a constraint
    /// the class or object instance to which it applies.
    pub path: String,
    /// What kind of departure it is.
    pub kind: ViolationKind,
    /// The same for people: one line, without the path.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// A kind of departure from the schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ViolationKind {
    /// A required attribute is absent.
    MissingRequired,
    /// A value is not of the attribute's type.
    WrongType,
    /// A value is of the right type but not among those permitted.
    NotInEnum,
    /// The class or object has no attribute of that name.
    UnknownAttribute,
    /// The attribute belongs to profiles none of which `metadata.profiles`
    /// lists.
    InactiveProfile,
    /// At least one, or exactly one, of some attributes must be present, or
    /// `type_uid` does not follow from class and activity.
    Constraint,
    /// `class_uid` is absent or names no class. Nothing else is checked then.
    UnknownClass,
}

/// Checks an event. An empty answer means that it is valid; otherwise the
/// violations come in the order of the event's keys, depth first, and after
/// them, for each class or object, what is missing from it.
pub fn validate(event: &Value) -> Vec<Violation> {
    let mut check = Check { profiles: Vec::new(), path: String::new(), found: Vec::new() };
    let Some(map) = event.as_object() else {
        check.report(ViolationKind::WrongType, format!("an event is an object, not {}", describe(event)));
        return check.found;
    };
    if let Some(class) = check.class(map) {
        let declared = present(map, "metadata").and_then(|m| m.get("profiles"));
        let declared = declared.and_then(Value::as_array);
        check.profiles = declared.into_iter().flatten().filter_map(Value::as_str).collect();
        check.members(map, Holder::from(class));
        check.type_uid(map, class);
    }
    check.found
}

/// A check under way.
struct Check<'e> {
    /// The profiles which the event says it applies.
    profiles: Vec<&'e str>,
    /// The place being checked.
    path: String,
    found: Vec<Violation>,
}

impl<'e> Check<'e> {
    fn report(&mut self, kind: ViolationKind, message: String) {
        self.found.push(Violation { path: self.path.clone(), kind, message });
    }

    /// Does something one level down, at the attribute of this name.
    fn at(&mut self, name: &str, work: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        work(self);
        self.path.truncate(length);
    }

    /// The class of the event.
    fn class(&mut self, event: &Map<String, Value>) -> Option<&'static Class> {
        let uid = present(event, "class_uid");
        let class = uid
            .and_then(Value::as_u64)
            .and_then(|uid| u32::try_from(uid).ok())
            .and_then(|uid| ocsf().class_by_uid(uid));
        if class.is_none() {
            let message = match uid {
                None => String::from("there is no class_uid, so the class is not known"),
                Some(Value::Number(n)) => format!("no class has the uid {n}"),
                Some(other) => format!("class_uid is an integer, not {}", describe(other)),
            };
            self.at("class_uid", |c| {
                c.report(ViolationKind::UnknownClass, message);
            });
        }
        class
    }

    /// Whether the attribute belongs to the event, given its profiles. An
    /// event may name the profile of an extension without the extension.
    fn is_active(&self, attribute: &Attribute) -> bool {
        let listed = |profile: &str| {
            let bare = profile.rsplit('/').next().unwrap_or(profile);
            self.profiles.iter().any(|p| *p == profile || *p == bare)
        };
        attribute.profiles.is_empty() || attribute.profiles.iter().any(|p| listed(p))
    }

    /// Checks the attributes of the event or of an object in it.
    fn members(&mut self, map: &'e Map<String, Value>, holder: Holder<'_>) {
        for (name, value) in map.iter().filter(|(_, v)| !v.is_null()) {
            self.at(name, |c| match holder.attribute(name) {
                None => c.report(ViolationKind::UnknownAttribute, format!("{} has no such attribute", holder.name)),
                Some(attribute) => {
                    if !c.is_active(attribute) {
                        c.report(
                            ViolationKind::InactiveProfile,
                            format!(
                                "belongs to the profile {}, which metadata.profiles does not list",
                                attribute.profiles.join(" or ")
                            ),
                        );
                    }
                    c.attribute(value, attribute);
                }
            });
        }
        for attribute in holder.attributes {
            if attribute.requirement == Requirement::Required
                && present(map, attribute.name).is_none()
                && self.is_active(attribute)
            {
                self.at(attribute.name, |c| {
                    let message = format!("required by {}, but absent", holder.name);
                    c.report(ViolationKind::MissingRequired, message);
                });
            }
        }
        let count = |names: &[&str]| names.iter().filter(|n| has_path(map, n)).count();
        if !holder.at_least_one.is_empty() && count(holder.at_least_one) == 0 {
            let names = holder.at_least_one.join(", ");
            let message = format!("{} needs at least one of {names}", holder.name);
            self.report(ViolationKind::Constraint, message);
        }
        if !holder.just_one.is_empty() {
            let found = count(holder.just_one);
            if found != 1 {
                let names = holder.just_one.join(", ");
                let message = format!("{} needs exactly one of {names}; it has {found}", holder.name);
                self.report(ViolationKind::Constraint, message);
            }
        }
    }

    /// Checks the value of an attribute: a list, or one value.
    fn attribute(&mut self, value: &'e Value, attribute: &Attribute) {
        if !attribute.is_array {
            return self.value(value, attribute);
        }
        let Some(elements) = value.as_array() else {
            let message = format!("expected a list, found {}", describe(value));
            return self.report(ViolationKind::WrongType, message);
        };
        for (index, element) in elements.iter().enumerate() {
            let length = self.path.len();
            self.path.push_str(&format!("[{index}]"));
            self.value(element, attribute);
            self.path.truncate(length);
        }
    }

    /// Checks one value against type and enumeration.
    fn value(&mut self, value: &'e Value, attribute: &Attribute) {
        if let (Type::Object(name), Value::Object(map)) = (attribute.ty, value) {
            if let (false, Some(object)) = (attribute.ty.is_free_form(), ocsf().object(name)) {
                self.members(map, Holder::from(object));
            }
        } else if !fits(value, attribute.ty) {
            let message = match value {
                Value::String(_) | Value::Number(_) => {
                    format!("expected {}, found {value}", expectation(attribute.ty))
                }
                _ => format!("expected {}, found {}", expectation(attribute.ty), describe(value)),
            };
            self.report(ViolationKind::WrongType, message);
        } else if attribute.enumeration.is_some_and(|e| !is_permitted(value, e)) {
            let message = format!("{value} is not a permitted value");
            self.report(ViolationKind::NotInEnum, message);
        }
    }

    /// `type_uid` is the class times 100 plus the activity. Values which are
    /// not permitted in themselves have been reported already.
    fn type_uid(&mut self, event: &Map<String, Value>, class: &Class) {
        let number = |name| present(event, name).and_then(Value::as_i64);
        let (Some(activity), Some(type_uid)) = (number("activity_id"), number("type_uid")) else {
            return;
        };
        let permitted = |name: &str, value| {
            let values = class.attribute(name).and_then(|a| a.enumeration);
            values.is_some_and(|e| e.by_value(value).is_some())
        };
        if !permitted("activity_id", activity) || !permitted("type_uid", type_uid) {
            return;
        }
        let expected = i64::from(class.uid) * 100 + activity;
        if type_uid != expected {
            self.at("type_uid", |c| {
                let message = format!("class {} and activity {activity} make {expected}, not {type_uid}", class.uid);
                c.report(ViolationKind::Constraint, message);
            });
        }
    }
}

/// The value of a key, unless it is null.
fn present<'e>(map: &'e Map<String, Value>, name: &str) -> Option<&'e Value> {
    map.get(name).filter(|v| !v.is_null())
}

/// Whether there is a value at a dotted path; in a list one element suffices.
fn has_path(map: &Map<String, Value>, path: &str) -> bool {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    match (present(map, name), rest) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(Value::Object(inner)), Some(rest)) => has_path(inner, rest),
        (Some(Value::Array(elements)), Some(rest)) => {
            elements.iter().filter_map(Value::as_object).any(|inner| has_path(inner, rest))
        }
        (Some(_), Some(_)) => false,
    }
}

/// Whether the value, an element of a list if the attribute is one, is of the
/// type; for an object only that it is one.
fn fits(value: &Value, ty: Type) -> bool {
    let text = |test: fn(&str) -> bool| value.as_str().is_some_and(test);
    match ty {
        Type::Boolean => value.is_boolean(),
        Type::Integer | Type::Long | Type::Timestamp => value.as_i64().is_some(),
        Type::Port => value.as_u64().is_some_and(|n| n <= u64::from(u16::MAX)),
        Type::Float => value.is_number(),
        Type::Datetime => text(is_datetime),
        Type::Ip => text(is_ip),
        Type::Subnet => text(is_subnet),
        Type::String(_) => value.is_string(),
        Type::Json => true,
        Type::Object(_) => value.is_object(),
    }
}

fn is_permitted(value: &Value, values: &Enum) -> bool {
    if values.is_string() {
        value.as_str().is_some_and(|v| values.by_key(v).is_some())
    } else {
        value.as_i64().is_some_and(|v| values.by_value(v).is_some())
    }
}

/// An address; that of IPv6 may name its zone (`fe80::1%eth0`).
fn is_ip(text: &str) -> bool {
    match text.split_once('%') {
        Some((address, zone)) => address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty(),
        None => text.parse::<IpAddr>().is_ok(),
    }
}

/// A network: an address and the length of its prefix in bits.
fn is_subnet(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else {
        return false;
    };
    let most = if address.parse::<Ipv4Addr>().is_ok() {
        32
    } else if address.parse::<Ipv6Addr>().is_ok() {
        128
    } else {
        return false;
    };
    let plain = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    plain && prefix.parse::<u8>().is_ok_and(|n| n <= most)
}

/// A date and time in the form of RFC 3339, the offset left out or not (the
/// schema allows both): `2024-09-10T23:20:50.52Z`. The fields are held to
/// their ranges, the day to 31 in every month.
fn is_datetime(text: &str) -> bool {
    let mut rest = text.as_bytes();
    let mut number = |digits: usize, range: std::ops::RangeInclusive<u32>, end: &[u8]| {
        let (Some(head), Some(tail)) = (rest.get(..digits), rest.get(digits..)) else {
            return false;
        };
        let value = head.iter().try_fold(0, |sum, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')));
        let (ended, tail) = match tail.split_first() {
            _ if end.is_empty() => (true, tail),
            Some((byte, after)) => (end.contains(byte), after),
            None => (false, tail),
        };
        rest = tail;
        ended && value.is_some_and(|v| range.contains(&v))
    };
    let seconds = number(4, 0..=9999, b"-")
        && number(2, 1..=12, b"-")
        && number(2, 1..=31, b"Tt ")
        && number(2, 0..=23, b":")
        && number(2, 0..=59, b":")
        && number(2, 0..=60, b"");
    if !seconds {
        return false;
    }
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        rest = match fraction.get(digits..) {
            Some(after) if digits > 0 => after,
            _ => return false,
        };
    }
    match rest {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', h1 @ b'0'..=b'2', h2, b':', m1 @ b'0'..=b'5', m2] => {
            let hour_fits = h2.is_ascii_digit() && (*h1 < b'2' || *h2 <= b'3');
            hour_fits && m1.is_ascii_digit() && m2.is_ascii_digit()
        }
        _ => false,
    }
}

/// What a value of the type looks like, for messages.
fn expectation(ty: Type) -> String {
    let words = match ty {
        Type::Boolean => "true or false",
        Type::Integer | Type::Long => "an integer",
        Type::Port => "an integer from 0 to 65535",
        Type::Timestamp => "an integer of milliseconds since 1970",
        Type::Float => "a number",
        Type::Datetime => "a date and time as in 2024-09-10T23:20:50Z",
        Type::Ip => "an IP address",
        Type::Subnet => "a network as in 192.0.2.0/24",
        Type::String(_) => "a string",
        Type::Json => "a JSON value",
        Type::Object(name) => return format!("an object ({name})"),
    };
    String::from(words)
}

/// What sort of JSON value it is, for messages.
fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ViolationKind::*;
    use super::*;

    /// A valid logon.
    fn logon() -> Value {
        json!({
            "class_uid": 3002, "category_uid": 3, "activity_id": 1, "type_uid": 300_201,
            "severity_id": 1, "time": 1_700_000_000_000_i64,
            "metadata": {"version": "1.8.0", "product": {"name": "P", "vendor_name": "V"}},
            "user": {"name": "ada"},
            "dst_endpoint": {"ip": "192.0.2.1", "port": 22},
        })
    }

    /// The paths and kinds of what is wrong with the logon once the values
    /// are set at the JSON pointers.
    fn with(changes: &[(&str, Value)]) -> Vec<(String, ViolationKind)> {
        let mut event = logon();
        for (pointer, value) in changes {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            event.pointer_mut(parent).unwrap()[key] = value.clone();
        }
        let found = validate(&event);
        assert!(found.iter().all(|v| !v.message.is_empty()));
        found.into_iter().map(|v| (v.path, v.kind)).collect()
    }

    fn one(path: &str, kind: ViolationKind) -> Vec<(String, ViolationKind)> {
        vec![(String::from(path), kind)]
    }

    #[test]
    fn a_valid_event() {
        assert_eq!(validate(&logon()), []);
    }

    #[test]
    fn the_class() {
        for uid in [json!(1), json!("3002"), json!(-1), json!(1e30), Value::Null] {
            assert_eq!(with(&[("/class_uid", uid)]), one("class_uid", UnknownClass));
        }
        let found = validate(&json!([]));
        assert_eq!((found[0].path.as_str(), found[0].kind), ("", WrongType));
        assert_eq!(validate(&json!({}))[0].kind, UnknownClass);
    }

    #[test]
    fn presence() {
        assert_eq!(with(&[("/time", Value::Null)]), one("time", MissingRequired));
        assert_eq!(with(&[("/metadata/product", Value::Null)]), one("metadata.product", MissingRequired));
        assert_eq!(with(&[("/colour", json!("red"))]), one("colour", UnknownAttribute));
        assert_eq!(with(&[("/user/colour", json!(1))]), one("user.colour", UnknownAttribute));
        assert_eq!(with(&[("/colour", Value::Null)]), []);
        assert_eq!(with(&[("/unmapped", json!({"any": {"key": [1]}}))]), []);
        assert_eq!(with(&[("/unmapped", json!([1]))]), one("unmapped", WrongType));
    }

    #[test]
    fn types() {
        let wrong = [
            ("/time", json!("2024-01-01T00:00:00Z")),
            ("/time", json!(1.5)),
            ("/is_mfa", json!("true")),
            ("/message", json!(7)),
            ("/user", json!("ada")),
            ("/user/groups", json!({"name": "g"})),
            ("/user/name", json!(["ada"])),
            ("/user/email_addr", json!(1)),
            ("/dst_endpoint/ip", json!("192.0.2.256")),
            ("/dst_endpoint/ip", json!("host")),
            ("/dst_endpoint/port", json!(65_536)),
            ("/dst_endpoint/port", json!(-1)),
            ("/duration", json!(u64::MAX)),
        ];
        for (pointer, value) in wrong {
            let path = pointer[1..].replace('/', ".");
            assert_eq!(with(&[(pointer, value)]), one(&path, WrongType));
        }
        let right = [
            ("/time", json!(-1)),
            ("/is_mfa", json!(true)),
            ("/user/email_addr", json!("not an address")),
            ("/user/groups", json!([{"name": "g"}, {"uid": "7"}])),
            ("/dst_endpoint/ip", json!("fe80::1%eth0")),
            ("/dst_endpoint/port", json!(0)),
            ("/raw_data", json!("x")),
        ];
        for (pointer, value) in right {
            assert_eq!(with(&[(pointer, value)]), [], "{pointer}");
        }
        assert_eq!(
            with(&[("/user/groups", json!([{"name": "g"}, 4, {"name": 5}]))]),
            [(String::from("user.groups[1]"), WrongType), (String::from("user.groups[2].name"), WrongType)]
        );
    }

    #[test]
    fn enumerations() {
        assert_eq!(with(&[("/severity_id", json!(77))]), one("severity_id", NotInEnum));
        assert_eq!(with(&[("/severity_id", json!("1"))]), one("severity_id", WrongType));
        assert_eq!(with(&[("/category_uid", json!(4))]), one("category_uid", NotInEnum));
        assert_eq!(with(&[("/type_uid", json!(300_150))]), one("type_uid", NotInEnum));
        assert_eq!(with(&[("/type_uid", json!(300_202))]), one("type_uid", Constraint));
        let request = |method| json!({"http_method": method, "url": {"path": "/"}});
        assert_eq!(with(&[("/http_request", request("GET"))]), []);
        assert_eq!(with(&[("/http_request", request("get"))]), one("http_request.http_method", NotInEnum));
    }

    #[test]
    fn constraints() {
        assert_eq!(with(&[("/dst_endpoint", Value::Null)]), one("", Constraint));
        assert_eq!(with(&[("/user", json!({"type_id": 1}))]), one("user", Constraint));
        // `just_one` of privileges and group.
        let class = ocsf().class("user_access").unwrap();
        assert_eq!(class.just_one, Vec::<&str>::new());
        let class = ocsf().classes().find(|c| !c.just_one.is_empty()).unwrap();
        assert_eq!(class.just_one, ["privileges", "group"]);
        let event = |more: Value| {
            let mut event = json!({"class_uid": class.uid});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let found = validate(&event);
            let kinds = found.iter().filter(|v| v.path.is_empty());
            kinds.map(|v| v.kind).collect::<Vec<_>>()
        };
        assert_eq!(event(json!({})), [Constraint]);
        assert_eq!(event(json!({"privileges": ["p"]})), []);
        let both = json!({"privileges": ["p"], "group": {"name": "g"}});
        assert_eq!(event(both), [Constraint]);
    }

    #[test]
    fn constraints_along_paths() {
        let map = json!({"a": {"b": [{"c": null}, {"c": 1}]}, "d": 1});
        let map = map.as_object().unwrap();
        assert!(has_path(map, "a.b.c"));
        assert!(!has_path(map, "a.b.d"));
        assert!(!has_path(map, "d.e"));
    }

    #[test]
    fn profiles() {
        let cloud = json!({"provider": "P"});
        assert_eq!(with(&[("/cloud", cloud.clone())]), one("cloud", InactiveProfile));
        let declare = |name: &str| ("/metadata/profiles", json!([name]));
        assert_eq!(with(&[declare("cloud"), ("/cloud", cloud)]), []);
        // What a profile requires is required once it is listed.
        assert_eq!(with(&[declare("cloud")]), one("cloud", MissingRequired));
        let time = |text: &str| ("/time_dt", json!(text));
        assert_eq!(with(&[declare("datetime"), time("2024-09-10T23:20:50Z")]), []);
        assert_eq!(with(&[declare("datetime"), time("yesterday")]), one("time_dt", WrongType));
    }

    #[test]
    fn profiles_of_extensions() {
        let process = ocsf().object("process").unwrap();
        let attribute = process.attribute("auid").unwrap();
        assert_eq!(attribute.profiles, ["linux/linux_users"]);
        for (listed, active) in [("linux/linux_users", true), ("linux_users", true), ("macos_users", false)] {
            let check = Check { profiles: vec![listed], path: String::new(), found: Vec::new() };
            assert_eq!(check.is_active(attribute), active, "{listed}");
        }
    }

    #[test]
    fn datetimes() {
        for text in [
            "2024-09-10T23:20:50.520Z",
            "2024-09-10 23:20:50.520789Z",
            "2024-09-10t23:20:60z",
            "2024-09-10T23:20:50",
            "2024-09-10T23:20:50+05:30",
            "2024-09-10T23:20:50.1-23:59",
        ] {
            assert!(is_datetime(text), "{text}");
        }
        for text in [
            "",
            "2024",
            "2024-09-10",
            "2024-13-10T23:20:50Z",
            "2024-09-00T23:20:50Z",
            "2024-09-10T24:20:50Z",
            "2024-09-10T23:20:50.Z",
            "2024-09-10T23:20:50+0530",
            "2024-09-10T23:20:50+24:00",
            "2024-09-10T23:20:50Z ",
            "2024-09-10X23:20:50Z",
            "２024-09-10T23:20:50Z",
        ] {
            assert!(!is_datetime(text), "{text}");
        }
    }

    #[test]
    fn subnets() {
        for text in ["192.0.2.0/24", "0.0.0.0/0", "2001:db8::/128"] {
            assert!(is_subnet(text), "{text}");
        }
        for text in ["192.0.2.0", "192.0.2.0/33", "192.0.2.0/+8", "::/129", "/8", "192.0.2.0/"] {
            assert!(!is_subnet(text), "{text}");
        }
    }
}
