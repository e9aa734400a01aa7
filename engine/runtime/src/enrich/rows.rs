//! Rows of CSV files and entries of directories, by the values that they are looked up with. Case does not count.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value as Json};
use tripline_alert::Looked;
use tripline_config::At;

use super::settings::{CsvTable, Directory, Unusable};
use super::{bytes, ldif};

/// The most rows.
const MOST: usize = 5_000_000;

/// Attributes that values are looked up in, in LDIF.
const KEYS: [&str; 6] = ["uid", "sAMAccountName", "userPrincipalName", "mail", "cn", "dNSHostName"];

/// Attributes that are shown of an entry of LDIF. Exports hold passwords and pictures too, so others are named.
const SHOWN: [&str; 24] = [
    "cn",
    "co",
    "company",
    "department",
    "departmentNumber",
    "displayName",
    "dNSHostName",
    "employeeID",
    "employeeNumber",
    "employeeType",
    "givenName",
    "l",
    "mail",
    "manager",
    "o",
    "operatingSystem",
    "ou",
    "sAMAccountName",
    "sn",
    "telephoneNumber",
    "title",
    "uid",
    "userPrincipalName",
    "memberOf",
];

/// Rows by their values.
#[derive(Debug, Default)]
pub(super) struct Rows(HashMap<String, Arc<Map<String, Json>>>);

impl Rows {
    pub fn look(&self, value: &str) -> Looked {
        match self.0.get(&folded(value)) {
            Some(row) => Looked::Found(Json::Object(row.as_ref().clone())),
            None => Looked::Nothing,
        }
    }

    /// Of several rows with one value, the first counts.
    fn add(&mut self, value: &str, row: &Arc<Map<String, Json>>) {
        let value = folded(value);
        if !value.is_empty() {
            self.0.entry(value).or_insert_with(|| Arc::clone(row));
        }
    }
}

fn folded(value: &str) -> String {
    value.trim().to_lowercase()
}

/// A CSV file with a header.
pub(super) fn table(folder: &Path, table: &CsvTable) -> Result<Rows, Unusable> {
    csv(&folder.join(&table.path.value), &table.path, std::slice::from_ref(&table.key), &table.show)
}

/// An export of a directory.
pub(super) fn directory(folder: &Path, directory: &Directory) -> Result<Rows, Unusable> {
    let Directory { path, keys, show, ldif } = directory;
    if !ldif {
        return csv(&folder.join(&path.value), path, keys, show);
    }
    let at = folder.join(&path.value);
    let unusable = |why: String| (path.span, why);
    let text = bytes(&at).map_err(unusable)?;
    let text = String::from_utf8(text).map_err(|_| unusable(format!("`{}` is not UTF-8", at.display())))?;
    let names = |given: &[At<String>], default: &[&str]| -> Vec<String> {
        match given.is_empty() {
            true => default.iter().map(|name| (*name).to_string()).collect(),
            false => given.iter().map(|name| name.value.clone()).collect(),
        }
    };
    let (keys, show) = (names(keys, &KEYS), names(show, &SHOWN));
    let mut rows = Rows::default();
    let mut count = 0;
    let read = ldif::entries(&text, &mut |entry: &ldif::Entry| {
        count += 1;
        let mut row = Map::new();
        for name in &show {
            let values = ldif::values(entry, name);
            match values.as_slice() {
                [] => {}
                [one] => {
                    row.insert(name.clone(), Json::from(*one));
                }
                several => {
                    row.insert(name.clone(), several.iter().map(|value| Json::from(*value)).collect());
                }
            }
        }
        let row = Arc::new(row);
        for value in keys.iter().flat_map(|name| ldif::values(entry, name)) {
            rows.add(value, &row);
        }
        count < MOST
    });
    read.map_err(|(line, why)| unusable(format!("line {line} of `{}`: {why}", at.display())))?;
    if count >= MOST {
        return Err(unusable(format!("`{}` has {MOST} entries or more", at.display())));
    }
    if count > 0 && rows.0.is_empty() {
        let why = format!("no entry of `{}` has one of {}", at.display(), keys.join(", "));
        return Err(unusable(why));
    }
    Ok(rows)
}

fn csv(at: &Path, path: &At<std::path::PathBuf>, keys: &[At<String>], show: &[At<String>]) -> Result<Rows, Unusable> {
    let unusable = |why: String| (path.span, why);
    let text = bytes(at).map_err(unusable)?;
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&text);
    let broken = |error: ::csv::Error| match error.position() {
        Some(place) => unusable(format!("line {} of `{}` cannot be read", place.line(), at.display())),
        None => unusable(format!("`{}` cannot be read as CSV", at.display())),
    };
    let mut reader = ::csv::ReaderBuilder::new().trim(::csv::Trim::All).from_reader(text);
    let header = reader.headers().map_err(broken)?.clone();
    let column = |name: &At<String>| {
        let found = header.iter().position(|column| column == name.value);
        found.ok_or_else(|| {
            let hint = tripline_base::did_you_mean(&name.value, header.iter());
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            (name.span, format!("`{}` has no column `{}`{hint}", at.display(), name.value))
        })
    };
    let keys: Vec<usize> = keys.iter().map(column).collect::<Result<_, _>>()?;
    let show: Vec<usize> = match show.is_empty() {
        true => (0..header.len()).collect(),
        false => show.iter().map(column).collect::<Result<_, _>>()?,
    };
    let mut rows = Rows::default();
    for (count, record) in reader.records().enumerate() {
        if count >= MOST {
            return Err(unusable(format!("`{}` has more than {MOST} rows", at.display())));
        }
        let record = record.map_err(broken)?;
        let cell = |at: usize| Some((header.get(at)?.to_string(), Json::from(record.get(at)?)));
        let row = show.iter().filter_map(|at| cell(*at)).filter(|(_, value)| value != "");
        let row = Arc::new(row.collect::<Map<String, Json>>());
        for value in keys.iter().filter_map(|at| record.get(*at)) {
            rows.add(value, &row);
        }
    }
    Ok(rows)
}
