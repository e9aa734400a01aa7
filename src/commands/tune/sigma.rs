//! A Sigma filter in the place of an exception: a document of its own beside the rule, which every engine of Sigma reads.

use std::path::Path;

use tripline_detect::Ruleset;
use tripline_semantic::typed::Rule;

use super::search::Test;

/// Whether a text may stand in a filter as it is: there `*` and `?` stand for others, and two backslashes for one.
pub fn is_plain(text: &str) -> bool {
    !text.contains(['*', '?']) && !text.contains("\\\\") && !text.ends_with('\\')
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The filter. Sigma has no end of a filter and nobody who answers for it: both stand in texts that people read.
///
/// # Errors
/// Where the rule does not say which events it looks at.
pub fn filter(
    ruleset: &Ruleset,
    rule: &Rule,
    tests: &[Test],
    (reason, owner, until): (&str, &str, &str),
) -> Result<String, String> {
    let text = ruleset.sources.text(rule.span.file);
    let logsource = logsource(text, usize::try_from(rule.span.start).unwrap_or(0)).ok_or_else(|| {
        format!("`{}` has no `logsource` of its own, which a filter repeats: write it by hand", rule.name)
    })?;
    let named = rule.header.id.as_deref().unwrap_or(&rule.name);
    let known: String = tests
        .iter()
        .map(|test| {
            let path = test.path.strip_prefix("raw.").unwrap_or(&test.path);
            format!("    {path}: {}\n", quoted(&test.value))
        })
        .collect();
    let title = quoted(&format!("{}: known", rule.header.title));
    let said = quoted(&format!("{reason} (owner: {owner}). To be looked at again, or taken away, on {until}."));
    Ok(format!(
        "title: {title}\ndescription: {said}\nauthor: {}\n{logsource}filter:\n  rules: [{}]\n  known:\n{known}  condition: not known\n",
        quoted(owner),
        quoted(named)
    ))
}

/// `logsource:` of the document around a place, as it is written.
fn logsource(text: &str, at: usize) -> Option<String> {
    let begins = text.get(..at)?.rfind("\n---").map_or(0, |start| start + 1);
    let document = text.get(begins..)?;
    let ends = document.get(3..)?.find("\n---").map_or(document.len(), |end| end + 4);
    let mut lines = document.get(..ends)?.lines().skip_while(|line| !line.starts_with("logsource:"));
    let first = lines.next()?;
    let rest = lines.take_while(|line| line.starts_with([' ', '\t', '#']));
    Some([first].into_iter().chain(rest).map(|line| format!("{line}\n")).collect())
}

/// Where the filter of a rule stands.
pub fn beside(file: &str) -> String {
    Path::new(file).with_extension("filter.yml").display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_source_is_taken_from_the_documents_own_lines() {
        let text = "title: a\nlogsource: { product: x }\ndetection: {}\n---\ntitle: b\nlogsource:\n  product: y\n  service: z\ndetection: {}\n";
        assert_eq!(logsource(text, 7).as_deref(), Some("logsource: { product: x }\n"));
        let second = text.find("title: b").unwrap();
        assert_eq!(logsource(text, second).as_deref(), Some("logsource:\n  product: y\n  service: z\n"));
        assert_eq!(logsource("title: c\n", 0), None);
    }
}
