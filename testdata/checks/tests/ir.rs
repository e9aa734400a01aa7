//! Goldens of the planned program: `testdata/ir/NAME.trip` with `mapping.trip` beside it, printed without any pass
//! and after each pass as it joins the ones before (`NAME.txt`). `UPDATE_GOLDENS=1` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use tripline_checks::root;
use tripline_detect::{Compiler, Ruleset};
use tripline_ir::Program;
use tripline_plan::{Options, plan};
use tripline_semantic::NoFiles;

/// The passes in their order, each with those before it.
const STEPS: [(&str, Options); 4] = [
    ("no pass", Options::NONE),
    ("cases", Options { cases: true, ..Options::NONE }),
    ("cases, fold", Options { cases: true, fold: true, intern: false, ..Options::NONE }),
    ("cases, fold, intern", Options { cases: true, fold: true, intern: true, ..Options::NONE }),
];

fn rules() -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(root().join("testdata/ir"))
        .expect("the folder of goldens")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "trip") && !path.ends_with("mapping.trip"))
        .collect();
    all.sort();
    assert!(all.len() >= 4, "{all:?}");
    all
}

fn compile(path: &PathBuf) -> Ruleset {
    let mut compiler = Compiler::new();
    for path in [path, &root().join("testdata/ir/mapping.trip")] {
        compiler.add(&path.display().to_string(), &fs::read_to_string(path).expect("a text"));
    }
    let ruleset = compiler.compile(&NoFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", ruleset.diagnostics);
    ruleset
}

fn printed(ruleset: &Ruleset, program: &Program) -> String {
    program.print(&|rule| ruleset.program.rules.get(rule).map(|rule| rule.name.clone()).unwrap_or_default())
}

#[test]
fn each_program_is_planned_as_it_was() {
    let update = std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| value == "1");
    let mut wrong = Vec::new();
    for path in rules() {
        let ruleset = compile(&path);
        let mut now = String::new();
        for (name, options) in STEPS {
            let program = plan(&ruleset.program, options);
            let nodes = program.arena.len();
            let _ = write!(now, "== {name}: {nodes} nodes\n{}\n", printed(&ruleset, &program));
        }
        let golden = path.with_extension("txt");
        if update {
            fs::write(&golden, &now).expect("the golden is written");
            continue;
        }
        let before = fs::read_to_string(&golden).unwrap_or_default();
        if before != now {
            wrong.push(format!("{} differs\n--- the golden\n{before}\n--- now\n{now}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "UPDATE_GOLDENS=1 accepts what is planned now\n\n{}", wrong.join("\n"));
}

/// Each pass has something to do in some golden, or the goldens say nothing of it.
#[test]
fn each_pass_changes_some_golden() {
    let mut changed = BTreeSet::new();
    for path in rules() {
        let ruleset = compile(&path);
        let programs: Vec<Program> = STEPS.iter().map(|(_, options)| plan(&ruleset.program, *options)).collect();
        for ((name, _), pair) in STEPS.iter().skip(1).zip(programs.windows(2)) {
            let [before, after] = pair else { continue };
            if printed(&ruleset, before) != printed(&ruleset, after) || after.arena.len() < before.arena.len() {
                changed.insert(*name);
            }
        }
    }
    assert_eq!(changed.len(), STEPS.len() - 1, "{changed:?}");
}
