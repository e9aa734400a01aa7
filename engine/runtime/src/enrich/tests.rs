//! Files and services as enrichments look in them: what they know, and how they fail.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod database;
mod services;

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tripline_alert::{Looked, Lookup};
use tripline_base::SourceMap;

use super::{Enrichment, open, read};

/// The enrichments of a configuration, or what is wrong with it.
fn configured(toml: &str) -> Result<Vec<Enrichment>, String> {
    let mut sources = SourceMap::new();
    let (found, said) = tripline_config::read(&mut sources, "tripline.toml", toml, |root, said| Some(read(root, said)));
    found.ok_or_else(|| said.iter().map(|one| format!("{} {}\n", one.message, one.help.join(" "))).collect())
}

/// What files know, or what is wrong with them.
fn opened(folder: &Path, toml: &str) -> Result<Arc<dyn Lookup>, String> {
    let mut said = Vec::new();
    let lookup = open(&configured(toml)?, folder, &mut said);
    match said.is_empty() {
        true => Ok(Arc::new(lookup)),
        false => Err(said.iter().map(|one| format!("{}\n", one.message)).collect()),
    }
}

fn found(looked: Looked) -> Json {
    match looked {
        Looked::Found(found) => found,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_table_is_looked_up_by_its_key_without_case() {
    let folder = tempfile::tempdir().unwrap();
    let csv = "\u{feff}hostname,owner,note\nWEB1.example.com,ops,\"a, b\"\nweb1.example.com,second,\n,nobody,\n";
    std::fs::write(folder.path().join("assets.csv"), csv).unwrap();
    let toml =
        "[[enrich]]\nname = \"asset\"\nfor = \"host\"\nkind = \"table\"\npath = \"assets.csv\"\nkey = \"hostname\"\n";
    let known = opened(folder.path(), toml).unwrap();
    let row = json!({ "hostname": "WEB1.example.com", "owner": "ops", "note": "a, b" });
    assert_eq!(found(known.look("asset", "web1.EXAMPLE.com")), row);
    assert_eq!((known.look("asset", "web2"), known.look("asset", "")), (Looked::Nothing, Looked::Nothing));
    let some = opened(folder.path(), &format!("{toml}show = [\"owner\"]\n")).unwrap();
    assert_eq!(found(some.look("asset", "web1.example.com")), json!({ "owner": "ops" }));
    assert!(opened(folder.path(), &toml.replace("\"hostname\"", "\"hostnam\"")).unwrap_err().contains("did you mean"));
    assert!(opened(folder.path(), &toml.replace("assets", "none")).unwrap_err().contains("cannot be read"));
    std::fs::write(folder.path().join("assets.csv"), "hostname,owner\na,b\nc\n").unwrap();
    assert!(opened(folder.path(), toml).unwrap_err().contains("line 3"));
}

#[test]
fn a_directory_is_looked_up_by_several_attributes_and_shows_no_password() {
    let folder = tempfile::tempdir().unwrap();
    let ldif = "dn: uid=alice,dc=example,dc=com\nuid: alice\nmail: Alice@example.com\ncn:: w4RsaWNl\ntitle: Head of\n  \
                Payments\nuserPassword:: c2VjcmV0\nmemberOf: a\nmemberOf: b\n";
    std::fs::write(folder.path().join("staff.ldif"), ldif).unwrap();
    let toml = "[[enrich]]\nname = \"who\"\nfor = [\"user\", \"email\"]\nkind = \"directory\"\npath = \"staff.ldif\"\n";
    let known = opened(folder.path(), toml).unwrap();
    let alice = json!({
        "cn": "Älice", "mail": "Alice@example.com", "title": "Head of Payments", "uid": "alice", "memberOf": ["a", "b"],
    });
    assert_eq!(found(known.look("who", "alice@EXAMPLE.com")), alice);
    assert_eq!(found(known.look("who", "alice")), alice);
    assert_eq!(known.look("who", "bob"), Looked::Nothing);
    assert!(opened(folder.path(), &format!("{toml}key = \"badge\"\n")).unwrap_err().contains("badge"));
    std::fs::write(folder.path().join("staff.ldif"), "dn: a\nno colon here\n").unwrap();
    assert!(opened(folder.path(), toml).unwrap_err().contains("line 2"));
    std::fs::write(folder.path().join("staff.csv"), "login,email,boss\nbob,bob@example.com,alice\n").unwrap();
    let csv = toml.replace("ldif", "csv");
    assert!(opened(folder.path(), &csv).unwrap_err().contains("no `key`"));
    let known = opened(folder.path(), &format!("{csv}key = [\"login\", \"email\"]\n")).unwrap();
    assert_eq!(found(known.look("who", "BOB@example.com"))["boss"], "alice");
}

#[test]
fn databases_of_addresses_are_read_together() {
    let folder = tempfile::tempdir().unwrap();
    let city = json!({
        "country": { "iso_code": "DE", "names": { "en": "Germany", "de": "Deutschland" } },
        "city": { "names": { "en": "Berlin" } },
        "subdivisions": [{ "iso_code": "BE" }],
        "location": { "latitude": 52.5, "time_zone": "Europe/Berlin" },
    });
    let asn = json!({ "autonomous_system_number": 64496, "autonomous_system_organization": "Example", "own": true });
    let write = |name: &str, networks: &[(&str, &Json)]| {
        std::fs::write(folder.path().join(name), database::write(networks)).unwrap();
    };
    write(
        "city.mmdb",
        &[("203.0.113.0/24", &city), ("198.51.100.128/25", &json!({ "country": { "iso_code": "FR" } }))],
    );
    write("asn.mmdb", &[("203.0.112.0/23", &asn)]);
    let toml = "[[enrich]]\nname = \"geo\"\nfor = \"ip\"\nkind = \"mmdb\"\npath = [\"city.mmdb\", \"asn.mmdb\"]\n";
    let known = opened(folder.path(), toml).unwrap();
    let facts = json!({
        "country": "DE", "country_name": "Germany", "city": "Berlin", "region": "BE", "latitude": 52.5,
        "time_zone": "Europe/Berlin", "network": "203.0.113.0/24", "asn": 64496, "organization": "Example", "own": true,
    });
    assert_eq!(found(known.look("geo", "203.0.113.9")), facts);
    assert_eq!(found(known.look("geo", "203.0.112.1"))["asn"], 64496);
    assert_eq!(found(known.look("geo", "198.51.100.200"))["country"], "FR");
    for nothing in ["198.51.100.1", "192.0.2.1", "2001:db8::1", "host", ""] {
        assert_eq!(known.look("geo", nothing), Looked::Nothing, "{nothing}");
    }
    std::fs::write(folder.path().join("asn.mmdb"), b"not a database").unwrap();
    assert!(opened(folder.path(), toml).unwrap_err().contains("no database in MaxMind's format"));
}

#[test]
fn a_broken_database_fails_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let toml = "[[enrich]]\nname = \"geo\"\nfor = \"ip\"\nkind = \"mmdb\"\npath = \"a.mmdb\"\n";
    let whole = database::write(&[("203.0.113.0/24", &json!({ "country": { "iso_code": "DE" }, "x": [1, 2.5, "y"] }))]);
    std::fs::write(folder.path().join("a.mmdb"), &whole).unwrap();
    assert_eq!(found(opened(folder.path(), toml).unwrap().look("geo", "203.0.113.9"))["country"], "DE");
    let mut failed = 0;
    for at in 0..whole.len() {
        for byte in [0x00, 0xff, 0xe0] {
            let mut broken = whole.clone();
            broken[at] = byte;
            std::fs::write(folder.path().join("a.mmdb"), broken).unwrap();
            // Whatever comes of it, it comes to an end.
            match opened(folder.path(), toml) {
                Ok(known) => failed += usize::from(matches!(known.look("geo", "203.0.113.9"), Looked::Failed(_))),
                Err(_) => failed += 1,
            }
        }
    }
    assert!(failed > 0);
}

#[test]
fn what_an_enrichment_lacks_is_said() {
    let said = |toml: &str| configured(&format!("[[enrich]]\nname = \"a\"\nfor = \"ip\"\n{toml}")).unwrap_err();
    assert!(said("").contains("has no `kind`"));
    assert!(said("kind = \"tables\"\n").contains("did you mean `table`"));
    assert!(said("kind = \"table\"\npath = \"a.csv\"\n").contains("has no `key`"));
    assert!(said("kind = \"mmdb\"\n").contains("has no `path`"));
    assert!(said("kind = \"http\"\nurl = \"https://example.com/\"\n").contains("no place for the value"));
    assert!(said("kind = \"http\"\nurl = \"https://example.com/{value}\"\ntoken = \"t\"\n").contains("secret"));
    assert!(said("kind = \"http\"\nurl = \"https://example.com/{value}\"\npointer = \"a\"\n").contains("JSON pointer"));
    assert!(
        said("kind = \"mmdb\"\npath = \"a\"\nbudget = \"2s\"\n").contains("no key `budget`"),
        "it waits for nobody"
    );
}
