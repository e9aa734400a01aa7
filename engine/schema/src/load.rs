//! Reads the OCSF table (`data/ocsf-1.8.0.txt`) into the model.
//!
//! The format is that of `data/generate.py`, which documents it. The table
//! states every distinct attribute definition once and lets classes and
//! objects refer to it; here the references are followed, and the
//! enumerations which follow from a class are built.
//!
//! The result lives as long as the program: slices of the table are kept as
//! they are, and the little that is built is leaked, once.

use std::collections::HashMap;

use crate::ocsf::{Attribute, Class, Enum, EnumEntry, Object, Ocsf, Requirement, Type};

/// The table which the crate ships.
pub(crate) const TABLE: &str = include_str!("../data/ocsf-1.8.0.txt");

/// The outcome of reading a table.
pub(crate) struct Loaded {
    pub(crate) ocsf: Ocsf,
    /// One-based numbers of the lines which were not, or not wholly,
    /// understood. Read by the tests, which hold it empty for [`TABLE`].
    #[cfg_attr(not(test), expect(dead_code, reason = "diagnostic for the tests"))]
    pub(crate) skipped: Vec<usize>,
}

/// Where the enumeration of a definition comes from.
#[derive(Clone, Copy)]
enum Source {
    None,
    Table(&'static Enum),
    /// `type_uid`: the class and each of its activities.
    TypeUid,
    /// `class_uid`: the class alone.
    ClassUid,
    /// `category_uid`: the class's category alone.
    CategoryUid,
}

/// An attribute definition, before it is tied to a holder.
struct Definition {
    attribute: Attribute,
    source: Source,
}

/// A class or object in the making.
struct Draft {
    line: usize,
    head: Head,
    keys: Vec<&'static str>,
    at_least_one: Vec<&'static str>,
    just_one: Vec<&'static str>,
}

enum Head {
    Class {
        name: &'static str,
        uid: u32,
        category: &'static str,
        extension: Option<&'static str>,
        caption: &'static str,
        profiles: Vec<&'static str>,
    },
    Object {
        name: &'static str,
        extension: Option<&'static str>,
        caption: &'static str,
    },
}

#[derive(Default)]
struct Reader {
    categories: HashMap<&'static str, (u32, &'static str)>,
    enums: HashMap<&'static str, &'static Enum>,
    definitions: HashMap<&'static str, Definition>,
    groups: HashMap<&'static str, Vec<&'static str>>,
    drafts: Vec<Draft>,
}

/// Reads a table; never fails, see [`Loaded::skipped`].
pub(crate) fn load(table: &'static str) -> Loaded {
    let mut reader = Reader::default();
    let mut skipped = Vec::new();
    for (index, line) in table.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if reader.line(index + 1, line).is_none() {
            skipped.push(index + 1);
        }
    }
    let ocsf = reader.finish(&mut skipped);
    Loaded { ocsf, skipped }
}

impl Reader {
    /// Takes in one line; none if it is not understood.
    fn line(&mut self, number: usize, line: &'static str) -> Option<()> {
        let mut fields = line.split('\t');
        match fields.next()? {
            "ocsf" => {
                fields.next().filter(|v| *v == crate::VERSION)?;
            }
            "category" => {
                let name = fields.next()?;
                let uid = fields.next()?.parse().ok()?;
                self.categories.insert(name, (uid, fields.next()?));
            }
            "enum" => {
                let id = fields.next()?;
                let string = match fields.next()? {
                    "int" => false,
                    "str" => true,
                    _ => return None,
                };
                let entries = fields
                    .map(|field| {
                        let (key, caption) = field.split_once('=')?;
                        let value = if string { None } else { Some(key.parse().ok()?) };
                        Some(EnumEntry { key, value, caption })
                    })
                    .collect::<Option<Vec<_>>>()?;
                self.enums.insert(id, enumeration(entries, string));
            }
            "attr" => {
                let key = fields.next()?;
                let definition = self.definition(key, fields)?;
                self.definitions.insert(key, definition);
            }
            "group" => {
                let id = fields.next()?;
                self.groups.insert(id, fields.collect());
            }
            "class" => {
                let head = Head::Class {
                    name: fields.next()?,
                    uid: fields.next()?.parse().ok()?,
                    category: fields.next()?,
                    extension: extension(fields.next()?),
                    caption: fields.next()?,
                    profiles: match fields.next() {
                        Some(field) => list(field.strip_prefix('%')?),
                        None => Vec::new(),
                    },
                };
                self.drafts.push(Draft::new(number, head));
            }
            "object" => {
                let head = Head::Object {
                    name: fields.next()?,
                    extension: extension(fields.next()?),
                    caption: fields.next()?,
                };
                self.drafts.push(Draft::new(number, head));
            }
            "has" => {
                let draft = self.drafts.last_mut()?;
                let mut known = true;
                for field in fields {
                    match field.strip_prefix('+') {
                        None => draft.keys.push(field),
                        Some(id) => match self.groups.get(id) {
                            Some(keys) => draft.keys.extend(keys),
                            None => known = false,
                        },
                    }
                }
                return known.then_some(());
            }
            "any" => self.drafts.last_mut()?.at_least_one = fields.collect(),
            "one" => self.drafts.last_mut()?.just_one = fields.collect(),
            _ => return None,
        }
        Some(())
    }

