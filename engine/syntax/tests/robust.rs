//! Whatever the text: no panic, no overflow of a small stack, and an end.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod common;

use std::fmt::Write as _;

use common::{check_format, examples, parse, trip_files};
use proptest::prelude::*;
use tripline_syntax::format;

/// Parses (and formats, where that is allowed) on a stack of 2 MiB; gives the number of diagnostics.
fn small_stack(text: String) -> usize {
    let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(move || {
        let parse = parse(&text);
        if parse.diagnostics.is_empty() {
            let _ = format::format(&parse.file, &text);
        }
        let copy = parse.file.clone();
        assert!(copy.items.len() == parse.file.items.len());
        parse.diagnostics.len()
    });
    thread.unwrap().join().unwrap()
}

fn rule(condition: &str) -> String {
    format!("rule a {{\n  on b\n  where {condition}\n}}\n")
}

#[test]
fn long_and_deep_texts() {
    const N: usize = 100_000;
    let open = ["[", "(", "{", "f(", "x[", "any(x in y, ", "not (", "{ a: ", "[[", "match x { \"a\" => ", "x in any ["];
    for piece in open {
        assert!(small_stack(rule(&piece.repeat(N))) > 0, "{piece}");
        assert!(small_stack(piece.repeat(N)) > 0, "{piece}");
    }
    for close in ["]", ")", "}", "} ", "])}"] {
        assert!(small_stack(rule(&close.repeat(N))) > 0);
        assert!(small_stack(close.repeat(N)) > 0);
    }
    for (piece, end) in [
        ("not ", "a"),
        ("if x then ", "y"),
        ("if x then y else ", "z"),
        ("match ", "x { _ => 1 }"),
        ("a + ", "a"),
        ("a * ", "a"),
        ("- ", "a"),
        ("exists ", "a"),
        ("\"", "\""),
        ("'''", "'"),
        ("\"\"\"", ""),
    ] {
        let text = format!("{}{end}", piece.repeat(N));
        assert!(small_stack(rule(&text)) > 0, "{piece}");
    }
    for (piece, end) in [("a.", "a"), ("x ?? ", "x"), ("a and ", "a"), ("a or not ", "a"), ("(a) and ", "a")] {
        let text = format!("{}{end}", piece.repeat(N));
        assert_eq!(small_stack(rule(&text)), 0, "{piece}");
    }
    assert_eq!(small_stack(rule(&format!("x{}", "[]".repeat(N)))), 0);
    assert_eq!(small_stack(rule(&format!("x in [{}]", "1,".repeat(N)))), 0);
    assert_eq!(small_stack(rule(&format!("f({})", "(), ".repeat(N).replace("()", "g(x)")))), 0);
    assert_eq!(small_stack(format!("list a: string = [{}]", "\"x\",\n// c\n".repeat(N))), 0);
    assert_eq!(small_stack("list a: string = []\n".repeat(N / 4)), 0);
    assert!(small_stack("rule a {\n".repeat(N / 10)) > 0);
    assert!(small_stack("x ".repeat(N)) > 0);
    assert!(small_stack(format!("rule a {{\n{}}}", "where ==\n".repeat(N / 10))) > 0);
}

/// Deep but allowed: reading, copying, formatting and dropping must fit the stack; so must a failure at the bottom.
#[test]
fn the_deepest_texts_that_are_allowed() {
    let pairs = [
        ("[", "]"),
        ("(", ")"),
        ("f(", ")"),
        ("x[", "]"),
        ("{ a: ", " }"),
        ("any(x in y, ", ")"),
        ("match x { _ => ", " }"),
        ("if a == [", "] then 1 else 2"),
        ("if a then b else [", "]"),
        ("x in any [", "]"),
        ("[1 for x in [", "]]"),
        ("not (a and b or -(1 + ", "))"),
        ("a == 1 and (", ")"),
    ];
    for (open, close) in pairs {
        for depth in [10, 20, 22, 40, 44] {
            let brackets = open.matches(['[', '(', '{']).count();
            let depth = depth / brackets;
            for inner in ["1", "1 =", "", "a b"] {
                small_stack(rule(&format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))));
                small_stack(rule(&format!("{}{inner}", open.repeat(depth))));
            }
            let text = rule(&format!("{}1{}", open.repeat(depth), close.repeat(depth)));
            if parse(&text).diagnostics.is_empty() {
                check_format(&text).unwrap();
            }
        }
    }
    let mut repeats = String::from("rule a { test \"t\" {\n");
    for _ in 0..40 {
        let _ = write!(repeats, "repeat 2 {{ ");
    }
    small_stack(repeats.clone() + &"}".repeat(42));
    small_stack(repeats);
    let ifs = format!("{}[{}1{}]", "if a then b else ".repeat(30), "if x then (".repeat(30), ") else 2".repeat(30));
    small_stack(rule(&ifs));
}

#[test]
fn every_truncation_of_the_examples() {
    let mut corpus = examples();
    corpus.extend(trip_files("testdata/syntax/format").into_iter().map(|(_, text)| text));
    for text in corpus {
        // A fraction in the middle of a long file finds the same as at its beginning: every char of the first part.
        for (at, _) in text.char_indices().take(2500) {
            let _ = parse(&text[..at]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC{0,400}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn soup(words in prop::collection::vec(prop::sample::select(vec![
        "rule", "mapping", "from", "list", "def", "table", "feature", "a", "b.c", "where", "on", "and", "or", "not",
        "in", "{", "}", "[", "]", "(", ")", ":", ",", "=", "==", "->", "=>", "if", "then", "else", "match", "_", "\"x\"",
        "'y'", "\"\"\"", "re'z'", "1", "2.5", "10m", "alert", "test", "expect", "event", "nothing", "\n", "\n\n", "// c\n",
        "\\", "\"", "'", "any", "all", "first", "for", "is", "new", "exists", "..", ".", "+", "-", "*", "??", "when", "é",
    ]), 0..120)) {
        let text = words.join(" ");
        let parse = parse(&text);
        if parse.diagnostics.is_empty() {
            check_format(&text).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn an_example_with_a_word_changed(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0usize..6,
        put in "[a-z{}()\\[\\]\"':,=. \\n/]{0,4}",
    ) {
        let corpus = examples();
        let text = &corpus[which.index(corpus.len())];
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let from = at.index(places.len());
        let to = (from + length).min(places.len() - 1);
        let text = format!("{}{put}{}", &text[..places[from]], &text[places[to]..]);
        let parse = parse(&text);
        if parse.diagnostics.is_empty() {
            check_format(&text).map_err(TestCaseError::fail)?;
        }
    }
}
