//! `tripline tokens`: who may use the HTTP API of a service.

use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use serde_json::Value as Json;
use tripline_base::SourceMap;
use tripline_base::terminal::visible;
use tripline_runtime::{Config, Reference, Scope, Tokens};

use super::alerts::Format;
use super::{Outcome, run};
use crate::load;

/// Who may use the HTTP API of a service.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a token, and print it this once
    Add {
        /// Who has it: letters, digits, `.`, `_`, `@` and `-`
        name: String,
        /// What it may do: each scope may do what those before it may
        #[arg(long, value_name = "read|triage|admin")]
        scope: ScopeName,
        /// How long it lasts, such as `90d` or `12h`; for ever where left out
        #[arg(long, value_name = "DURATION", value_parser = lasts)]
        expires: Option<i64>,
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Show which tokens there are
    List {
        #[command(flatten)]
        service: ServiceArgs,
    },
    /// Revoke a token, from now on
    Revoke {
        /// Its name or its id
        name: String,
        #[command(flatten)]
        service: ServiceArgs,
    },
}

#[derive(clap::Args)]
struct ServiceArgs {
    /// The configuration of the service
    #[arg(short, long, value_name = "FILE", default_value = "tripline.toml")]
    config: PathBuf,
    /// A file with a token of the scope `admin`, for a service that runs [default: TRIPLINE_TOKEN, or the `token` of
    /// `[api]`]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ScopeName {
    /// Read alerts, rules, sources, silences and deliveries
    Read,
    /// Act on alerts, and silence them
    Triage,
    /// Everything: deliveries, the audit log, tokens
    Admin,
}

fn lasts(text: &str) -> Result<i64, String> {
    let long = tripline_config::unit::duration(text).and_then(|long| i64::try_from(long.as_nanos()).ok());
    long.filter(|long| *long > 0).ok_or_else(|| "a duration is a number and a unit, such as `90d` or `12h`".to_string())
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.what {
        What::Add { name, scope, expires, service } => {
            let scope = match scope {
                ScopeName::Read => Scope::Read,
                ScopeName::Triage => Scope::Triage,
                ScopeName::Admin => Scope::Admin,
            };
            let told = service.tokens()?.add(name, scope, *expires)?;
            match service.format {
                Format::Json => outln!("{told}"),
                Format::Text => {
                    eprintln!("The token of `{}`; it is shown this once:", text(&told, "name"));
                    outln!("{}", text(&told, "token"));
                }
            }
        }
        What::List { service } => {
            let told = service.tokens()?.list()?;
            match service.format {
                Format::Json => outln!("{told}"),
                Format::Text => list(&told),
            }
        }
        What::Revoke { name, service } => {
            service.tokens()?.revoke(name)?;
            match service.format {
                Format::Json => outln!("{}", serde_json::json!({ "revoked": name })),
                Format::Text => eprintln!("`{}` is revoked", visible(name)),
            }
        }
    }
    Ok(0)
}

fn text(told: &Json, key: &str) -> String {
    told.get(key).and_then(Json::as_str).map(|text| visible(text).into_owned()).unwrap_or_default()
}

fn list(told: &Json) {
    let all = told.as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        eprintln!("there is no token; `tripline tokens add NAME --scope read` makes one");
        return;
    }
    let longest = all.iter().map(|one| text(one, "name").chars().count()).max().unwrap_or(0);
    for one in all {
        let ends =
            one.get("expires").and_then(Json::as_str).map_or("never ends".to_string(), |at| format!("ends {at}"));
        outln!("{}  {:longest$}  {:6}  {ends}", text(one, "id"), text(one, "name"), text(one, "scope"));
    }
}

impl ServiceArgs {
    fn tokens(&self) -> Result<Tokens, String> {
        let config = configuration(&self.config)?;
        let token = token(self.token_file.as_deref())?;
        Tokens::of(&config, token)
    }
}

/// The configuration of a service, where it has no error.
fn configuration(path: &Path) -> Result<Config, String> {
    let mut sources = SourceMap::new();
    let (config, said) = run::configuration(&mut sources, path)?;
    load::say(&said, &sources, true);
    config.ok_or_else(|| "the configuration cannot be used".to_string())
}

/// The token to be shown to a service: that of the file, or of the environment.
pub fn token(file: Option<&Path>) -> Result<Option<String>, String> {
    let reference = match file {
        Some(file) => Reference::File(file.to_path_buf()),
        None if std::env::var_os("TRIPLINE_TOKEN").is_some() => Reference::Env("TRIPLINE_TOKEN".into()),
        None => return Ok(None),
    };
    let secret = reference.read(Path::new(""), false).map_err(|why| format!("there is no token: {why}"))?;
    Ok(Some(secret.reveal().to_string()))
}
