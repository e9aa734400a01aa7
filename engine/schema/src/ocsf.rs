//! The model of the OCSF schema: what a class, an object, an attribute, a
//! type and an enumeration are, and how they are looked up.
//!
//! It holds no parsing (see `load`) and no path logic (see `path`), so that
//! the shape of the schema can be read in one place.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use crate::load;

/// The OCSF version which the table describes.
pub const VERSION: &str = "1.8.0";

/// The whole schema. Get it from [`ocsf`].
#[derive(Debug)]
pub struct Ocsf {
    /// Sorted by uid.
    pub(crate) classes: &'static [Class],
    /// Sorted by name.
    pub(crate) objects: &'static [Object],
    pub(crate) class_names: HashMap<&'static str, &'static Class>,
}

/// The schema, parsed at the first call (a few milliseconds at most) and
/// shared from then on.
pub fn ocsf() -> &'static Ocsf {
    static OCSF: OnceLock<Ocsf> = OnceLock::new();
    OCSF.get_or_init(|| load::load(load::TABLE).ocsf)
}

impl Ocsf {
    /// The class of this name. The class of an extension is found by its bare
    /// name and by its qualified one: `registry_key_query` and
    /// `win/registry_key_query` are the same class.
    pub fn class(&self, name: &str) -> Option<&'static Class> {
        let (extension, bare) = split_extension(name);
        let class = self.class_names.get(bare).copied()?;
        (extension.is_none() || extension == class.extension).then_some(class)
    }

    /// The class with this `class_uid`, such as 3002.
    pub fn class_by_uid(&self, uid: u32) -> Option<&'static Class> {
        let at = self.classes.binary_search_by_key(&uid, |c| c.uid).ok()?;
        self.classes.get(at)
    }

    /// All classes, in the order of their uid.
    pub fn classes(&self) -> impl Iterator<Item = &'static Class> + use<> {
        self.classes.iter()
    }

    /// The object of this name, bare or qualified, as with [`Ocsf::class`].
    pub fn object(&self, name: &str) -> Option<&'static Object> {
        let (extension, bare) = split_extension(name);
        let at = self.objects.binary_search_by(|o| o.name.cmp(bare)).ok().and_then(|at| self.objects.get(at))?;
        (extension.is_none() || extension == at.extension).then_some(at)
    }

    /// All objects, in the order of their name.
    pub fn objects(&self) -> impl Iterator<Item = &'static Object> + use<> {
        self.objects.iter()
    }
}

/// `win/reg_key` is `(Some("win"), "reg_key")`.
fn split_extension(name: &str) -> (Option<&str>, &str) {
    match name.rsplit_once('/') {
        Some((extension, bare)) => (Some(extension), bare),
        None => (None, name),
    }
}

/// An event class, such as `authentication`.
#[derive(Debug)]
pub struct Class {
    /// The bare name, without the extension: `registry_key_query`.
    pub name: &'static str,
    /// The name for people: `Registry Key Query`.
    pub caption: &'static str,
    /// The value of `class_uid`: category and extension are part of it.
    pub uid: u32,
    /// The name of the category, such as `iam`; `other` for the base event.
    pub category: &'static str,
    /// The value of `category_uid`, such as 3; 0 for the base event.
    pub category_uid: u32,
    /// The category's name for people: `Identity & Access Management`.
    pub category_caption: &'static str,
    /// The extension which defines the class, such as `win`.
    pub extension: Option<&'static str>,
    /// The profiles which may be applied to the class, sorted. Those of an
    /// extension are qualified: `linux/linux_users`.
    pub profiles: Vec<&'static str>,
    /// Attributes of which at least one must be present (dotted paths occur);
    /// empty when there is no such rule.
    pub at_least_one: Vec<&'static str>,
    /// Attributes of which exactly one must be present; empty when there is
    /// no such rule.
    pub just_one: Vec<&'static str>,
    pub(crate) attributes: &'static [Attribute],
}

