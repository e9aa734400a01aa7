//! Who or what a timeline is of, and where it occurs in a normalised event.
//!
//! The schema says what an attribute is about: every address is of the type `ip_t`, every name of a person stands in an
//! object `user`. So an entity is found wherever a mapping put it.

use std::collections::HashMap;
use std::net::IpAddr;

use tripline_event::{Value, to_text};
use tripline_schema::{Attribute, StringKind, Type, ocsf};
use tripline_semantic::typed::ENTITY_KINDS;

/// Kinds beyond those that findings have, and what they are read as.
const MORE_KINDS: [(&str, &str); 2] = [("device", "host"), ("hash", "hash")];

/// The most other names that are followed.
const MOST_NAMES: usize = 32;

/// How deep objects are looked into.
const DEEPEST: usize = 12;

/// The most places of an event at which it is said that the entity occurs.
const MOST_PLACES: usize = 8;

/// An entity that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// One of [`ENTITY_KINDS`], or `hash`.
    pub kind: &'static str,
    /// Its value, as it was written.
    pub value: String,
}

/// Everything that a timeline is of.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// What was asked for.
    pub asked: Vec<Entity>,
    /// Other names of the same, as events tie them together.
    pub also: Vec<Entity>,
}

/// Reads `user:alice`.
pub fn entity(text: &str) -> Result<Entity, String> {
    let kinds = || {
        let more = MORE_KINDS.iter().map(|(name, _)| *name);
        ENTITY_KINDS.iter().copied().chain(more).collect::<Vec<_>>().join(", ")
    };
    let Some((kind, value)) = text.split_once(':') else {
        return Err(format!("write a kind, a colon and a value, such as user:alice; the kinds are {}", kinds()));
    };
    let more = MORE_KINDS.iter().find(|(name, _)| *name == kind).map(|(_, read_as)| *read_as);
    let kind = more.or_else(|| ENTITY_KINDS.iter().find(|known| **known == kind).copied());
    let Some(kind) = kind else { return Err(format!("the kinds are {}", kinds())) };
    if value.trim().is_empty() {
        return Err("there is no value after the colon".into());
    }
    if kind == "ip" && value.parse::<IpAddr>().is_err() {
        return Err(format!("`{value}` is no IP address"));
    }
    Ok(Entity { kind, value: value.to_string() })
}

/// An entity as it is told.
impl std::fmt::Display for Entity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.kind, self.value)
    }
}

impl Entity {
    /// An entity of a finding; none of a kind that nobody knows.
    pub fn of(kind: &str, value: &str) -> Option<Entity> {
        let kind = ENTITY_KINDS.iter().find(|known| **known == kind)?;
        Some(Entity { kind, value: value.to_string() })
    }

    /// Whether a value is this one: addresses by what they mean, names of people, hosts and domains and digests whatever
    /// their case, others as they are written.
    fn is(&self, value: &str) -> bool {
        match self.kind {
            "ip" => value.parse::<IpAddr>().is_ok_and(|ip| self.value.parse() == Ok(ip)),
            "user" | "email" | "host" | "domain" | "hash" => {
                self.value == value || self.value.to_lowercase() == value.to_lowercase()
            }
            _ => self.value == value,
        }
    }

    /// Whether an entity of a finding is this one. A person is told by a name or by a mail address.
    fn is_told(&self, kind: &str, value: &str) -> bool {
        let people = |kind: &str| matches!(kind, "user" | "email");
        let hosts = |kind: &str| matches!(kind, "host" | "domain");
        let alike = kind == self.kind || people(kind) && people(self.kind) || hosts(kind) && hosts(self.kind);
        alike && self.is(value)
    }

    /// Whether an attribute of an object is about such things.
    fn may_be(&self, object: &str, attribute: &Attribute) -> bool {
        use StringKind::{Email, FileHash, FileName, FilePath, Hostname, ProcessName, ResourceUid, Url, Username};
        let name = attribute.name;
        let is = |kind: StringKind| attribute.ty == Type::String(kind);
        match self.kind {
            "ip" => attribute.ty == Type::Ip,
            "user" => is(Username) || is_person(object, name),
            "email" => is(Email) || is_person(object, name),
            "host" => is(Hostname) || is_host(object, name),
            "domain" => is(Hostname) || name == "domain",
            "account" => object == "account" && matches!(name, "uid" | "name"),
            "hash" => is(FileHash),
            "url" => is(Url),
            "file" => is(FileName) || is(FilePath) || object == "file" && matches!(name, "name" | "path" | "uid"),
            "process" => is(ProcessName) || object == "process" && matches!(name, "name" | "uid" | "path" | "cmd_line"),
            "resource" => {
                is(ResourceUid)
                    || matches!(
                        object,
                        "resource_details" | "web_resource" | "managed_entity" | "databucket" | "database"
                    ) && matches!(name, "uid" | "name")
            }
            "role" => {
                matches!(name, "role" | "roles" | "privileges") || object == "group" && matches!(name, "uid" | "name")
            }
            "key" => name == "credential_uid" || object == "programmatic_credential" && name == "uid",
            "app" => {
                matches!(name, "app_name" | "app_uid")
                    || matches!(object, "service" | "application") && matches!(name, "uid" | "name")
            }
            _ => false,
        }
    }
}

