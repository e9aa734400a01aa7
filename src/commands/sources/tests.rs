//! What `tripline sources` shows of a store, held against files: a change of a word or a member is seen.

use std::path::Path;

use tripline_store::{Commit, Options};

use super::*;

const SECOND: i64 = 1_000_000_000;
/// 2026-11-21T12:30:00Z.
const NOW: i64 = 1_795_264_200 * SECOND;

/// Compares with a file, or writes it where `UPDATE_GOLDENS` is set.
fn golden(name: &str, got: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cli/sources").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(&path).unwrap(), "{name}; UPDATE_GOLDENS=1 accepts it");
}

/// What a service of some weeks has in its store, of one source; another was never heard of.
fn memos() -> Vec<(String, Option<String>)> {
    let hour = NOW / (3_600 * SECOND);
    let ago = |seconds: i64| NOW - seconds * SECOND;
    let watched = json!({
        "events": 72_010, "bytes": 90_001_000, "unparsed": 3, "repeated": 2, "sampled": 1_400, "unmapped": 14,
        "first": ago(30 * 86_400), "last": ago(42), "latest": ago(45),
        "hour": {"number": hour, "events": 48, "pause": 0, "aside": 0}, "before": 96, "lags": [{"84": 90, "105": 10}, {}],
        "of": {"okta.system_log": {"events": 72_000, "last": ago(42)}, "windows.event_log": {"events": 10, "last": ago(900)}},
        "failing": ["the disk cannot be read", ago(120)],
    });
    let slot = json!({"n": 3, "mean": 100.0, "variance": 50.0, "pause": 60 * SECOND});
    let gaps = json!({"idp": {"counts": 2, "judged": 1, "twice": 4, "missing": [
        {"event_source": "windows.event_log", "of": "DC01 / Security", "missing": 3, "holes": [[5, 6], [9, 9]]}]}});
    let told = json!({"gaps": 2, "missing": 3, "latest": [
        {"at": ago(20 * 86_400), "of": "logs / partition 3", "from": 5, "to": 7, "missing": 3, "why": "they were deleted"},
        {"at": ago(3_600), "event_source": "okta.system_log", "of": "system_log", "from": "2026-11-20T00:00:00Z",
         "to": "2026-11-21T00:00:00Z", "why": "the cursor has expired"}]});
    let open = json!({"subject": {"kind": "gap", "source": "idp", "event_source": "windows.event_log", "of": "DC01\tSecurity"},
        "since": ago(600), "expected": "every number of DC01 / Security", "seen": "2 missing: 5 to 6"});
    let field = |gone: bool| json!({"types": {}, "first": ago(86_400), "last": ago(45), "from": 0, "upto": 9, "example": "a", "gone": gone});
    let fields = json!({"samples": 1_400, "first": ago(86_400), "by": "idp", "forgotten": 0,
        "paths": {"actor.id": field(false), "debugContext.risk": field(true)}});
    // One that the configuration does not have any more is not shown.
    let removed = json!({ "events": 10, "first": ago(86_400), "last": ago(3_600) });
    let all = [
        ("source/idp", watched),
        ("source/removed", removed),
        ("gaps", gaps),
        ("told/idp", told),
        ("open/x", open),
        ("fields/okta", fields),
    ];
    let week = ("watch/week/idp".to_string(), Some(Json::from(vec![slot; 168]).to_string()));
    all.into_iter().map(|(name, kept)| (format!("watch/{name}"), Some(kept.to_string()))).chain([week]).collect()
}

#[test]
fn what_is_shown_of_a_store_is_what_the_files_have() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("a.db"), Options::default()).unwrap();
    store.commit(&Commit { at: NOW, memos: memos(), ..Commit::default() }).unwrap();
    let source = |name: &str| format!("[[source]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{name}.jsonl\"\n");
    let path = folder.path().join("tripline.toml");
    std::fs::write(&path, ["[store]\npath = \"a.db\"\n".to_string(), source("idp"), source("quiet")].concat()).unwrap();
    let desk = Where { config: path }.open().unwrap();
    let sources = &desk.config.sources;
    let reports = report::read(&store, sources).unwrap();
    let shown = |format, one| Shown { format, one, now: NOW }.lines(sources, &reports).join("\n") + "\n";
    golden("table.txt", &shown(Format::Text, false));
    golden("one.txt", &shown(Format::Text, true));
    let all: Json = serde_json::from_str(&shown(Format::Json, false)).unwrap();
    golden("all.json", &(serde_json::to_string_pretty(&all).unwrap() + "\n"));
}
