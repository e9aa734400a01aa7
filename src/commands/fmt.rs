//! `tripline fmt`: the one style.

use std::path::PathBuf;

use similar::TextDiff;
use tripline_base::SourceMap;
use tripline_base::terminal::visible;

use super::Outcome;
use crate::load;

/// Write `.trip` files in the one style.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Change nothing: print the differences, and exit with 1 where there are some
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let mut changed = 0;
    let mut broken = 0;
    for path in load::trip_files(&args.paths)? {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        let mut sources = SourceMap::new();
        let id = sources.add(&name, text.as_str());
        let parse = tripline_syntax::parse_file(id, &text);
        if load::say(&parse.diagnostics, &sources, false) > 0 {
            broken += 1;
            continue;
        }
        let formatted = tripline_syntax::format::format(&parse.file, &text);
        if formatted == text {
            continue;
        }
        changed += 1;
        if args.check {
            let diff = TextDiff::from_lines(&text, &formatted).unified_diff().header(&name, "formatted").to_string();
            for line in diff.lines() {
                // A tab is what a diff is often about.
                let pieces: Vec<_> = line.split('\t').map(visible).collect();
                crate::outln!("{}", pieces.join("\t"));
            }
        } else {
            std::fs::write(&path, formatted).map_err(|error| format!("`{name}` cannot be written: {error}"))?;
            crate::outln!("formatted {}", visible(&name));
        }
    }
    if broken > 0 {
        return Err(format!("{broken} file(s) with errors were left as they are"));
    }
    Ok(u8::from(args.check && changed > 0))
}
