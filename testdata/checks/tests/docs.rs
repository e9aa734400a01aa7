//! The docs keep what they say: every example compiles, and the index of diagnostics is that of the code.

use std::fmt::Write as _;

use tripline_base::{Level, terminal};
use tripline_checks::root;
use tripline_detect::{Compiler, all_codes};
use tripline_semantic::NoFiles;

#[test]
fn every_example_of_the_language_reference_compiles() {
    let page = std::fs::read_to_string(root().join("docs/LANGUAGE.md")).unwrap();
    let mut blocks = 0;
    for block in page.split("```trip\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let mut compiler = Compiler::new();
        compiler.add(&format!("example {}", blocks + 1), text);
        for name in ["aws_cloudtrail", "okta_system_log"] {
            let path = root().join(format!("connectors/mappings/{name}.trip"));
            compiler.add(name, &std::fs::read_to_string(path).unwrap());
        }
        let ruleset = compiler.compile(&NoFiles, 0);
        let said: String = ruleset
            .diagnostics
            .iter()
            .filter(|d| d.level() == Level::Error)
            .map(|d| terminal::render(d, &ruleset.sources, terminal::Colour::Never))
            .collect();
        assert!(said.is_empty(), "{said}");
        blocks += 1;
    }
    assert!(blocks >= 4);
}

#[test]
fn the_index_of_diagnostics_is_that_of_the_code() {
    let mut page = String::from(
        "# Diagnostics\n\nEverything that `tripline check` can say, by code. This page is generated from the declarations in \
         the code; `tripline check --explain CODE` prints one entry.\n",
    );
    for code in all_codes() {
        let _ = write!(page, "\n## {} {}\n\n*{}*: {}.\n\n{}\n", code.id, code.name, code.level, code.title, code.page);
    }
    let path = root().join("docs/DIAGNOSTICS.md");
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/DIAGNOSTICS.md is not that of the code: run the tests with UPDATE_GOLDENS=1");
}
