//! What is said of configurations that cannot be used: `diagnostics/TXXXX_name.toml` beside what is said (`.txt`). The
//! first line of each says which words are underlined. `UPDATE_GOLDENS=1` writes the `.txt` files anew.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tripline_base::terminal::{Colour, render};
use tripline_base::{Diagnostic, SourceMap};
use tripline_config::codes as general;
use tripline_connect::Kinds;
use tripline_runtime::{Config, codes};

const KINDS: Kinds = Kinds { sources: tripline_sources::KINDS, destinations: tripline_destinations::KINDS };

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

fn goldens() -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    all.sort();
    all
}

const MAPPING: &str = "mapping okta from okta.system_log {
  detect where exists raw.a
  otherwise -> base_event { activity_id: \"Other\" }
}
";

const RULES: &str =
    "rule aws_root_console_login { title: \"a\" severity: low on authentication where user.uid == \"root\" }
rule risk_of_root {
  title: \"b\" severity: low on finding from aws_root_console_login
  group by entity within 1h having count() >= 2
}
";

const OWN: &str =
    "rule tripline_silent { title: \"a\" severity: low on event from okta.system_log where raw.a == 1 alert {} }\n";

const PACK: &str = "name = \"aws\"\nversion = \"1\"\ndescription = \"AWS\"\n";

/// Everything that is said of a configuration before a service would begin, with the texts that it points at: those of
/// the configuration, or, for what it says of rules, those of the rules.
fn said(path: &Path, text: &str) -> Vec<(Arc<SourceMap>, Diagnostic)> {
    let mut sources = SourceMap::new();
    let name = PathBuf::from(path.file_name().unwrap());
    let (config, mut said) = Config::parse(&mut sources, &name, text, KINDS);
    let mut of_rules = Vec::new();
    if let Some(config) = config {
        let mut compiler = tripline_detect::Compiler::new();
        compiler.add("m.trip", MAPPING);
        compiler.add_bytes("rules/aws/pack.toml", PACK.as_bytes());
        compiler.add("rules/aws/a.trip", RULES);
        compiler.add_bytes("rules/tripline/pack.toml", PACK.replace("aws", "tripline").as_bytes());
        compiler.add("rules/tripline/a.trip", OWN);
        compiler.configure(&config.rules.local);
        let mut ruleset = compiler.compile(&tripline_detect::DiskFiles, 0);
        said.extend(config.with(&sources, &ruleset).1);
        said.extend(config.enrichments(&sources, &ruleset).1);
        said.extend(config.files());
        said.extend(config.secrets().err().into_iter().flatten());
        let texts = Arc::new(std::mem::take(&mut ruleset.sources));
        let own = |one: &Diagnostic| texts.name(one.span().file) == config.rules.local.name;
        let own = ruleset.diagnostics.into_iter().filter(own);
        of_rules.extend(own.map(|one| (Arc::clone(&texts), one)));
    }
    let sources = Arc::new(sources);
    said.into_iter().map(|one| (Arc::clone(&sources), one)).chain(of_rules).collect()
}

#[test]
fn each_golden_says_what_it_said_of_the_words_that_it_names() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some();
    let mut wrong = Vec::new();
    for path in goldens() {
        let text = std::fs::read_to_string(&path).unwrap();
        let said = said(&path, &text);
        let code = path.file_name().unwrap().to_string_lossy().split('_').next().unwrap().to_string();
        let words = text.lines().next().unwrap().strip_prefix("# underlines:").unwrap().trim();
        match said.iter().find(|(_, one)| one.code.id == code) {
            None => wrong.push(format!("{} does not provoke {code}: {said:?}", path.display())),
            Some((sources, one)) if sources.slice(one.span()) != words => {
                wrong.push(format!("{}: `{}` is underlined", path.display(), sources.slice(one.span())));
            }
            Some(_) => {}
        }
        let now: String = said.iter().map(|(sources, one)| render(one, sources, Colour::Never)).collect();
        let beside = path.with_extension("txt");
        if update {
            std::fs::write(&beside, &now).unwrap();
        } else if std::fs::read_to_string(&beside).unwrap_or_default() != now {
            wrong.push(format!("{} differs:\n{now}", beside.display()));
        }
    }
    assert!(wrong.is_empty(), "UPDATE_GOLDENS=1 accepts what is said now\n\n{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_golden() {
    let names: Vec<String> = goldens().iter().map(|path| path.file_name().unwrap().to_string_lossy().into()).collect();
    for code in codes::ALL.iter().chain(general::ALL).chain(tripline_alert::codes::ALL) {
        assert!(names.iter().any(|name| name.starts_with(code.id)), "{} has no golden", code.id);
    }
}

#[test]
fn what_is_written_where_a_secret_belongs_is_never_shown() {
    let texts = [
        "[[source]]\nname = \"push\"\nkind = \"http\"\ntoken = \"hunter2-\"\nlisten = 5\n",
        "[[output]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"ftp://hunter2-\"\n",
        "[[output]]\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://u:hunter2-@example.com/\"\nheaders = { X-Key = \"hunter2-\\u0007\" }\n",
        "[[output]]\nheaders = { X-Key = \"hunter2-\", \"a b\" = \"hunter2-\" }\nname = \"a\"\nkind = \"webhook\"\nurl = \"https://example.com/\"\n",
        "[[source]]\ntoken = \"hunter2-\nname = 1",
        "[metrics]\ntokn = \"hunter2-\"\ntoken = { envv = \"hunter2-\" }\nlisten = \"127.0.0.1:1\"\n",
        "[metrics]\nlisten = \"127.0.0.1:1\"\ntoken = \"\"\"\nhunter2-\n\"\"\"\nx = \n",
    ];
    for text in texts {
        let said = said(Path::new("a.toml"), text);
        assert!(!said.is_empty(), "{text}");
        for (sources, one) in said {
            let shown = format!(
                "{one:?}{}{}",
                render(&one, &sources, Colour::Never),
                tripline_base::json::render(&one, &sources)
            );
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn whatever_the_text_is_reading_it_ends() {
    let whole = include_str!("../../../examples/service/tripline.toml");
    let (config, said) = Config::parse(&mut SourceMap::new(), Path::new("tripline.toml"), whole, KINDS);
    assert!(config.is_some() && said.is_empty(), "{said:?}");
    for cut in (0..whole.len()).filter(|cut| whole.is_char_boundary(*cut)) {
        let (_, said) =
            Config::parse(&mut SourceMap::new(), Path::new("tripline.toml"), whole.get(..cut).unwrap(), KINDS);
        assert!(said.len() < 100);
    }
}
