//! Content: parser, formatter and checker over any text.

use tripline_base::terminal::{Colour, render};
use tripline_base::{Diagnostic, FileId, Level, SourceMap};
use tripline_detect::{Compiler, Ruleset, all_codes};
use tripline_semantic::NoFiles;
use tripline_syntax::ast::File;
use tripline_syntax::{format, parse_file};

/// What the checked text may look at: one source with three classes.
pub(super) const MAPPING: &str = r#"mapping m from t.s {
  detect where exists raw.t
  time:         timestamp(raw.t)
  metadata.uid: raw.id
  severity_id:  "Low"
  message:      raw.a ?? lower(raw.b.c)
  when raw.k == "auth" -> authentication {
    activity_id: "Logon"
    status_id:   match raw.st { "ok" => "Success", "no" => "Failure", _ => "Other" }
    user.name:   raw.user
    is_mfa:      raw.mfa
    src_endpoint.ip: raw.ip
  }
  when raw.k starts_with "api" -> api_activity {
    activity_id:     "Other"
    api.operation:   raw.op
    actor.user.name: raw.user
    src_endpoint.ip: raw.ip
    resources:       [{ uid: r.k, type: r.v } for r in raw.list if exists r.k]
  }
  otherwise -> base_event { activity_id: "Other", count: raw.n }
}
"#;

/// 2026-06-01T00:00:00Z, in nanoseconds.
pub(super) const TODAY: i64 = 1_780_272_000 * 1_000_000_000;

/// Parsing gives a tree and diagnostics; what they point at is in the text; it is the same every time.
pub fn parser(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut sources = SourceMap::new();
    let id = sources.add("fuzzed.trip", text.as_ref());
    let parse = parse_file(id, &text);
    well_placed(&parse.diagnostics, &sources);
    let again = parse_file(id, &text);
    assert_eq!(parse.diagnostics, again.diagnostics, "parsing twice says different things");
    for comment in &parse.file.comments {
        assert_eq!(sources.slice(comment.span), comment.text, "a comment is not where it says");
    }
    for item in &parse.file.items {
        let span = item.span();
        assert!(text.get(span.range()).is_some_and(|item| !item.is_empty()), "{span:?} is no place of an item");
    }
    if parse.diagnostics.is_empty() {
        let silent = parse.file.items.is_empty();
        let words = text.lines().any(|line| {
            let line = line.trim_start_matches('\u{feff}').trim_matches([' ', '\t', '\r']);
            !line.is_empty() && !line.starts_with("//")
        });
        assert!(!(silent && words), "text without items is accepted in silence");
    }
}

/// Formatting keeps the tree and every comment, and formatting twice changes nothing more.
pub fn formatter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let first = parse_file(FileId(0), text);
    if !first.diagnostics.is_empty() {
        return;
    }
    let once = format::format(&first.file, text);
    let second = parse_file(FileId(0), &once);
    assert!(second.diagnostics.is_empty(), "formatted text does not parse: {:?}\n{once}", second.diagnostics);
    assert_eq!(tree(&first.file), tree(&second.file), "formatting changed the tree\n{once}");
    assert_eq!(comments(&first.file), comments(&second.file), "formatting changed the comments\n{once}");
    assert_eq!(once, format::format(&second.file, &once), "formatting twice differs");
    assert!(once.is_empty() || (once.ends_with('\n') && !once.ends_with("\n\n")), "not one newline at the end");
}

/// Whatever the text: the same diagnostics at every run, each in its place and able to be shown, each broken rule
/// left out for a reason that is told.
pub fn checker(bytes: &[u8]) {
    let ruleset = compiled(bytes);
    well_placed(&ruleset.diagnostics, &ruleset.sources);
    let sarif = tripline_base::sarif::render(&ruleset.diagnostics, &ruleset.sources, &all_codes());
    let results = sarif.pointer("/runs/0/results").and_then(|results| results.as_array()).map(Vec::len);
    assert_eq!(results, Some(ruleset.diagnostics.len()));
    assert!(ruleset.broken().is_empty() || ruleset.has_errors(), "a rule is broken, and nothing says so");
    assert_eq!(ruleset.diagnostics, compiled(bytes).diagnostics, "checking twice says different things");
}

/// The text beside [`MAPPING`].
pub(super) fn compiled(bytes: &[u8]) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add_bytes("fuzzed.trip", bytes);
    compiler.add("m.trip", MAPPING);
    compiler.compile(&NoFiles, TODAY)
}

/// Every label is a piece of its file, and every form in which a diagnostic is shown can be made.
fn well_placed(diagnostics: &[Diagnostic], sources: &SourceMap) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty() && !diagnostic.labels.is_empty(), "{diagnostic:?}");
        for label in &diagnostic.labels {
            assert!(sources.text(label.span.file).get(label.span.range()).is_some(), "no such place: {diagnostic:?}");
        }
        let shown = render(diagnostic, sources, Colour::Never);
        assert!(shown.contains(diagnostic.code.id) && shown.ends_with('\n'), "{shown}");
        let json = tripline_base::json::render(diagnostic, sources);
        assert_eq!(json.get("code").and_then(|code| code.as_str()), Some(diagnostic.code.id));
        assert!(diagnostic.level() >= Level::Note);
    }
}

/// The tree's items without places: what must survive formatting.
fn tree(file: &File) -> String {
    let printed = format!("{:?}", file.items);
    let mut out = String::with_capacity(printed.len());
    let mut rest = printed.as_str();
    // `Span { file: FileId(0), start: 1, end: 2 }`
    while let Some((before, span)) = rest.split_once("Span { file: FileId(0), start: ") {
        out.push_str(before);
        out.push('_');
        rest = span.split_once('}').map_or("", |(_, after)| after);
    }
    out + rest
}

fn comments(file: &File) -> Vec<&str> {
    let mut all: Vec<&str> = file.comments.iter().map(|comment| comment.text.as_str()).collect();
    all.sort_unstable();
    all
}
