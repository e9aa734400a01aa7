//! Goldens of every diagnostic of names, types and lints: `testdata/semantic/diagnostics/TXXXX_name.trip`, and of
//! Sigma files: `testdata/sigma/diagnostics/TXXXX_name.yml` (with `.pipeline.yml` beside it where a pipeline has a
//! part in it, and `.toml` for taxonomies), beside what is said of it (`.txt`). The first line of each file says which
//! words the diagnostic of that code underlines. `UPDATE_GOLDENS=1` writes the `.txt` files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use tripline_base::Diagnostic;
use tripline_base::terminal::{Colour, render};
use tripline_checks::root;
use tripline_detect::{Compiler, DiskFiles, Ruleset, all_codes, harness};

/// 2026-06-01T00:00:00Z, in nanoseconds.
const TODAY: i64 = 1_780_272_000 * 1_000_000_000;

struct Golden {
    path: PathBuf,
    /// The name of the file without its ending.
    name: String,
    code: String,
    text: String,
}

fn goldens() -> Vec<Golden> {
    let paths = |folder: &str| {
        fs::read_dir(root().join(folder)).expect("the folder of goldens").map(|entry| entry.expect("an entry").path())
    };
    let mut all: Vec<Golden> = paths("testdata/semantic/diagnostics")
        .chain(paths("testdata/sigma/diagnostics"))
        .filter(|path| {
            let name = path.to_string_lossy();
            !name.ends_with(".txt") && !name.ends_with(".pipeline.yml")
        })
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let code = name.split('_').next().unwrap_or("").to_string();
            let text = fs::read_to_string(&path).expect("a golden");
            Golden { path, name, code, text }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn taxonomy(compiler: &mut Compiler) {
    let name = "connectors/taxonomy/windows.toml";
    compiler.add_taxonomy(name, &fs::read(root().join(name)).expect("the taxonomy"));
}

/// A golden of Sigma with the shipped taxonomy, its own pipeline too where it has one.
fn compile_sigma(golden: &Golden, ending: &str) -> (Ruleset, Vec<Diagnostic>) {
    let mut compiler = Compiler::new();
    taxonomy(&mut compiler);
    let name = format!("{}.{ending}", golden.name);
    let file = match ending {
        "toml" => compiler.add_taxonomy(&name, golden.text.as_bytes()),
        _ => compiler.add_sigma(&name, golden.text.as_bytes()),
    };
    let pipeline = fs::read(golden.path.with_extension("pipeline.yml")).ok();
    let pipeline = pipeline.map(|bytes| compiler.add_pipeline(&format!("{}.pipeline.yml", golden.name), &bytes));
    let ruleset = compiler.compile(&tripline_semantic::NoFiles, TODAY);
    let own = |said: &&Diagnostic| said.span().file == file || Some(said.span().file) == pipeline;
    let said = ruleset.diagnostics.iter().filter(own).cloned().collect();
    (ruleset, said)
}

/// The golden with one shipped mapping, and what `tripline check` says of the golden.
fn compile(golden: &Golden) -> (Ruleset, Vec<Diagnostic>) {
    match golden.path.extension().and_then(|ending| ending.to_str()) {
        Some("trip") => {}
        ending => return compile_sigma(golden, ending.unwrap_or("yml")),
    }
    let mapping = fs::read_to_string(root().join("connectors/mappings/aws_cloudtrail.trip")).expect("the mapping");
    let mut compiler = Compiler::new();
    let name = format!("{}.trip", golden.name);
    let file = compiler.add(&name, &golden.text);
    compiler.add("connectors/mappings/aws_cloudtrail.trip", &mapping);
    let mut ruleset = compiler.compile(&tripline_semantic::NoFiles, TODAY);
    // Fixtures are looked for from the golden's folder.
    std::env::set_current_dir(root().join("testdata/semantic/diagnostics")).expect("the folder of goldens");
    ruleset.diagnostics.extend(harness::bad_fixtures(&ruleset, &DiskFiles, &[name]));
    tripline_base::diagnostic::sort(&mut ruleset.diagnostics);
    let said = ruleset.diagnostics.iter().filter(|said| said.span().file == file).cloned().collect();
    (ruleset, said)
}

#[test]
fn each_golden_says_what_it_said() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for golden in goldens() {
        let (ruleset, said) = compile(&golden);
        let now: String = said.iter().map(|said| render(said, &ruleset.sources, Colour::Never)).collect();
        if !said.iter().any(|said| said.code.id == golden.code) {
            wrong.push(format!("{} does not provoke {}:\n{now}", golden.name, golden.code));
        }
        let path = golden.path.with_extension("txt");
        if update {
            fs::write(&path, &now).expect("the golden is written");
            continue;
        }
        let before = fs::read_to_string(&path).unwrap_or_default();
        if before != now {
            wrong.push(format!("{} differs\n--- the golden\n{before}\n--- now\n{now}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "UPDATE_GOLDENS=1 accepts what is said now\n\n{}", wrong.join("\n"));
}

#[test]
fn each_golden_underlines_the_words_that_it_names() {
    let mut wrong = Vec::new();
    for golden in goldens() {
        let first = golden.text.lines().next().unwrap_or("");
        let marks = ["// underlines: ", "# underlines: "];
        let Some(words) = marks.iter().find_map(|mark| first.strip_prefix(mark)) else {
            wrong.push(format!("{} does not begin with `// underlines: TEXT`", golden.name));
            continue;
        };
        let (ruleset, said) = compile(&golden);
        for one in said.iter().filter(|said| said.code.id == golden.code) {
            let found = ruleset.sources.slice(one.span());
            if found != words {
                wrong.push(format!("{}: `{found}` is underlined, not `{words}`", golden.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_code_has_a_golden() {
    let all: Vec<&str> = all_codes().iter().map(|code| code.id).filter(|id| *id >= "T0200").collect();
    let have: BTreeSet<String> = goldens().into_iter().map(|golden| golden.code).collect();
    let lacking: Vec<&str> = all.iter().copied().filter(|id| !have.contains(*id)).collect();
    assert!(lacking.is_empty(), "no golden for {}", lacking.join(", "));
    let strange: Vec<&String> = have.iter().filter(|id| !all.contains(&id.as_str())).collect();
    assert!(strange.is_empty(), "goldens for codes that do not exist: {strange:?}");
}
