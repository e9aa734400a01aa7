//! Which events a log source means: taxonomy files, in TOML, that people read and extend.
//!
//! `connectors/taxonomy/windows.toml` begins with the format. Nothing here knows a product.

mod read;

use std::collections::BTreeMap;

pub use read::TaxonomyError;

/// What all loaded taxonomy files say.
#[derive(Clone, Debug, Default)]
pub struct Taxonomy {
    /// The sources, in the order of their files.
    pub sources: Vec<SourceView>,
    logsources: Vec<Entry>,
}

/// How the events of a source are laid out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SourceView {
    /// Its name, as after `from`.
    pub name: String,
    /// Where the field NAME stands, tried in order; `{}` is the name, `*` any one key.
    pub shapes: Vec<String>,
    /// Fields that stand elsewhere; the first path that is there counts.
    pub fields: BTreeMap<String, Vec<String>>,
    /// Alternatives by which an event is known to be of this source; empty where only its name chooses it.
    pub detect: Vec<BTreeMap<String, Detect>>,
    /// Fields that say when an event happened; the first that is a time counts.
    pub time: Vec<String>,
    /// Fields that name an event so that no other of the source has the name; the first that is there counts.
    pub id: Vec<String>,
    /// What numbers the events, so that one that is missing is noticed.
    pub gap: Option<Gap>,
}

/// A number that goes up by one with every event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gap {
    /// The field that has it.
    pub counter: String,
    /// Fields whose values together say what is numbered: each combination counts by itself.
    pub by: Vec<String>,
}

/// What a field must be for an event to be of a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Detect {
    /// It is there.
    Exists,
    /// It is one of these.
    OneOf(Vec<Literal>),
}

/// A literal of a taxonomy.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Text, compared without regard to case.
    Text(String),
    /// A whole number.
    Int(i64),
}

/// One kind of event that a log source means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provider {
    /// Fields with the values one of which they have.
    pub guard: BTreeMap<String, Vec<Literal>>,
    /// Names of rules' fields, with the names that these events have instead.
    pub fields: BTreeMap<String, String>,
}

/// What a log source means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolved {
    /// The source of its events.
    pub source: String,
    /// Kinds of events; empty for all of the source.
    pub providers: Vec<Provider>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    product: Option<String>,
    category: Option<String>,
    service: Option<String>,
    resolved: Resolved,
}

impl Entry {
    fn attributes(&self) -> usize {
        [&self.product, &self.category, &self.service].into_iter().flatten().count()
    }
}

impl Taxonomy {
    /// Reads a taxonomy file; `name` is for messages.
    pub fn parse(name: &str, text: &str) -> Result<Taxonomy, TaxonomyError> {
        read::read(name, text)
    }

    /// Takes in what another file says. A source of the same name takes further shapes, fields and alternatives;
    /// a log source that both have is that of `other`.
    pub fn merge(&mut self, other: Taxonomy) {
        for source in other.sources {
            let Some(own) = self.sources.iter_mut().find(|own| own.name == source.name) else {
                self.sources.push(source);
                continue;
            };
            own.shapes
                .extend(source.shapes.into_iter().filter(|shape| !own.shapes.contains(shape)).collect::<Vec<_>>());
            own.detect.extend(source.detect);
            own.time.extend(source.time.into_iter().filter(|field| !own.time.contains(field)).collect::<Vec<_>>());
            own.id.extend(source.id.into_iter().filter(|field| !own.id.contains(field)).collect::<Vec<_>>());
            own.gap = source.gap.or(own.gap.take());
            for (field, paths) in source.fields {
                let have = own.fields.entry(field).or_default();
                have.extend(paths.into_iter().filter(|path| !have.contains(path)).collect::<Vec<_>>());
            }
        }
        for entry in other.logsources {
            self.logsources.retain(|own| {
                (&own.product, &own.category, &own.service) != (&entry.product, &entry.category, &entry.service)
            });
            self.logsources.push(entry);
        }
    }

    /// The source with this name.
    pub fn source(&self, name: &str) -> Option<&SourceView> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// What a log source means: the entry with the most attributes, all of which are equal. Where one entry has
    /// the category and another the service, both hold. An entry of a product alone is for log sources of that
    /// product alone.
    pub fn resolve(&self, product: Option<&str>, category: Option<&str>, service: Option<&str>) -> Option<Resolved> {
        let equal = |own: &Option<String>, asked: Option<&str>| own.is_none() || own.as_deref() == asked;
        let whole = category.is_none() && service.is_none();
        let fitting = || {
            self.logsources.iter().filter(|entry| {
                let any = entry.category.is_some() || entry.service.is_some() || whole;
                any && equal(&entry.product, product)
                    && equal(&entry.category, category)
                    && equal(&entry.service, service)
            })
        };
        let most = fitting().map(Entry::attributes).max()?;
        let mut best = fitting().filter(|entry| entry.attributes() == most);
        let mut found = best.next()?.resolved.clone();
        for other in best {
            found = combine(found, &other.resolved);
        }
        Some(found)
    }
}

