//! Databases in MaxMind's format: places and networks of addresses.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{MaxMindDbError, Reader};
use serde_json::{Map, Value as Json};
use tripline_alert::Looked;
use tripline_config::At;

use super::bytes;
use super::settings::Unusable;

/// Where the facts of MaxMind's records stand, and what they are called here.
const FACTS: [(&str, &str); 17] = [
    ("country", "/country/iso_code"),
    ("country_name", "/country/names/en"),
    ("registered_country", "/registered_country/iso_code"),
    ("continent", "/continent/code"),
    ("region", "/subdivisions/0/iso_code"),
    ("region_name", "/subdivisions/0/names/en"),
    ("city", "/city/names/en"),
    ("postal", "/postal/code"),
    ("latitude", "/location/latitude"),
    ("longitude", "/location/longitude"),
    ("accuracy_radius", "/location/accuracy_radius"),
    ("time_zone", "/location/time_zone"),
    ("asn", "/autonomous_system_number"),
    ("organization", "/autonomous_system_organization"),
    ("isp", "/traits/isp"),
    ("user_type", "/traits/user_type"),
    ("is_anycast", "/traits/is_anycast"),
];
/// Members that facts are taken out of. Others are shown as they are.
const KNOWN: [&str; 11] = [
    "country",
    "registered_country",
    "represented_country",
    "continent",
    "subdivisions",
    "city",
    "postal",
    "location",
    "traits",
    "autonomous_system_number",
    "autonomous_system_organization",
];

/// Databases; what several know of an address is told together, where they differ by the first.
pub(super) struct Databases(Vec<Reader<Vec<u8>>>);

impl fmt::Debug for Databases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = self.0.iter().map(|one| one.metadata().database_type.as_str()).collect();
        write!(f, "Databases({})", kinds.join(", "))
    }
}

impl Databases {
    pub fn open(folder: &Path, paths: &[At<PathBuf>]) -> Result<Self, Unusable> {
        let mut all = Vec::new();
        for path in paths {
            let at = folder.join(&path.value);
            let read = bytes(&at).map_err(|why| (path.span, why))?;
            let database = Reader::from_source(read).map_err(|_| {
                let why = format!("`{}` is no database in MaxMind's format (`.mmdb`)", at.display());
                (path.span, why)
            })?;
            all.push(database);
        }
        Ok(Databases(all))
    }

    pub fn look(&self, value: &str) -> Looked {
        let Ok(address) = value.trim().parse::<IpAddr>() else { return Looked::Nothing };
        let mut facts = Map::new();
        for database in &self.0 {
            // A database of IPv4 knows nothing of the others.
            if address.is_ipv6() && database.metadata().ip_version == 4 {
                continue;
            }
            let found = database.lookup(address).and_then(|found| Ok((found.network().ok(), found.decode::<Json>()?)));
            match found {
                Ok((network, Some(record))) => {
                    for (name, fact) in facts_of(record) {
                        facts.entry(name).or_insert(fact);
                    }
                    if let Some(network) = network {
                        facts.entry("network").or_insert_with(|| network.to_string().into());
                    }
                }
                Ok((_, None)) => {}
                Err(MaxMindDbError::InvalidInput { .. }) => {}
                Err(_) => return Looked::Failed("the database is broken".into()),
            }
        }
        if facts.is_empty() { Looked::Nothing } else { Looked::Found(Json::Object(facts)) }
    }
}

fn facts_of(record: Json) -> Map<String, Json> {
    let mut out = Map::new();
    for (name, pointer) in FACTS {
        if let Some(fact) = record.pointer(pointer) {
            out.insert(name.to_string(), fact.clone());
        }
    }
    match record {
        Json::Object(members) => {
            for (name, value) in members {
                if !KNOWN.contains(&name.as_str()) {
                    out.entry(name).or_insert(value);
                }
            }
        }
        other => {
            out.insert("value".into(), other);
        }
    }
    out
}
