//! Measures the shipped rules and mappings on the shared data and writes the page, its pictures, and the summary that a
//! test holds.

/// The one of the program: what is measured is what is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use tripline_report::{background, content, measure, page, summary};

/// Measure the shipped content on real data, and write the page about it.
#[derive(Parser)]
struct Args {
    /// The shared data
    data: PathBuf,
    /// The page that is written; its pictures are written beside it
    page: PathBuf,
    /// Exit with 1 where a rule costs more than it may, or an event violates the schema
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("tripline-report: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<bool, String> {
    let root = content::root();
    let measured = measure(&root, &args.data)?;
    write(&args.page, &page::page(&measured))?;
    for (name, picture) in page::pictures(&measured) {
        write(&args.page.with_file_name(name), &picture)?;
    }
    let text = summary::text(&measured);
    write(&root.join("testdata/report/summary.txt"), &text)?;
    print!("{text}");
    for stale in &measured.stale {
        eprintln!("tripline-report: {stale}");
    }
    let least = measured.background.least;
    let over: Vec<&background::Row> = measured.background.rows.iter().filter(|row| row.over(least)).collect();
    for row in &over {
        let allowed = row.allowed.unwrap_or_default();
        eprintln!(
            "tripline-report: `{}` ({} {}) has {:.1} alerts per 100,000 background events, and may have {allowed}",
            row.rule, row.status, row.severity, row.rate
        );
    }
    Ok(!args.check || (over.is_empty() && summary::violations(&measured) == 0))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("`{}` cannot be written: {error}", path.display()))
}
