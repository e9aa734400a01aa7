//! The docs keep what they say: every example compiles, the index of diagnostics is that of the code, and every link
//! leads somewhere.

use std::fmt::Write as _;
use std::path::{Component, Path};

use tripline_base::{Level, terminal};
use tripline_checks::root;
use tripline_detect::{Compiler, DiskFiles, harness};
use tripline_runtime::all_codes;
use tripline_semantic::NoFiles;

#[test]
fn every_example_of_the_language_reference_compiles_in_the_one_style_and_passes_its_tests() {
    let page = |name: &str| std::fs::read_to_string(root().join("docs").join(name)).unwrap();
    let (language, canaries) = (page("LANGUAGE.md"), page("CANARIES.md"));
    let (mut blocks, mut tests) = (0, 0);
    for block in language.split("```trip\n").skip(1).chain(canaries.split("```trip\n").skip(1)) {
        let text = block.split("```").next().unwrap();
        let mut compiler = Compiler::new();
        tripline_checks::taxonomy(&mut compiler);
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
        let parse = tripline_syntax::parse_file(tripline_base::FileId(0), text);
        assert_eq!(tripline_syntax::format::format(&parse.file, text), text);
        let outcomes = harness::run(&ruleset, &DiskFiles, "", None);
        for outcome in outcomes.iter().filter(|o| ruleset.sources.name(o.span.file).starts_with("example")) {
            assert!(outcome.passed(), "{outcome:?}");
            tests += 1;
        }
        blocks += 1;
    }
    assert!(blocks >= 5 && tests >= 5, "{blocks} blocks, {tests} tests");
}

#[test]
fn the_examples_of_behaviour_are_those_of_their_page_and_pass_their_tests() {
    let page = std::fs::read_to_string(root().join("docs/FEATURES.md")).unwrap();
    let folder = root().join("examples/behaviour");
    let mut compiler = Compiler::new();
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "trip") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(page.contains(&format!("```trip\n{text}```\n")), "{} is not on the page", path.display());
        let parse = tripline_syntax::parse_file(tripline_base::FileId(0), &text);
        assert_eq!(tripline_syntax::format::format(&parse.file, &text), text);
        compiler.add(&path.display().to_string(), &text);
        files += 1;
    }
    assert_eq!(page.matches("```trip").count(), files, "an example of the page has no file");
    let ruleset = compiler.compile(&DiskFiles, 0);
    let said: Vec<&str> = ruleset.diagnostics.iter().map(|said| said.message.as_str()).collect();
    assert!(said.is_empty(), "{said:?}");
    let outcomes = harness::run(&ruleset, &DiskFiles, "", None);
    assert!(outcomes.len() >= 10 && outcomes.iter().all(|outcome| outcome.passed()), "{outcomes:?}");
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

/// The lines of a page outside of fenced code.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// The targets of a page's links and images.
fn links(page: &str) -> Vec<String> {
    let link = regex::Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let code = regex::Regex::new("`[^`]*`").unwrap();
    prose(page)
        .flat_map(|line| {
            let line = code.replace_all(line, "");
            link.captures_iter(&line).map(|found| found[1].to_string()).collect::<Vec<_>>()
        })
        .collect()
}

/// The anchors of a page's headings, as code hosts and the book make them.
fn anchors(page: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in prose(page).filter(|line| line.starts_with('#')) {
        let words = line.trim_start_matches('#').trim();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let slug: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let same = out.iter().filter(|other| **other == slug).count();
        out.push(if same == 0 { slug } else { format!("{slug}-{same}") });
    }
    out
}

/// What is wrong with a link in a page of `folder`; a page of the book (`inside`) may not link out of it.
fn fault(folder: &Path, page: &str, link: &str, inside: bool) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    if inside && !Path::new(path).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Some(format!("`{link}` leads out of the book"));
    }
    let target = folder.join(path);
    if !target.exists() {
        return Some(format!("`{link}` leads nowhere"));
    }
    let anchor = anchor?;
    let other = if path.is_empty() { page.to_string() } else { std::fs::read_to_string(target).unwrap_or_default() };
    (!anchors(&other).iter().any(|known| known == anchor)).then(|| format!("`{link}`: no heading is `#{anchor}`"))
}

#[test]
fn every_link_of_the_docs_leads_somewhere() {
    let docs = root().join("docs");
    let mut pages = vec![root().join("README.md")];
    pages.extend(std::fs::read_dir(&docs).unwrap().map(|entry| entry.unwrap().path()));
    pages.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in &pages {
        let page = std::fs::read_to_string(path).unwrap();
        let folder = path.parent().unwrap();
        for link in links(&page) {
            seen += 1;
            wrong.extend(
                fault(folder, &page, &link, folder == docs).map(|fault| format!("{}: {fault}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 20 && pages.len() > 8, "{seen} links in {} pages", pages.len());

    let summary = links(&std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap());
    for path in pages.iter().filter(|path| path.starts_with(&docs) && !path.ends_with("SUMMARY.md")) {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(summary.iter().any(|link| *link == name), "the book's summary lacks {name}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page =
        "# A `b`: c_d!\n## E\n## E\n[x](#a-b-c_d) ![y](book.toml) `[z](no)`\n```\n[z](no)\n# no\n```\n[w](NO.md)\n";
    assert_eq!(links(page), ["#a-b-c_d", "book.toml", "NO.md"]);
    assert_eq!(anchors(page), ["a-b-c_d", "e", "e-1"]);
    let docs = root().join("docs");
    let found = |link| fault(&docs, page, link, true);
    assert_eq!(found("#a-b-c_d"), None);
    assert_eq!(found("https://example.com/no"), None);
    assert_eq!(found("COMMANDS.md#scan"), None);
    assert_eq!(found("NO.md").as_deref(), Some("`NO.md` leads nowhere"));
    assert_eq!(found("#no").as_deref(), Some("`#no`: no heading is `#no`"));
    assert_eq!(found("COMMANDS.md#no").as_deref(), Some("`COMMANDS.md#no`: no heading is `#no`"));
    assert_eq!(found("../README.md").as_deref(), Some("`../README.md` leads out of the book"));
}

/// Every metric that the dashboard draws is one that the page of the service names.
#[test]
fn the_dashboard_draws_what_there_is() {
    let text = std::fs::read_to_string(root().join("examples/service/grafana.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let page = std::fs::read_to_string(root().join("docs/RUN.md")).unwrap();
    let metric = regex::Regex::new(r"tripline_([a-z_]+)").unwrap();
    let mut drawn = 0;
    for target in dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap())
    {
        for found in metric.captures_iter(target["expr"].as_str().unwrap()) {
            let name = found[1].trim_end_matches("_bucket");
            assert!(page.contains(&format!("`{name}`")), "{name}");
            drawn += 1;
        }
    }
    assert!(drawn >= 20, "{drawn}");
}