/// Both hold; where they cannot, the first does.
fn combine(first: Resolved, second: &Resolved) -> Resolved {
    if first.source != second.source || second.providers.is_empty() {
        return first;
    }
    if first.providers.is_empty() {
        return second.clone();
    }
    let mut providers = Vec::new();
    for a in &first.providers {
        for b in &second.providers {
            let mut both = a.clone();
            for (field, values) in &b.guard {
                match both.guard.get_mut(field) {
                    Some(own) => own.retain(|value| values.iter().any(|other| same(value, other))),
                    None => {
                        both.guard.insert(field.clone(), values.clone());
                    }
                }
            }
            if both.guard.values().all(|values| !values.is_empty()) {
                both.fields.extend(b.fields.clone());
                providers.push(both);
            }
        }
    }
    if providers.is_empty() { first } else { Resolved { source: first.source, providers } }
}

fn same(a: &Literal, b: &Literal) -> bool {
    match (a, b) {
        (Literal::Text(a), Literal::Text(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[[source]]
name = "windows.event_log"
shapes = ["{}", "Event.EventData.{}"]
detect = [ { Channel = "*", EventID = [1, "two"] } ]
[source.fields]
Channel = ["Channel", "Event.System.Channel"]

[[logsource]]
product = "windows"
source = "windows.event_log"

[[logsource]]
product = "windows"
service = "sysmon"
source = "windows.event_log"
[[logsource.provider]]
where = { Channel = ["Sysmon"] }

[[logsource]]
product = "windows"
category = "process_creation"
source = "windows.event_log"
[[logsource.provider]]
where = { Channel = ["sysmon"], EventID = [1] }
[[logsource.provider]]
where = { Channel = ["Security"], EventID = [4688] }
fields = { Image = "NewProcessName" }
"#;

    #[test]
    fn the_entry_with_most_attributes_counts() {
        let taxonomy = Taxonomy::parse("t.toml", TEXT).unwrap();
        let resolve = |category, service| taxonomy.resolve(Some("windows"), category, service);
        assert_eq!(resolve(None, None).unwrap().providers.len(), 0);
        assert_eq!(resolve(Some("process_creation"), None).unwrap().providers.len(), 2);
        let both = resolve(Some("process_creation"), Some("sysmon")).unwrap();
        assert_eq!(both.providers.len(), 1);
        assert_eq!(both.providers[0].guard["EventID"], [Literal::Int(1)]);
        assert_eq!(resolve(Some("unheard_of"), None), None);
        assert_eq!(taxonomy.resolve(None, Some("process_creation"), None), None);
        assert_eq!(
            taxonomy.sources[0].detect[0]["EventID"],
            Detect::OneOf(vec![Literal::Int(1), Literal::Text("two".into())])
        );
    }

    #[test]
    fn errors_name_file_key_and_reason() {
        let wrong = |text: &str| Taxonomy::parse("t.toml", text).unwrap_err().to_string();
        assert!(wrong("x = [").starts_with("t.toml: "));
        assert_eq!(wrong("[[source]]\nshapes = []"), "t.toml: source 1: `name` is missing");
        assert_eq!(wrong("[[source]]\nname = 1"), "t.toml: source 1: `name` is text, and this is a number");
        assert_eq!(wrong("[[surce]]\nname = 'x'"), "t.toml: there is no key `surce`; did you mean `source`?");
        let unknown = "[[logsource]]\nproduct = 'a'\nsource = 'b'\n[[logsource.provider]]\nwhere = { A = 1.5 }";
        assert_eq!(
            wrong(unknown),
            "t.toml: logsource 1: provider 1: where: `A` is text, a whole number or a list of these"
        );
    }

    #[test]
    fn a_later_file_adds_to_a_source_and_replaces_a_log_source() {
        let mut taxonomy = Taxonomy::parse("a.toml", TEXT).unwrap();
        let more = "[[source]]\nname = 'windows.event_log'\nshapes = ['own.{}']\n[[logsource]]\nproduct = 'windows'\nservice = 'sysmon'\nsource = 'x.y'\n";
        taxonomy.merge(Taxonomy::parse("b.toml", more).unwrap());
        assert_eq!(taxonomy.sources.len(), 1);
        assert_eq!(taxonomy.sources[0].shapes.len(), 3);
        assert_eq!(taxonomy.resolve(Some("windows"), None, Some("sysmon")).unwrap().source, "x.y");
    }
}
