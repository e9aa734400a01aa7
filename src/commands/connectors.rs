//! `tripline connectors`: the services that can be polled, what each wants to know, and help for who writes one.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use tripline_base::SourceMap;
use tripline_base::terminal::visible;
use tripline_sources::poll::kit;
use tripline_sources::poll::shipped;
use tripline_sources::poll::spec::{self, Checkpoint, Connector, Setting, SettingKind};
use tripline_sources::poll::text_of;

use super::Outcome;
use super::alerts::Format;
use crate::load;

/// Show which services can be polled, and check and test connectors.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show the connectors that the program has
    List {
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Show what a connector wants to know, what it asks for, and what it reads
    Show {
        /// Its name, or its file
        name: String,
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: Format,
    },
    /// Check connectors' files
    Check {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run the tests of connectors: NAME.test.toml beside NAME.toml
    Test {
        /// Their names, or their files; all that the program has where none is named
        names: Vec<String>,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.what {
        What::List { format } => list(*format),
        What::Show { name, format } => show(name, *format),
        What::Check { files } => check(files),
        What::Test { names } => test(names),
    }
}

/// A connector's text, and that of its tests where there is one.
struct Texts {
    name: String,
    text: String,
    tests: Option<(String, String)>,
}

fn texts(name: &str) -> Result<Texts, String> {
    if !name.ends_with(".toml") && !name.contains('/') {
        let found = shipped::all().iter().find(|one| one.name == name);
        let found = found.ok_or_else(|| {
            let names: Vec<&str> = shipped::names().collect();
            let hint = load::hint(name, names.iter().copied());
            format!(
                "there is no connector `{name}`{hint} (there are {}); one of your own is named by its file",
                load::some(&names)
            )
        })?;
        let tests = found.tests.map(|tests| (format!("{name}.test.toml"), tests.to_string()));
        return Ok(Texts { name: format!("{name}.toml"), text: found.text.to_string(), tests });
    }
    let path = Path::new(name);
    let text = text_in(path)?;
    let beside = path.with_extension("test.toml");
    let tests = if beside.is_file() { Some((beside.display().to_string(), text_of(&beside)?)) } else { None };
    Ok(Texts { name: name.to_string(), text, tests })
}

/// The text of a connector's file, which is not that of another kind.
fn text_in(path: &Path) -> Result<String, String> {
    let text = text_of(path).map_err(|why| match path.exists() {
        true => why,
        false => {
            let name = path.with_extension("").display().to_string();
            let own = if shipped::text(&name).is_some() {
                format!("; `tripline connectors test {name}` tests the connector that the program has")
            } else {
                "; name the file of a connector: docs/CONNECTORS.md says how one is written, and `tripline connectors list` \
                 shows those that the program has"
                    .to_string()
            };
            why + &own
        }
    })?;
    match other_kind(&text, &path.display().to_string()) {
        Some(why) => Err(why),
        None => Ok(text),
    }
}

/// What a file is that is no connector's, and which command is for it.
fn other_kind(text: &str, name: &str) -> Option<String> {
    let mut sources = SourceMap::new();
    let (found, _) = tripline_config::read(&mut sources, name, text, |root, _| {
        root.leave();
        if root.has("stream") {
            return None;
        }
        if root.has("scenario") {
            return Some(format!(
                "`{name}` has the tests of a connector: name the connector's file, beside which they stand, with \
                 `tripline connectors test`"
            ));
        }
        ["source", "output", "destination", "route", "store", "engine"].into_iter().any(|key| root.has(key)).then(|| {
            format!(
                "`{name}` is the configuration of a service, and no connector: `tripline check {name}` looks at it, and \
                 `tripline doctor -c {name}` whether its sources and destinations work"
            )
        })
    });
    found
}

/// A connector that can be used; what is wrong is printed.
fn parsed(texts: &Texts) -> Option<Connector> {
    let mut sources = SourceMap::new();
    let (found, said) = spec::parse(&mut sources, &texts.name, &texts.text);
    load::say(&said, &sources, true);
    found
}

fn usable(name: &str) -> Result<Connector, String> {
    parsed(&texts(name)?).ok_or_else(|| format!("the connector `{name}` has errors"))
}

fn list(format: Format) -> Outcome {
    let mut all = Vec::new();
    for one in shipped::all() {
        let connector = usable(one.name)?;
        let streams: Vec<&str> = connector.streams.iter().map(|stream| stream.name.as_str()).collect();
        if format == Format::Text {
            crate::outln!("{:<14}  {:<36}  {}", one.name, connector.title, streams.join(", "));
        }
        all.push(json!({ "name": one.name, "title": connector.title, "docs": connector.docs, "streams": streams }));
    }
    if format == Format::Json {
        crate::outln!("{}", tripline_detect::json_line(&json!({ "connectors": all })));
    }
    Ok(0)
}

fn kind_of(setting: &Setting) -> String {
    match &setting.kind {
        SettingKind::Text => "text".into(),
        SettingKind::Host => "host".into(),
        SettingKind::Choice(choices) => format!("one of {}", choices.join(", ")),
        SettingKind::Secret => "secret".into(),
        SettingKind::Key => "secret of several lines".into(),
    }
}

fn show(name: &str, format: Format) -> Outcome {
    let connector = usable(name)?;
    if format == Format::Json {
        let settings = connector.settings.iter().map(|one| {
            let (kind, secret) = (kind_of(one), one.kind.is_secret());
            json!({ "name": one.name, "kind": kind, "secret": secret, "help": one.help, "default": one.default })
        });
        let auths = connector.auths.iter().map(|one| {
            let mut names = one.names();
            names.sort_unstable();
            names.dedup();
            json!({ "kind": one.kind(), "settings": names, "asks": one.asks, "help": one.help })
        });
        let streams = connector.streams.iter().map(|one| {
            let checkpoint = if one.checkpoint == Checkpoint::Cursor { "cursor" } else { "time" };
            json!({
                "name": one.name, "source": one.source, "optional": one.optional, "checkpoint": checkpoint,
                "every_seconds": one.every.as_secs(),
            })
        });
        let out = json!({
            "name": connector.name, "title": connector.title, "docs": connector.docs,
            "settings": settings.collect::<Vec<_>>(), "auths": auths.collect::<Vec<_>>(),
            "streams": streams.collect::<Vec<_>>(),
        });
        crate::outln!("{}", tripline_detect::json_line(&out));
        return Ok(0);
    }
    crate::outln!("{}\n{}\n", visible(&connector.title), visible(&connector.docs));
    crate::outln!("settings of `[[source]]`:");
    for one in &connector.settings {
        let default = one.default.as_ref().map(|default| format!(" [default: {default}]")).unwrap_or_default();
        crate::outln!("  {:<16}  {} ({}){}", one.name, visible(&one.help), kind_of(one), visible(&default));
    }
    crate::outln!("\nways to sign in:");
    for one in &connector.auths {
        let mut names = one.names();
        names.sort_unstable();
        names.dedup();
        let with = if names.is_empty() { "nothing".to_string() } else { names.join(", ") };
        crate::outln!("  with {with}: {}", visible(&one.help));
        one.asks.iter().for_each(|asks| crate::outln!("    needs {}", visible(asks)));
    }
    crate::outln!("\nstreams:");
    for one in &connector.streams {
        let optional = if one.optional { ", where `streams` names it" } else { "" };
        crate::outln!("  {:<16}  {} (every {} s{optional})", one.name, one.source, one.every.as_secs());
    }
    crate::outln!("\n{}", example(&connector));
    Ok(0)
}

/// A source to begin with: the first way to sign in.
fn example(connector: &Connector) -> String {
    let mut out = format!("[[source]]\nname = \"{0}\"\nkind = \"poll\"\nconnector = \"{0}\"\n", connector.name);
    let used = connector.auths.first().map(|auth| auth.names()).unwrap_or_default();
    let other: Vec<&str> = connector.auths.iter().skip(1).flat_map(|auth| auth.names()).collect();
    for one in &connector.settings {
        let name = one.name.as_str();
        if one.optional || one.default.is_some() || (other.contains(&name) && !used.contains(&name)) {
            continue;
        }
        if one.kind.is_secret() {
            let variable = format!("{}_{}", connector.name, name).to_uppercase();
            out.push_str(&format!("{name} = {{ env = \"{variable}\" }}\n"));
        } else {
            out.push_str(&format!("{name} = \"{}\"\n", one.example));
        }
    }
    out
}

fn check(files: &[PathBuf]) -> Outcome {
    let mut wrong = 0;
    for file in files {
        let name = file.display().to_string();
        let texts = Texts { text: text_in(file)?, tests: None, name: name.clone() };
        match parsed(&texts) {
            Some(found) => crate::outln!("{}: nothing wrong was found in `{}`", visible(&name), found.name),
            None => wrong += 1,
        }
    }
    Ok(if wrong > 0 { 2 } else { 0 })
}

fn test(names: &[String]) -> Outcome {
    let all: Vec<String> = match names {
        [] => shipped::names().map(str::to_string).collect(),
        some => some.to_vec(),
    };
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for name in &all {
        let texts = texts(name)?;
        let connector = parsed(&texts).ok_or_else(|| format!("the connector `{name}` has errors"))?;
        let Some((tests_name, tests)) = &texts.tests else {
            return Err(match Path::new(name).with_extension("test.toml") {
                beside if name.ends_with(".toml") => format!(
                    "`{name}` has no tests: there is no file `{}`; docs/CONNECTORS.md says what stands in it",
                    beside.display()
                ),
                _ => format!("the connector `{name}` has no tests"),
            });
        };
        let mut sources = SourceMap::new();
        let outcomes = kit::test(&connector, &mut sources, tests_name, tests).map_err(|said| {
            load::say(&said, &sources, true);
            format!("the tests `{tests_name}` have errors")
        })?;
        for outcome in outcomes {
            if outcome.wrong.is_empty() {
                passed += 1;
                continue;
            }
            failed += 1;
            crate::outln!("{}: {}", visible(name), visible(&outcome.name));
            outcome.wrong.iter().for_each(|why| crate::outln!("    {}", visible(why)));
        }
    }
    crate::outln!("{passed} passed, {failed} failed");
    Ok(u8::from(failed > 0))
}