impl Class {
    /// The attribute of this name, whichever profile brings it.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }

    /// All attributes, inherited ones and those of profiles too, in the order
    /// of their name.
    pub fn attributes(&self) -> &'static [Attribute] {
        self.attributes
    }
}

/// An object: the type of a structured attribute, such as `process`.
#[derive(Debug)]
pub struct Object {
    /// The bare name, without the extension: `reg_key`.
    pub name: &'static str,
    /// The name for people: `Registry Key`.
    pub caption: &'static str,
    /// The extension which defines the object, such as `win`.
    pub extension: Option<&'static str>,
    /// Attributes of which at least one must be present; empty when there is
    /// no such rule.
    pub at_least_one: Vec<&'static str>,
    /// Attributes of which exactly one must be present; empty when there is
    /// no such rule.
    pub just_one: Vec<&'static str>,
    pub(crate) attributes: &'static [Attribute],
}

impl Object {
    /// The attribute of this name, whichever profile brings it.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }

    /// All attributes in the order of their name.
    pub fn attributes(&self) -> &'static [Attribute] {
        self.attributes
    }
}

fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    let at = attributes.binary_search_by(|a| a.name.cmp(name)).ok()?;
    attributes.get(at)
}

/// An attribute as one class or object defines it. The same name may have
/// another requirement, type or enumeration elsewhere.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name: the key in the event.
    pub name: &'static str,
    /// The type of the value, or of each element if [`Attribute::is_array`].
    pub ty: Type,
    /// Whether the value is a list.
    pub is_array: bool,
    /// How strongly the schema asks for the attribute.
    pub requirement: Requirement,
    /// The profiles which bring the attribute: it belongs to the event when
    /// one of them is applied. Empty: it always belongs.
    pub profiles: Vec<&'static str>,
    /// The permitted values, where the schema lists them.
    pub enumeration: Option<&'static Enum>,
    /// The attribute next to this one which says the same in words: that of
    /// `activity_id` is `activity_name`.
    pub sibling: Option<&'static str>,
    /// Whether the schema discourages the attribute as of this version.
    pub deprecated: bool,
}

/// What tells how a value of it is read: an enumeration is told from others by where it is in memory.
impl Hash for Attribute {
    fn hash<H: Hasher>(&self, to: &mut H) {
        (self.name, self.ty, self.is_array, self.enumeration.map(std::ptr::from_ref)).hash(to);
    }
}

/// How strongly the schema asks for an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// An event without it is not valid.
    Required,
    /// It should be there when its value is known.
    Recommended,
    /// It may be there.
    Optional,
}

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `boolean_t`: true or false.
    Boolean,
    /// `integer_t`: a signed integer.
    Integer,
    /// `long_t`: a signed integer of 64 bits.
    Long,
    /// `float_t`: a number.
    Float,
    /// `port_t`: an integer from 0 to 65535.
    Port,
    /// `timestamp_t`: milliseconds since 1970-01-01 00:00 UTC, as an integer.
    Timestamp,
    /// `datetime_t`: a date and time in RFC 3339 form, as a string.
    Datetime,
    /// `ip_t`: an IPv4 or IPv6 address, as a string.
    Ip,
    /// `subnet_t`: a network in CIDR form, as a string.
    Subnet,
    /// `string_t` and the types which only say what a string means.
    String(StringKind),
    /// `json_t`: any JSON value.
    Json,
    /// A structured value: the bare name of its object. The object named
    /// `object` has no attributes of its own and is open to any key.
    Object(&'static str),
}

