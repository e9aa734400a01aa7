//! What an author of a broken file is told, word for word; and what is kept of such a file.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod common;

use common::{golden, parse, rendered, root, trip_files};
use tripline_base::{SourceMap, terminal};
use tripline_syntax::ast::{Item, RuleClause};
use tripline_syntax::{MAX_FILE, parse_template};

fn broken(name: &str) -> String {
    std::fs::read_to_string(root().join("testdata/syntax/errors").join(name)).unwrap()
}

#[test]
fn messages_are_as_in_their_goldens() {
    let files = trip_files("testdata/syntax/errors");
    assert!(files.len() >= 15);
    for (path, text) in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let found = rendered(&name, &text);
        assert!(!found.is_empty(), "{name} has no mistakes");
        golden(&path.with_extension("txt"), &found);
    }
}

#[test]
fn templates_are_as_in_their_golden() {
    let titles = [
        r#""an empty {} one""#,
        r#""a blank { } one""#,
        r#""open {user.name""#,
        r#""open after {a} {b""#,
        r#""a word too much {user name}""#,
        r#""not an expression {==}""#,
        r#""fine \{ {a ?? 'b'} }""#,
        r#""deep {[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}""#,
    ];
    let mut found = String::new();
    for title in titles {
        let mut sources = SourceMap::new();
        let text = format!("rule a {{\n  title: {title}\n}}\n");
        let id = sources.add("title.trip", text.clone());
        let parse = tripline_syntax::parse_file(id, &text);
        assert!(parse.diagnostics.is_empty(), "{text}");
        let Some(Item::Rule(rule)) = parse.file.items.first() else { panic!("{text}") };
        let Some(RuleClause::Field(field)) = rule.clauses.first() else { panic!("{text}") };
        let (pieces, diagnostics) = parse_template(field.value.as_text().unwrap(), &sources);
        found.push_str(&format!("{title}: {} pieces\n", pieces.len()));
        for d in diagnostics {
            found.push_str(&terminal::render(&d, &sources, terminal::Colour::Never));
        }
        found.push('\n');
    }
    golden(&root().join("testdata/syntax/errors/templates.txt"), &found);
}

#[test]
fn a_good_rule_between_broken_ones_is_kept() {
    let parse = parse(&broken("two_broken_rules.trip"));
    let names: Vec<&str> = parse.file.items.iter().map(|item| item.name().text.as_str()).collect();
    assert_eq!(names, ["first", "good", "last"]);
    let partial: Vec<bool> =
        parse.file.items.iter().map(|item| matches!(item, Item::Rule(rule) if rule.partial)).collect();
    assert_eq!(partial, [true, false, true]);
}

#[test]
fn a_broken_clause_leaves_the_others() {
    let parse = parse(&broken("broken_clause.trip"));
    let Some(Item::Rule(rule)) = parse.file.items.first() else { panic!() };
    assert!(rule.partial);
    assert!(rule.clauses.iter().any(|c| matches!(c, RuleClause::Where(_))));
    assert!(rule.clauses.iter().any(|c| matches!(c, RuleClause::Field(f) if f.name.text == "title")));
    assert_eq!(parse.diagnostics.len(), 5);
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let text = "// x\n".repeat(MAX_FILE / 5 + 1);
    let parse = parse(&text);
    assert!(parse.file.items.is_empty());
    let codes: Vec<&str> = parse.diagnostics.iter().map(|d| d.code.id).collect();
    assert_eq!(codes, ["T0108"]);
}

#[test]
fn every_code_has_a_golden() {
    let mut all = String::new();
    for entry in std::fs::read_dir(root().join("testdata/syntax/errors")).unwrap().flatten() {
        if entry.path().extension().is_some_and(|e| e == "txt") {
            all.push_str(&std::fs::read_to_string(entry.path()).unwrap());
        }
    }
    // T0108 cannot be shown in a text file.
    for code in ["T0101", "T0102", "T0103", "T0104", "T0105", "T0106", "T0107"] {
        assert!(all.contains(&format!("[{code}]")), "{code}");
    }
}

/// Found by fuzzing: places were counted in the text without its indentation, and even fell within characters.
#[test]
fn a_bad_escape_in_an_indented_text_was_underlined_elsewhere() {
    let text = "rule a {\n  runbook: \"\"\"\n      é first\n      then C:\\Ä and \\d\\\n    \"\"\"\n}\n";
    let parse = parse(text);
    let found: Vec<&str> = parse.diagnostics.iter().map(|d| text.get(d.span().range()).unwrap()).collect();
    assert_eq!(found, ["\\Ä", "\\d", "\\"]);
    assert!(parse.diagnostics.iter().all(|d| d.code.id == "T0105"));
}

/// The pieces of a title, `…` for a value.
fn title(title: &str) -> Vec<String> {
    let mut sources = SourceMap::new();
    let text = format!("rule a {{\n  title: {title}\n}}\n");
    let id = sources.add("title.trip", text.clone());
    let parse = tripline_syntax::parse_file(id, &text);
    let Some(Item::Rule(rule)) = parse.file.items.first() else { panic!("{text}") };
    let Some(RuleClause::Field(field)) = rule.clauses.first() else { panic!("{text}") };
    let (pieces, diagnostics) = parse_template(field.value.as_text().unwrap(), &sources);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    pieces
        .into_iter()
        .map(|piece| match piece {
            tripline_syntax::Piece::Words(words) => words,
            tripline_syntax::Piece::Value(_) => "…".to_string(),
        })
        .collect()
}

#[test]
fn a_title_over_lines_lost_the_blanks_beside_its_values() {
    let text = "\"\"\"\n    Root of {user.name} at {\n      time} did\n      it\n    \"\"\"";
    assert_eq!(title(text), ["Root of ", "…", " at ", "…", " did\n  it"]);
}

#[test]
fn the_prefix_of_a_title_became_a_part_of_it() {
    assert_eq!(title("iglob\"by {user.name}\""), ["by ", "…"]);
    assert_eq!(title("i\"\"\"by {user.name}\"\"\""), ["by ", "…"]);
}
