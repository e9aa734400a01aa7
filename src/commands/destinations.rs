//! `tripline destinations`: where alerts go, and whether they would arrive.

use clap::Subcommand;
use serde_json::json;
use tripline_base::terminal::visible;
use tripline_config::Secrets;
use tripline_connect::{Content, Outcome as Came, Parcel, sample};
use tripline_runtime::config::Outlet;

use super::Outcome;
use super::alerts::Format;
use crate::desk::{Desk, Where};
use crate::load;

/// Show the destinations of a configuration, and try them.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List destinations
    List(List),
    /// Look whether a destination works, and send it an alert that says that it is a test
    Test(Test),
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    at: Where,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(clap::Args)]
struct Test {
    #[command(flatten)]
    at: Where,
    /// Look only, and send nothing
    #[arg(long)]
    check_only: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The name of the destination
    name: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::List(args) => list(args),
        Command::Test(args) => test(args),
    }
}

fn list(args: &List) -> Outcome {
    let desk = args.at.open()?;
    // Before the first run there is no store, and nothing waits.
    let store = desk.config.store.path.exists().then(|| desk.read()).transpose()?;
    let mut all = Vec::new();
    for outlet in &desk.config.destinations {
        let (pending, dead) = match &store {
            Some(store) => {
                let counted = store.pending(&outlet.name).and_then(|pending| Ok((pending, store.dead(&outlet.name)?)));
                counted.map_err(|error| error.to_string())?
            }
            None => (0, 0),
        };
        let routes = desk.config.routes.leading_to(&outlet.name);
        if args.format == Format::Text {
            let led =
                if routes.is_empty() { "no route leads here".into() } else { format!("by {}", routes.join(", ")) };
            let mut line = format!("{:<16}  {:<10}  {}", outlet.name, outlet.kind, visible(&led));
            for (count, what) in [(pending, "waiting"), (dead, "given up")] {
                if count > 0 {
                    line.push_str(&format!("; {count} {what}"));
                }
            }
            crate::outln!("{line}");
        }
        all.push(json!({
            "name": outlet.name, "kind": outlet.kind, "routes": routes, "pending": pending, "dead": dead,
        }));
    }
    match args.format {
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&json!({ "destinations": all }))),
        Format::Text if all.is_empty() => eprintln!("the configuration has no `[[destination]]`"),
        Format::Text => {}
    }
    Ok(0)
}

/// What was found out of a destination.
pub struct Tried {
    /// What it says of itself.
    pub found: Vec<String>,
    /// Whether a test was sent and taken.
    sent: bool,
    /// The first thing that is wrong.
    pub wrong: Option<String>,
}

fn test(args: &Test) -> Outcome {
    let desk = args.at.open()?;
    let outlet = desk.config.destinations.iter().find(|outlet| outlet.name == args.name);
    let outlet = outlet.ok_or_else(|| unknown(&desk, &args.name))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the network cannot be used: {error}"))?;
    let tried = tried(&desk, outlet, args.check_only, &runtime)?;
    match args.format {
        Format::Json => {
            let out = json!({
                "destination": outlet.name, "kind": outlet.kind, "found": tried.found, "sent": tried.sent,
                "error": tried.wrong,
            });
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
        Format::Text => {
            tried.found.iter().for_each(|found| crate::outln!("{}: {}", outlet.name, visible(found)));
            match (&tried.wrong, tried.sent) {
                (Some(wrong), _) => crate::outln!("{}: it does not work: {}", outlet.name, visible(wrong)),
                (None, true) => crate::outln!("{}: the test was taken; look whether it has arrived", outlet.name),
                (None, false) => crate::outln!("{}: nothing wrong was found; nothing was sent", outlet.name),
            }
        }
    }
    Ok(u8::from(tried.wrong.is_some()))
}

fn unknown(desk: &Desk, name: &str) -> String {
    if desk.config.outputs.iter().any(|outlet| outlet.name == name) {
        return format!("`{name}` is an output, which takes findings; destinations take alerts");
    }
    let known: Vec<&str> = desk.config.destinations.iter().map(|outlet| outlet.name.as_str()).collect();
    let hint = load::hint(name, known.iter().copied());
    let there = if known.is_empty() { "there is none".into() } else { format!("there are {}", load::some(&known)) };
    format!("there is no destination `{name}`{hint} ({there})")
}

/// Opens a destination or an output and has it look whether it works; sends it a test, unless it is to be looked at
/// only.
pub fn tried(
    desk: &Desk,
    outlet: &Outlet,
    check_only: bool,
    runtime: &tokio::runtime::Runtime,
) -> Result<Tried, String> {
    let secrets = Secrets::read(outlet.settings.secrets(), &desk.config.folder).map_err(|said| {
        load::say(&said, &desk.sources, true);
        format!("the destination `{}` cannot be tried without its secrets", outlet.name)
    })?;
    let mut tried = Tried { found: Vec::new(), sent: false, wrong: None };
    // Destinations begin what they need where a runtime is.
    let entered = runtime.enter();
    let destination = match outlet.settings.open(&secrets, &desk.config.folder, &outlet.pace) {
        Ok(destination) => destination,
        Err(why) => return Ok(Tried { wrong: Some(why), ..tried }),
    };
    drop(entered);
    match runtime.block_on(destination.check()) {
        Ok(found) => tried.found = found,
        Err(why) => tried.wrong = Some(why),
    }
    if check_only || tried.wrong.is_some() {
        return Ok(tried);
    }
    let now = load::now();
    let message = sample(now);
    let parcel = Parcel {
        id: format!("{}-test", message.alert.id),
        attempt: 0,
        content: Content::Alert(Box::new(message)),
        handle: None,
    };
    let made = runtime.block_on(destination.send_all(std::slice::from_ref(&parcel))).into_iter().next();
    match made.map(|made| made.outcome) {
        Some(Came::Taken) => tried.sent = true,
        Some(Came::Later { reason, after }) => {
            let wait = after.map(|after| format!("; it asks to be tried again in {} s", after.as_secs()));
            tried.wrong = Some(format!("{reason}{}", wait.unwrap_or_default()));
        }
        Some(Came::Never { reason }) => tried.wrong = Some(reason),
        None => tried.wrong = Some("it was not tried".into()),
    }
    Ok(tried)
}