    /// The definition in the fields after the key of an `attr` line.
    fn definition(&self, key: &'static str, mut fields: std::str::Split<'static, char>) -> Option<Definition> {
        let written = fields.next()?;
        let (base, is_array) = match written.strip_suffix("[]") {
            Some(base) => (base, true),
            None => (written, false),
        };
        let ty = match base.strip_prefix('@') {
            Some(object) => Type::Object(object),
            None => Type::from_name(&format!("{base}_t"))?,
        };
        let level = fields.next()?;
        let requirement = match level.trim_end_matches('!') {
            "r" => Requirement::Required,
            "c" => Requirement::Recommended,
            "o" => Requirement::Optional,
            _ => return None,
        };
        let mut definition = Definition {
            attribute: Attribute {
                name: key.split_once(':').map_or(key, |(name, _)| name),
                ty,
                is_array,
                requirement,
                profiles: Vec::new(),
                enumeration: None,
                sibling: None,
                deprecated: level.ends_with('!'),
            },
            source: Source::None,
        };
        for field in fields {
            if let Some(sibling) = field.strip_prefix('~') {
                definition.attribute.sibling = Some(sibling);
            } else if let Some(profiles) = field.strip_prefix('%') {
                definition.attribute.profiles = list(profiles);
            } else if let Some(id) = field.strip_prefix('#') {
                definition.source = match id {
                    "type" => Source::TypeUid,
                    "class" => Source::ClassUid,
                    "category" => Source::CategoryUid,
                    _ => Source::Table(self.enums.get(id)?),
                };
            } else {
                return None;
            }
        }
        Some(definition)
    }

    /// Builds the schema of what was read; adds to `skipped` the lines of the
    /// classes and objects which refer to something that is not there.
    fn finish(mut self, skipped: &mut Vec<usize>) -> Ocsf {
        let mut classes = Vec::new();
        let mut objects = Vec::new();
        for draft in std::mem::take(&mut self.drafts) {
            let mut whole = true;
            let (mut attributes, mut sources) = (Vec::new(), Vec::new());
            for key in &draft.keys {
                match self.definitions.get(key) {
                    Some(definition) => {
                        attributes.push(definition.attribute.clone());
                        sources.push(definition.source);
                    }
                    None => whole = false,
                }
            }
            for (attribute, source) in attributes.iter_mut().zip(&sources) {
                if let Source::Table(found) = source {
                    attribute.enumeration = Some(found);
                }
            }
            match draft.head {
                Head::Class { name, uid, category, extension, caption, profiles } => {
                    let (category_uid, category_caption) =
                        self.categories.get(category).copied().unwrap_or_else(|| {
                            whole = false;
                            (0, category)
                        });
                    let activities = attributes.iter().find(|a| a.name == "activity_id").and_then(|a| a.enumeration);
                    for (attribute, source) in attributes.iter_mut().zip(&sources) {
                        let derived = match source {
                            Source::None | Source::Table(_) => continue,
                            Source::TypeUid => type_uids(uid, caption, activities),
                            Source::ClassUid => single(uid, caption),
                            Source::CategoryUid => single(category_uid, category_caption),
                        };
                        attribute.enumeration = Some(derived);
                    }
                    classes.push(Class {
                        name,
                        caption,
                        uid,
                        category,
                        category_uid,
                        category_caption,
                        extension,
                        profiles,
                        at_least_one: draft.at_least_one,
                        just_one: draft.just_one,
                        attributes: sorted(attributes),
                    });
                }
                Head::Object { name, extension, caption } => objects.push(Object {
                    name,
                    caption,
                    extension,
                    at_least_one: draft.at_least_one,
                    just_one: draft.just_one,
                    attributes: sorted(attributes),
                }),
            }
            if !whole {
                skipped.push(draft.line);
            }
        }
        classes.sort_by_key(|c| c.uid);
        objects.sort_by_key(|o| o.name);
        let classes: &'static [Class] = Vec::leak(classes);
        Ocsf { classes, objects: Vec::leak(objects), class_names: classes.iter().map(|c| (c.name, c)).collect() }
    }
}

