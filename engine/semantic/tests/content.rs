//! Checks the shipped content.
use tripline_base::{SourceMap, terminal};

#[test]
fn shipped_content_checks() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut sources = SourceMap::new();
    let mut files = Vec::new();
    let mut diagnostics = Vec::new();
    for dir in ["connectors/mappings", "rules/aws", "rules/okta"] {
        let mut names: Vec<_> = std::fs::read_dir(root.join(dir)).unwrap().map(|e| e.unwrap().path()).collect();
        names.sort();
        for path in names {
            let text = std::fs::read_to_string(&path).unwrap();
            let id = sources.add(path.file_name().unwrap().to_string_lossy(), text.clone());
            let mut parse = tripline_syntax::parse_file(id, &text);
            diagnostics.append(&mut parse.diagnostics);
            files.push(parse.file);
        }
    }
    let (program, mut found) = tripline_semantic::check(&files, &sources, &tripline_semantic::NoFiles);
    diagnostics.append(&mut found);
    let text: String = diagnostics.iter().map(|d| terminal::render(d, &sources, terminal::Colour::Never)).collect();
    println!("{} rules, {} mappings", program.rules.len(), program.mappings.len());
    assert!(text.is_empty(), "{text}");
}
