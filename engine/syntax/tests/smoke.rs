//! Reads the language reference: every ```trip block parses.

use tripline_base::{SourceMap, terminal};

#[test]
fn every_example_of_the_reference_parses() {
    let page = include_str!("../../../docs/LANGUAGE.md");
    let mut sources = SourceMap::new();
    let mut problems = String::new();
    for (n, block) in page.split("```trip\n").skip(1).enumerate() {
        let text = block.split("```").next().unwrap();
        let id = sources.add(format!("example {n}"), text);
        let parse = tripline_syntax::parse_file(id, text);
        for d in &parse.diagnostics {
            problems.push_str(&terminal::render(d, &sources, terminal::Colour::Never));
        }
        assert!(!parse.file.items.is_empty());
    }
    assert!(problems.is_empty(), "{problems}");
}
