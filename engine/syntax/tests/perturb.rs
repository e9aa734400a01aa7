//! Line breaks and comments between any two tokens change neither the tree nor what formatting promises.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

mod common;

use std::sync::OnceLock;

use common::{check_format, examples, parse, rendered, tree, trip_files};
use proptest::prelude::*;
use tripline_base::FileId;
use tripline_syntax::scan::{Token, TokenKind, scan};

/// Examples, the formatter's own ugly files, and a few shipped ones.
fn corpus() -> &'static [String] {
    static ALL: OnceLock<Vec<String>> = OnceLock::new();
    ALL.get_or_init(read_corpus)
}

fn read_corpus() -> Vec<String> {
    let mut all = examples();
    all.extend(trip_files("testdata/syntax/format").into_iter().map(|(_, text)| text));
    all.extend(
        trip_files("rules").into_iter().map(|(_, text)| text).filter(|t| parse(t).diagnostics.is_empty()).take(3),
    );
    all.extend(
        trip_files("connectors").into_iter().map(|(_, text)| text).filter(|t| parse(t).diagnostics.is_empty()).take(3),
    );
    all
}

/// Whether blanks may stand between two tokens that touch.
fn may_part(a: &Token, b: &Token) -> bool {
    let loose = |t: &Token| {
        matches!(t.kind, TokenKind::Open(_) | TokenKind::Close(_) | TokenKind::Other(b',') | TokenKind::Other(b':'))
    };
    loose(a) || loose(b)
}

/// The text with other blanks: `choices` one by one from token `skip` on, the author's beyond.
fn perturb(text: &str, skip: usize, choices: &[u8]) -> String {
    let tokens = scan(FileId(0), text).tokens;
    let mut out = String::new();
    let mut end = 0;
    for (n, token) in tokens.iter().enumerate() {
        let gap = &text[end..token.start];
        let free = n > 0 && (!gap.is_empty() || may_part(&tokens[n - 1], token));
        // An item begins a line.
        let item = token.depth == 0 && token.first;
        let choice = if free { n.checked_sub(skip).and_then(|n| choices.get(n)).copied().unwrap_or(0) } else { 0 };
        // The author's comments stay.
        out.push_str(gap);
        match choice % 12 {
            _ if item && choice != 0 => out.push_str(["\n", "\n\n\n", " // end\n", "\n// own\n"][choice as usize % 4]),
            1 => out.push(' '),
            2 => out.push('\n'),
            3 => out.push_str("\n\n\n   "),
            4 => out.push_str(&format!(" // trailing {n}\n")),
            5 => out.push_str(&format!("\n  // own {n}\n")),
            6 => out.push_str(&format!("// one {n}\n// two {n}\n\n")),
            7 => out.push_str(&format!("\n\n// apart {n}, with \"quotes' and (brackets]\n\n")),
            8 => out.push_str(" \t \r\n"),
            _ => {}
        }
        out.push_str(&text[token.start..token.end]);
        end = token.end;
    }
    out.push_str(&text[end..]);
    out
}

fn check(text: &str, skip: usize, choices: &[u8]) -> Result<(), TestCaseError> {
    let changed = perturb(text, skip, choices);
    let (before, after) = (parse(text), parse(&changed));
    prop_assert!(after.diagnostics.is_empty(), "{}\n{changed}", rendered("changed", &changed));
    prop_assert_eq!(tree(&before.file), tree(&after.file), "\n{}", changed);
    check_format(&changed).map(|_| ()).map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn many_changes(which in any::<prop::sample::Index>(), choices in prop::collection::vec(any::<u8>(), 0..2500)) {
        let corpus = corpus();
        check(&corpus[which.index(corpus.len())], 0, &choices)?;
    }

    #[test]
    fn few_changes(
        which in any::<prop::sample::Index>(),
        skip in any::<prop::sample::Index>(),
        choices in prop::collection::vec(1u8..9, 1..4),
    ) {
        let corpus = corpus();
        let text = &corpus[which.index(corpus.len())];
        let skip = skip.index(scan(FileId(0), text).tokens.len());
        check(text, skip, &choices)?;
    }
}

/// One comment at every place of every example, in two ways.
#[test]
fn a_comment_at_every_place() {
    let mut corpus = examples();
    corpus.extend(trip_files("testdata/syntax/format").into_iter().map(|(_, text)| text));
    let items = corpus.iter().flat_map(|text| {
        let items = parse(text).file.items;
        items.into_iter().map(|item| text[item.span().range()].to_string()).collect::<Vec<_>>()
    });
    for text in items {
        for n in 1..scan(FileId(0), &text).tokens.len() {
            for choice in [4, 5] {
                check(&text, n, &[choice]).unwrap();
            }
        }
    }
}