fn is_person(object: &str, name: &str) -> bool {
    object == "user" && matches!(name, "uid" | "uid_alt" | "name" | "email_addr")
}

fn is_host(object: &str, name: &str) -> bool {
    matches!(object, "device" | "endpoint" | "network_endpoint") && matches!(name, "hostname" | "name" | "uid")
}

/// Where an entity occurs in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The attribute, `actor.user.uid`.
    pub path: String,
    /// Its value.
    pub value: String,
}

/// The values of an object, by their attributes.
type Values = Vec<(&'static str, String)>;

impl Wanted {
    /// What was asked for, and other names of it.
    fn all(&self) -> impl Iterator<Item = &Entity> {
        self.asked.iter().chain(&self.also)
    }

    /// Whether an entity of a finding is one of these.
    pub fn told(&self, kind: &str, value: &str) -> bool {
        self.all().any(|one| one.is_told(kind, value))
    }

    /// Where they occur in a normalised event of a class; empty where they do not.
    pub fn places(&self, class: &str, event: &Value<'_>) -> Vec<Place> {
        let mut found: Vec<Place> = Vec::new();
        each(class, event, &mut |path, object, attribute, value| {
            let is = found.len() < MOST_PLACES
                && self.all().any(|one| one.may_be(object, attribute) && one.is(value))
                && !found.iter().any(|known| known.path == path);
            if is {
                found.push(Place { path: path.to_string(), value: value.to_string() });
            }
        });
        found
    }

    /// Whether other names are to be had of what was asked for.
    pub fn may_learn(&self) -> bool {
        self.asked.iter().any(|one| matches!(one.kind, "user" | "email" | "host"))
    }

    /// Other names of what was asked for: of one person or host, the ids and mail addresses that stand in the same object
    /// of an event. Names that are no address are not followed: other people have them too.
    pub fn names(&self, class: &str, event: &Value<'_>) -> Vec<Entity> {
        // The values of an object stand together, under one path. A record may have very many.
        let mut objects: Vec<(&'static str, Values)> = Vec::new();
        let mut of_path: HashMap<String, usize> = HashMap::new();
        each(class, event, &mut |path, object, attribute, value| {
            let kind = match object {
                _ if is_person(object, attribute.name) => "user",
                _ if is_host(object, attribute.name) => "host",
                _ => return,
            };
            let of = path.strip_suffix(attribute.name).unwrap_or(path);
            let value = (attribute.name, value.to_string());
            match of_path.get(of).and_then(|at| objects.get_mut(*at)) {
                Some((_, values)) => values.push(value),
                None => {
                    of_path.insert(of.to_string(), objects.len());
                    objects.push((kind, vec![value]));
                }
            }
        });
        let mut out = Vec::new();
        for (kind, values) in objects {
            let is_asked = |value: &str| self.asked.iter().any(|one| one.is_told(kind, value));
            if !values.iter().any(|(_, value)| is_asked(value)) {
                continue;
            }
            for (name, value) in values {
                let tells = matches!(name, "uid" | "uid_alt" | "email_addr" | "hostname") || value.contains('@');
                if tells && !is_asked(&value) && is_telling(&value) {
                    out.push(Entity { kind, value });
                }
            }
        }
        out
    }

    /// Follows other names from now on; false where there are too many to follow this one.
    pub fn follow(&mut self, name: Entity) -> bool {
        if self.also.contains(&name) {
            return true;
        }
        let room = self.also.len() < MOST_NAMES;
        self.also.extend(room.then_some(name));
        room
    }
}

/// Whether a value tells one from another: products write such words where they know nothing.
fn is_telling(value: &str) -> bool {
    const NOTHING: [&str; 7] = ["-", "unknown", "none", "null", "n/a", "anonymous", "system"];
    value.chars().count() > 2 && !NOTHING.contains(&value.to_lowercase().as_str())
}

/// Every text of an event: its path, the object that it stands in (empty for the event itself), what the schema says of
/// it, and itself. Elements of an array have their number in the path.
fn each(class: &str, event: &Value<'_>, found: &mut dyn FnMut(&str, &str, &'static Attribute, &str)) {
    let Some(class) = ocsf().class(class) else { return };
    inside("", &|name| class.attribute(name), event, &mut String::new(), 0, found);
}

fn inside(
    object: &str,
    attributes: &dyn Fn(&str) -> Option<&'static Attribute>,
    value: &Value<'_>,
    path: &mut String,
    depth: usize,
    found: &mut dyn FnMut(&str, &str, &'static Attribute, &str),
) {
    let Value::Object(members) = value else { return };
    for (key, value) in members {
        let Some(attribute) = attributes(key) else { continue };
        let several = matches!(value, Value::Array(_));
        let elements = if several { value.elements() } else { std::slice::from_ref(value) };
        for (at, element) in elements.iter().enumerate() {
            let before = path.len();
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(key);
            if several && matches!(element, Value::Object(_)) {
                path.push_str(&format!("[{at}]"));
            }
            match attribute.ty {
                Type::Object(name) if depth < DEEPEST => {
                    if let Some(declared) = ocsf().object(name) {
                        inside(name, &|name| declared.attribute(name), element, path, depth + 1, found);
                    }
                }
                _ => {
                    if let Some(text) = to_text(element) {
                        found(path, object, attribute, &text);
                    }
                }
            }
            path.truncate(before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_event::parse_json;

    fn wanted(text: &str) -> Wanted {
        Wanted { asked: vec![entity(text).unwrap()], also: Vec::new() }
    }

    fn paths(wanted: &Wanted, event: &str) -> Vec<String> {
        let event = parse_json(event.as_bytes()).unwrap();
        wanted.places("authentication", &event).into_iter().map(|place| place.path).collect()
    }

    const EVENT: &str = r#"{
        "user": { "uid": "00u1", "name": "Alice", "email_addr": "alice@example.com" },
        "actor": { "user": { "uid": "00u2", "name": "bob" } },
        "src_endpoint": { "ip": "2001:db8::1", "hostname": "ws1.example.com" },
        "message": "alice@example.com"
    }"#;

    #[test]
    fn an_entity_is_found_wherever_the_schema_says_that_it_is_one() {
        assert_eq!(paths(&wanted("user:ALICE"), EVENT), ["user.name"]);
        assert_eq!(paths(&wanted("user:00u2"), EVENT), ["actor.user.uid"]);
        assert_eq!(paths(&wanted("email:alice@example.com"), EVENT), ["user.email_addr"]);
        assert_eq!(paths(&wanted("ip:2001:0db8:0:0::1"), EVENT), ["src_endpoint.ip"]);
        assert_eq!(paths(&wanted("device:WS1.example.com"), EVENT), ["src_endpoint.hostname"]);
        assert!(paths(&wanted("account:00u2"), EVENT).is_empty());
        assert!(paths(&wanted("user:alic"), EVENT).is_empty());
    }

    #[test]
    fn ids_and_addresses_of_the_same_person_are_learnt_and_mere_names_are_not() {
        let event = parse_json(EVENT.as_bytes()).unwrap();
        let mut of = wanted("email:alice@example.com");
        of.names("authentication", &event).into_iter().for_each(|name| assert!(of.follow(name)));
        assert_eq!(of.also, [Entity { kind: "user", value: "00u1".into() }]);
        assert_eq!(paths(&of, EVENT), ["user.uid", "user.email_addr"]);
        let mut of = wanted("user:bob");
        of.names("authentication", &event).into_iter().for_each(|name| assert!(of.follow(name)));
        assert_eq!(of.also, [Entity { kind: "user", value: "00u2".into() }]);
        let nobody = parse_json(br#"{"user":{"uid":"unknown","name":"bob"}}"#).unwrap();
        assert!(wanted("user:bob").names("authentication", &nobody).is_empty());
    }

    #[test]
    fn each_value_of_a_record_with_very_many_people_was_compared_with_all_of_them() {
        let many: Vec<String> = (0..200_000).map(|n| format!(r#"{{"uid":"u{n}","name":"n{n}"}}"#)).collect();
        let event = format!(r#"{{"user":[{}]}}"#, many.join(","));
        let event = parse_json(event.as_bytes()).unwrap();
        let names = wanted("user:n199999").names("authentication", &event);
        assert_eq!(names, [Entity { kind: "user", value: "u199999".into() }]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_kinds() {
        for (text, wanted) in [
            ("alice", "user:alice"),
            ("person:x", "the kinds are user, "),
            ("ip:x", "no IP address"),
            ("user:", "no value"),
        ] {
            assert!(entity(text).unwrap_err().contains(wanted), "{text}");
        }
    }

    #[test]
    fn entities_of_findings_are_the_same_people_and_addresses() {
        assert!(wanted("user:alice@example.com").told("email", "Alice@example.com"));
        assert!(wanted("ip:2001:db8::1").told("ip", "2001:DB8::1"));
        assert!(!wanted("user:alice").told("host", "alice"));
    }
}