impl Draft {
    fn new(line: usize, head: Head) -> Draft {
        Draft { line, head, keys: Vec::new(), at_least_one: Vec::new(), just_one: Vec::new() }
    }
}

fn extension(field: &'static str) -> Option<&'static str> {
    (field != "-").then_some(field)
}

fn list(field: &'static str) -> Vec<&'static str> {
    field.split(',').collect()
}

fn sorted(mut attributes: Vec<Attribute>) -> &'static [Attribute] {
    attributes.sort_by_key(|a| a.name);
    Vec::leak(attributes)
}

fn enumeration(mut entries: Vec<EnumEntry>, string: bool) -> &'static Enum {
    if string {
        entries.sort_by_key(|e| e.key);
    } else {
        entries.sort_by_key(|e| e.value);
    }
    Box::leak(Box::new(Enum { entries, string }))
}

fn entry(value: i64, caption: &'static str) -> EnumEntry {
    EnumEntry { key: value.to_string().leak(), value: Some(value), caption }
}

/// The enumeration of an attribute which has one value only.
fn single(uid: u32, caption: &'static str) -> &'static Enum {
    enumeration(vec![entry(i64::from(uid), caption)], false)
}

/// The enumeration of `type_uid`: for each activity the class uid times 100
/// plus the activity, captioned `Class: Activity`.
fn type_uids(uid: u32, caption: &str, activities: Option<&Enum>) -> &'static Enum {
    let entries = activities.map_or(&[][..], |a| &a.entries);
    let entries = entries
        .iter()
        .filter_map(|activity| {
            let value = i64::from(uid) * 100 + activity.value?;
            Some(entry(value, format!("{caption}: {}", activity.caption).leak()))
        })
        .collect();
    enumeration(entries, false)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::{StringKind, ocsf};

    #[test]
    fn the_table_is_understood_whole() {
        assert_eq!(load(TABLE).skipped, Vec::<usize>::new());
    }

    #[test]
    fn the_counts_are_those_of_the_source() {
        let ocsf = ocsf();
        let in_classes: usize = ocsf.classes().map(|c| c.attributes().len()).sum();
        let in_objects: usize = ocsf.objects().map(|o| o.attributes().len()).sum();
        assert_eq!(ocsf.classes().count(), 83);
        assert_eq!(ocsf.objects().count(), 178);
        assert_eq!((in_classes, in_objects), (5287, 1916));

        let all = || {
            let of_classes = ocsf.classes().flat_map(Class::attributes);
            of_classes.chain(ocsf.objects().flat_map(Object::attributes))
        };
        let count = |test: fn(&Attribute) -> bool| all().filter(|a| test(a)).count();
        assert_eq!(count(|a| a.requirement == Requirement::Required), 1014);
        assert_eq!(count(|a| a.requirement == Requirement::Recommended), 1956);
        assert_eq!(count(|a| a.requirement == Requirement::Optional), 4233);
        assert_eq!(count(|a| a.enumeration.is_some()), 1016);
        assert_eq!(count(|a| a.enumeration.is_some_and(Enum::is_string)), 3);
        assert_eq!(count(|a| a.sibling.is_some()), 1013);
        assert_eq!(count(|a| a.is_array), 796);
        assert_eq!(count(|a| a.deprecated), 81);
        assert_eq!(count(|a| !a.profiles.is_empty()), 2375);
        assert_eq!(count(|a| matches!(a.ty, Type::Object(_))), 2213);
        assert_eq!(count(|a| a.ty == Type::Integer), 1408);
        assert_eq!(count(|a| a.ty == Type::Timestamp), 361);
        assert_eq!(count(|a| a.ty == Type::String(StringKind::Plain)), 2263);
    }

    #[test]
    fn names_are_unique_and_references_hold() {
        let ocsf = ocsf();
        let names: HashSet<_> = ocsf.classes().map(|c| c.name).collect();
        assert_eq!(names.len(), 83);
        let names: HashSet<_> = ocsf.objects().map(|o| o.name).collect();
        assert_eq!(names.len(), 178);

        let mut lapses = Vec::new();
        let classes = ocsf.classes().map(|c| (c.name, c.attributes()));
        let objects = ocsf.objects().map(|o| (o.name, o.attributes()));
        for (holder, attributes) in classes.chain(objects) {
            assert!(attributes.is_sorted_by(|a, b| a.name < b.name), "{holder}");
            for attribute in attributes {
                if let Type::Object(name) = attribute.ty {
                    assert!(ocsf.object(name).is_some(), "{holder}.{name}");
                }
                if let Some(sibling) = attribute.sibling
                    && !attributes.iter().any(|a| a.name == sibling)
                {
                    lapses.push((holder, attribute.name));
                }
            }
        }
        // The schema names a sibling here which it does not define.
        assert_eq!(lapses, [("observable", "type_uid")]);
    }

    #[test]
    fn derived_enumerations() {
        let class = ocsf().class("authentication").unwrap();
        let values = class.attribute("type_uid").unwrap().enumeration.unwrap();
        assert_eq!(values.entries.len(), 9);
        let logon = values.by_caption("Authentication: Logon").unwrap();
        assert_eq!((logon.key, logon.value), ("300201", Some(300_201)));
        for (name, value, caption) in
            [("class_uid", 3002, "Authentication"), ("category_uid", 3, "Identity & Access Management")]
        {
            let values = class.attribute(name).unwrap().enumeration.unwrap();
            assert_eq!(values.entries.len(), 1);
            assert_eq!(values.by_value(value).unwrap().caption, caption);
        }
        for class in ocsf().classes() {
            let types = class.attribute("type_uid").unwrap().enumeration.unwrap();
            let activities = class.attribute("activity_id").unwrap().enumeration;
            assert_eq!(types.entries.len(), activities.unwrap().entries.len());
        }
    }

    #[test]
    fn lookups() {
        let ocsf = ocsf();
        let class = ocsf.class("registry_key_query").unwrap();
        assert_eq!((class.uid, class.extension), (205_004, Some("win")));
        assert_eq!(ocsf.class("win/registry_key_query").unwrap().uid, 205_004);
        assert!(ocsf.class("linux/registry_key_query").is_none());
        assert!(ocsf.class("win/authentication").is_none());
        assert_eq!(ocsf.class_by_uid(0).unwrap().name, "base_event");
        assert!(ocsf.class_by_uid(1).is_none());
        assert_eq!(ocsf.object("win/reg_key").unwrap().name, "reg_key");
        assert!(ocsf.object("no_such").is_none());
        assert!(ocsf.classes().is_sorted_by_key(|c| c.uid));
        assert!(ocsf.objects().is_sorted_by_key(|o| o.name));

        let process = ocsf.object("process").unwrap();
        assert_eq!(process.at_least_one, ["pid", "uid", "cpid"]);
        let name = process.attribute("name").unwrap();
        assert_eq!(name.ty.name(), "process_name_t");
        let tlp = ocsf.object("osint").unwrap().attribute("tlp").unwrap();
        let tlp = tlp.enumeration.unwrap();
        assert!(tlp.is_string());
        let amber = tlp.by_key("AMBER STRICT").unwrap();
        assert_eq!((amber.value, amber.caption), (None, "TLP:AMBER+STRICT"));
        let action = class.attribute("action_id").unwrap();
        assert_eq!(action.profiles, ["security_control"]);
        assert_eq!(action.sibling, Some("action"));
    }

    #[test]
    fn damage_is_skipped() {
        let table = "what\nenum\t1\tint\tx=1\nattr\ta\tno_type\tr\nattr\tb\tstring\tr\n\
                     attr\tc\tstring\tr\t#7\nhas\tb\nclass\tk\t7\tnowhere\t-\tK\nhas\tb\tzz\t+9\n\
                     object\to\t-\tO\nhas\tb\nobject\nclass\tl\tseven\tother\t-\tL\nocsf\t0.1\n";
        let loaded = load(table);
        assert_eq!(loaded.skipped, [1, 2, 3, 5, 6, 8, 11, 12, 13, 7]);
        let class = loaded.ocsf.class_by_uid(7).unwrap();
        assert_eq!(class.attributes().len(), 1);
        assert_eq!(loaded.ocsf.object("o").unwrap().attributes().len(), 1);
    }
}
