//! `tripline new`: a file to begin with, which checks, and whose test fails for the right reason.

use std::path::PathBuf;

use clap::ValueEnum;

use super::Outcome;

/// Start a rule or a mapping.
#[derive(clap::Args)]
pub struct Args {
    /// What to start
    kind: Kind,
    /// Its name: letters, digits and `_`
    name: String,
    /// Where the file goes
    #[arg(long, default_value = ".")]
    dir: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A rule with a test
    Rule,
    /// A mapping with a test
    Mapping,
}

const RULE: &str = r#"rule NAME {
  title:    "Say what happened, for the person who reads the alert"
  severity: medium
  status:   draft
  owner:    "your-team"
  attack:   [T1078.004/initial-access]
  runbook: """
    1. Say what to look at first, and when to escalate.
  """

  on authentication from aws.cloudtrail
  where status_id == "Success" and user.name == "somebody"

  alert {
    title:    "Sign-in by {user.name} from {src_endpoint.ip}"
    key:      [user.uid]
    entities: [user(user.name), ip(src_endpoint.ip)]
  }

  test "it fires" {
    event aws.cloudtrail {
      eventSource: "signin.amazonaws.com"
      eventName: "ConsoleLogin"
      eventTime: "2026-01-31T08:00:00Z"
      eventID: "1"
      userIdentity: { type: "IAMUser", userName: "alice", arn: "arn:aws:iam::111122223333:user/alice" }
      sourceIPAddress: "203.0.113.9"
      responseElements: { ConsoleLogin: "Success" }
    }
    expect alert
  }
}
"#;

const MAPPING: &str = r#"mapping NAME from example.NAME {
  detect where raw.product == "NAME"

  metadata.product.vendor_name: "Example"
  metadata.product.name:        "NAME"
  metadata.uid:                 raw.id
  time:                         timestamp(raw.time)
  severity_id:                  "Informational"
  user.uid:                     raw.user.id
  user.name:                    raw.user.name
  src_endpoint.ip:              raw.ip

  when raw.kind == "login" -> authentication {
    activity_id: "Logon"
    status_id:   match raw.result { "ok" => "Success", "denied" => "Failure", _ => "Other" }
  }
  otherwise -> base_event {
    activity_id: "Other"
  }

  test "a refused sign-in" {
    event {
      product: "NAME"
      id: "1"
      time: "2026-01-31T08:00:00Z"
      kind: "login"
      result: "replace this with what your product says"
      user: { id: "u1", name: "alice" }
      ip: "203.0.113.9"
    }
    expect authentication { status_id: "Failure", user.uid: "u1" }
  }
}
"#;

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let fits = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !fits(&args.name) {
        return Err(format!("`{}` is no name: use letters, digits and `_`, beginning with a letter", args.name));
    }
    let text = match args.kind {
        Kind::Rule => RULE,
        Kind::Mapping => MAPPING,
    }
    .replace("NAME", &args.name);
    // What is started is in the one style.
    let id = tripline_base::SourceMap::new().add("new", text.as_str());
    let text = tripline_syntax::format::format(&tripline_syntax::parse_file(id, &text).file, &text);
    let path = args.dir.join(format!("{}.trip", args.name));
    std::fs::create_dir_all(&args.dir).map_err(|error| format!("`{}` cannot be made: {error}", args.dir.display()))?;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
    std::io::Write::write_all(&mut file, text.as_bytes()).map_err(|error| error.to_string())?;
    crate::outln!("wrote {0}; next: tripline test {0}", path.display());
    Ok(0)
}