/// What a string is about. Every kind is a string in the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StringKind {
    /// `string_t`: nothing in particular.
    Plain,
    /// `bytestring_t`: bytes in Base64.
    Bytes,
    /// `email_t`: an e-mail address.
    Email,
    /// `file_hash_t`: a digest of a file.
    FileHash,
    /// `file_name_t`: a file name.
    FileName,
    /// `file_path_t`: a file path.
    FilePath,
    /// `hostname_t`: the name of a host.
    Hostname,
    /// `mac_t`: a hardware address.
    Mac,
    /// `process_name_t`: the name of a process.
    ProcessName,
    /// `reg_key_path_t`: the path of a registry key.
    RegKeyPath,
    /// `resource_uid_t`: the identifier of a resource.
    ResourceUid,
    /// `url_t`: a URL.
    Url,
    /// `username_t`: the name of a user.
    Username,
    /// `uuid_t`: a UUID.
    Uuid,
}

/// Every type but [`Type::Object`], with its name in the schema.
const TYPES: [(&str, Type); 24] = [
    ("boolean_t", Type::Boolean),
    ("integer_t", Type::Integer),
    ("long_t", Type::Long),
    ("float_t", Type::Float),
    ("port_t", Type::Port),
    ("timestamp_t", Type::Timestamp),
    ("datetime_t", Type::Datetime),
    ("ip_t", Type::Ip),
    ("subnet_t", Type::Subnet),
    ("json_t", Type::Json),
    ("string_t", Type::String(StringKind::Plain)),
    ("bytestring_t", Type::String(StringKind::Bytes)),
    ("email_t", Type::String(StringKind::Email)),
    ("file_hash_t", Type::String(StringKind::FileHash)),
    ("file_name_t", Type::String(StringKind::FileName)),
    ("file_path_t", Type::String(StringKind::FilePath)),
    ("hostname_t", Type::String(StringKind::Hostname)),
    ("mac_t", Type::String(StringKind::Mac)),
    ("process_name_t", Type::String(StringKind::ProcessName)),
    ("reg_key_path_t", Type::String(StringKind::RegKeyPath)),
    ("resource_uid_t", Type::String(StringKind::ResourceUid)),
    ("url_t", Type::String(StringKind::Url)),
    ("username_t", Type::String(StringKind::Username)),
    ("uuid_t", Type::String(StringKind::Uuid)),
];

impl Type {
    /// The type of this schema name (`ip_t`), objects aside.
    pub fn from_name(name: &str) -> Option<Type> {
        TYPES.iter().find(|(n, _)| *n == name).map(|(_, ty)| *ty)
    }

    /// The name in the schema: `ip_t`, or the object's name.
    pub fn name(self) -> &'static str {
        if let Type::Object(name) = self {
            return name;
        }
        TYPES.iter().find(|(_, ty)| *ty == self).map_or("", |(n, _)| n)
    }

    /// Whether the schema says nothing about what is inside the value: JSON,
    /// and the open object (the type of `unmapped`).
    pub fn is_free_form(self) -> bool {
        matches!(self, Type::Json | Type::Object("object"))
    }
}

/// The permitted values of an attribute.
#[derive(Debug)]
pub struct Enum {
    /// Sorted by value if the values are integers, by key otherwise.
    pub entries: Vec<EnumEntry>,
    pub(crate) string: bool,
}

/// One permitted value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumEntry {
    /// The value in writing: `99`, or `GET` in an enumeration of strings.
    pub key: &'static str,
    /// The value as an integer; none in an enumeration of strings.
    pub value: Option<i64>,
    /// The name for people: `Other`.
    pub caption: &'static str,
}

impl Enum {
    /// The entry with exactly this caption.
    pub fn by_caption(&self, caption: &str) -> Option<&EnumEntry> {
        self.entries.iter().find(|e| e.caption == caption)
    }

    /// The entry with this integer value.
    pub fn by_value(&self, value: i64) -> Option<&EnumEntry> {
        let at = self.entries.binary_search_by_key(&Some(value), |e| e.value).ok()?;
        self.entries.get(at)
    }

    /// The entry with exactly this key.
    pub fn by_key(&self, key: &str) -> Option<&EnumEntry> {
        self.entries.iter().find(|e| e.key == key)
    }

    /// Whether the values are strings rather than integers.
    pub fn is_string(&self) -> bool {
        self.string
    }
}
