//! The numbers that matter on the page are what the shipped content gives today: nobody changes them unnoticed.

use tripline_report::{content, measure, page, summary};

const RENEW: &str = "cargo run -p tripline-report -- ../shared/data docs/MEASURED.md";

#[test]
fn the_page_says_what_is_measured() {
    let root = content::root();
    let data = root.join("../shared/data");
    if !data.is_dir() {
        eprintln!("SKIPPED: the real data is not beside the repository");
        return;
    }
    let measured = measure(&root, &data).unwrap();
    let now = summary::text(&measured);
    let kept = std::fs::read_to_string(root.join("testdata/report/summary.txt")).unwrap_or_default();
    let changed: Vec<String> = now
        .lines()
        .filter(|line| !kept.lines().any(|old| old == *line))
        .map(|line| {
            let name = line.split_once(": ").map_or(line, |(name, _)| name);
            let old = kept.lines().find(|old| old.split_once(": ").is_some_and(|(own, _)| own == name));
            format!("{line} (it was: {})", old.unwrap_or("not there"))
        })
        .collect();
    assert!(
        changed.is_empty() && now == kept,
        "what is measured has changed. Read the differences after\n  {RENEW}\nand commit them:\n{}",
        changed.join("\n")
    );
    let page = page::page(&measured);
    let written = std::fs::read_to_string(root.join("docs/MEASURED.md")).unwrap_or_default();
    for (name, value) in summary::lines(&measured) {
        let row = format!("| {name} | {value} |");
        assert!(page.contains(&row) && written.contains(&row), "docs/MEASURED.md does not say `{row}`: {RENEW}");
    }
    assert!(measured.stale.is_empty(), "tables say what is no longer so:\n{}", measured.stale.join("\n"));
    assert_eq!(summary::violations(&measured), 0, "events violate the schema: see docs/MEASURED.md after\n  {RENEW}");
    let over = measured.background.over();
    assert!(over.is_empty(), "rules cost more than they may: {over:?}");
    for (name, picture) in page::pictures(&measured) {
        assert!(written.contains(&format!("({name})")), "{name}");
        assert!(picture.starts_with("<svg ") && root.join("docs").join(name).is_file(), "{name}");
    }
}
