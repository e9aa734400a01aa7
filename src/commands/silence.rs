//! `tripline silence`: alerts that nobody wants to hear of for a while.

use clap::Subcommand;
use serde_json::{Value as Json, json};
use tripline_alert::Silence;
use tripline_base::terminal::visible;
use tripline_event::format_time;
use tripline_runtime::{Ask, direct};

use super::Outcome;
use super::alerts::{End, Format};
use crate::desk::{Acting, Came, Where};
use crate::{load, times};

/// Tell nobody of some alerts for a while.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Begin a silence
    Add(Add),
    /// List silences
    List(List),
    /// End silences before their time
    End(Ending),
}

#[derive(clap::Args)]
struct Add {
    #[command(flatten)]
    acting: Acting,
    /// Which alerts: a condition over the fields of an alert, such as 'rule == "x" and "db-1" in hosts'
    #[arg(long, value_name = "CONDITION")]
    when: String,
    #[command(flatten)]
    end: End,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
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
struct Ending {
    #[command(flatten)]
    acting: Acting,
    /// Ids of silences, or beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Add(args) => add(args),
        Command::List(args) => list(args),
        Command::End(args) => end(args),
    }
}

fn silence_json(one: &Silence) -> Json {
    json!({
        "id": one.id,
        "when": one.when,
        "reason": one.reason,
        "by": one.by,
        "from": format_time(one.from),
        "until": format_time(one.until),
    })
}

fn line(one: &Silence) -> String {
    let (from, until) = (times::shown(one.from), times::shown(one.until));
    let (when, reason) = (visible(&one.when), visible(&one.reason));
    format!("{}  {from} to {until}  {when}  ({}: {reason})", one.id, visible(&one.by))
}

fn print(format: Format, all: &[Silence]) {
    match format {
        Format::Text => all.iter().for_each(|one| crate::outln!("{}", line(one))),
        Format::Json => {
            let all: Vec<_> = all.iter().map(silence_json).collect();
            crate::outln!("{}", tripline_detect::json_line(&json!({ "silences": all })));
        }
    }
}

fn add(args: &Add) -> Outcome {
    let desk = args.acting.at.open()?;
    let now = load::now();
    let by = args.acting.who();
    let known: Vec<String> = direct::silences(&desk.read()?)?.into_iter().map(|one| one.id).collect();
    let silence = Silence {
        id: Silence::id_of(&args.when, &by, now),
        when: args.when.clone(),
        reason: args.reason.clone(),
        by,
        from: now,
        until: args.end.at(now),
    };
    let mut refused = false;
    args.acting.ask(&desk, vec![Ask::Silence(silence)], &mut |_, done| {
        match done {
            Came::Done => {}
            Came::Unknown => return Err("the service has no silences: is the address that of its API?".into()),
            Came::Refused(why) => {
                refused = true;
                eprintln!("tripline: the silence was not kept: {}", visible(&why));
            }
        }
        Ok(())
    })?;
    if refused {
        return Ok(2);
    }
    // A service gives it an id and a name of its own.
    let mut added = direct::silences(&desk.read()?)?;
    added.retain(|one| !known.contains(&one.id) && one.when == args.when);
    print(args.format, &added);
    Ok(0)
}

fn list(args: &List) -> Outcome {
    let now = load::now();
    let mut all = direct::silences(&args.at.open()?.read()?)?;
    all.retain(|one| now < one.until);
    all.sort_by_key(|one| one.until);
    print(args.format, &all);
    if args.format == Format::Text && all.is_empty() {
        eprintln!("there is no silence");
    }
    Ok(0)
}

fn end(args: &Ending) -> Outcome {
    let desk = args.acting.at.open()?;
    let known = direct::silences(&desk.read()?)?;
    let mut ended = Vec::new();
    for given in &args.ids {
        let mut fit = known.iter().filter(|one| !given.is_empty() && one.id.starts_with(given.as_str()));
        match (fit.next(), fit.next()) {
            (Some(one), None) => ended.push(one.clone()),
            (None, _) => return Err(format!("there is no silence `{given}`; `tripline silence list` shows them")),
            (Some(_), Some(_)) => return Err(format!("`{given}` begins several silences; write more of the id")),
        }
    }
    let mut gone = 0;
    let asks = ended.iter().map(|one| Ask::Unsilence { id: one.id.clone() }).collect();
    args.acting.ask(&desk, asks, &mut |at, done| {
        let id = ended.get(at).map_or("", |one| one.id.as_str());
        match done {
            Came::Done if args.format == Format::Text => crate::outln!("the silence {id} has ended"),
            Came::Done => {}
            Came::Unknown => {
                gone += 1;
                eprintln!("tripline: the silence {id} has ended already");
            }
            Came::Refused(why) => {
                gone += 1;
                eprintln!("tripline: the silence {id}: {}", visible(&why));
            }
        }
        Ok(())
    })?;
    if args.format == Format::Json {
        print(Format::Json, &ended);
    }
    Ok(u8::from(gone > 0))
}
