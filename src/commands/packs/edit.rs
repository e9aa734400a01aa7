//! A configuration in which a rule or a pack is told from now on: the word `shadow` becomes `on` where it stands for that
//! one alone; otherwise a table more stands at the end. Everything else of the text stays as it is.

use std::path::Path;

use tripline_base::{SourceMap, Span};
use tripline_detect::{Local, Pack};
use tripline_semantic::typed::{Mode, Rule};

use crate::commands::run::parsed;

/// What is promoted.
#[derive(Clone, Copy)]
pub enum What<'w> {
    Pack(&'w Pack),
    /// A rule, and the pack that it is of.
    Rule(&'w Rule, Option<&'w Pack>),
}

impl What<'_> {
    /// What becomes of it by a configuration. Of a pack: of a rule that nothing else is said of.
    fn mode(self, local: &Local) -> Mode {
        match self {
            What::Pack(pack) => {
                let alone = Local { packs: local.packs.clone(), ..Local::default() };
                alone.decide(Some(&pack.name), "", "").mode
            }
            What::Rule(rule, pack) => local.decide(pack.map(|pack| pack.name.as_str()), &rule.name, rule.uid()).mode,
        }
    }

    /// Where it is said, of it alone, that it is in shadow.
    fn places(self, local: &Local) -> Vec<Span> {
        let shadow = |shadow: Option<(bool, Span)>| shadow.filter(|(shadow, _)| *shadow).map(|(_, at)| at);
        match self {
            What::Pack(pack) => {
                let own = local.packs.iter().filter(|of| of.name.is_name() && of.name.text == pack.name);
                own.filter_map(|of| shadow(of.shadow)).collect()
            }
            What::Rule(rule, _) => {
                let own =
                    local.overrides.iter().filter(|one| one.rule.is_name() && one.is_of(None, &rule.name, rule.uid()));
                own.filter_map(|one| shadow(one.shadow)).collect()
            }
        }
    }

    /// A table that says it.
    fn table(self) -> String {
        match self {
            What::Pack(pack) => format!("\n[[pack]]\nname = \"{}\"\nmode = \"on\"\n", pack.name),
            What::Rule(rule, _) => format!("\n[[override]]\nrule = \"{}\"\nmode = \"on\"\n", rule.name),
        }
    }
}

fn local(path: &Path, text: &str) -> Result<Local, String> {
    let (config, said) = parsed(&mut SourceMap::new(), path, text);
    let why = || said.first().map_or_else(String::new, |one| format!(": {}", one.message));
    config.map(|config| config.rules.local).ok_or_else(|| format!("the configuration would have errors then{}", why()))
}

/// The text with `what` out of shadow.
///
/// # Errors
/// Where it cannot be written so that it means that.
pub fn promoted(path: &Path, text: &str, what: What<'_>) -> Result<String, String> {
    // Places are counted behind the mark that some editors put first.
    let (mark, plain) = text.split_at(if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 });
    let mut out = plain.to_string();
    let mut places = what.places(&local(path, plain)?);
    places.sort_by_key(|at| std::cmp::Reverse(at.start));
    for at in places {
        out.replace_range(at.start as usize..at.end as usize, "\"on\"");
    }
    if what.mode(&local(path, &out)?) != Mode::On {
        if !out.ends_with('\n') && !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&what.table());
    }
    match what.mode(&local(path, &out)?) {
        Mode::On => Ok(format!("{mark}{out}")),
        other => Err(format!("it would be {} all the same; change the configuration by hand", other.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "# mine\n[[source]]\nname = \"a\"\nkind = \"stdin\" # from a pipe\n";

    fn pack() -> Pack {
        Pack { name: "demo".into(), version: "1".into(), ..Pack::default() }
    }

    fn of_pack(text: &str) -> Result<String, String> {
        promoted(Path::new("t.toml"), &format!("{HEAD}{text}"), What::Pack(&pack()))
    }

    #[test]
    fn the_word_changes_where_it_stands_and_comments_stay() {
        let text = "[[pack]]\nname = \"demo\" # ours\nmode = \"shadow\" # until we know\nenabled = true\n";
        assert_eq!(of_pack(text).unwrap(), format!("{HEAD}{}", text.replace("\"shadow\"", "\"on\"")));
        let marked = promoted(Path::new("t.toml"), &format!("\u{feff}{HEAD}{text}"), What::Pack(&pack())).unwrap();
        assert!(marked.starts_with('\u{feff}') && marked.contains("mode = \"on\" # until we know"), "{marked}");
    }

    #[test]
    fn what_a_star_says_is_answered_at_the_end() {
        let text = "[[pack]]\nname = \"*\"\nmode = \"shadow\"";
        let end = "\n\n[[pack]]\nname = \"demo\"\nmode = \"on\"\n";
        assert_eq!(of_pack(text).unwrap(), format!("{HEAD}{text}{end}"));
    }

    #[test]
    fn what_would_mean_something_else_is_not_written() {
        let off = "[[pack]]\nname = \"demo\"\nmode = \"shadow\"\nenabled = false\n";
        assert!(of_pack(off).unwrap_err().contains("off all the same"));
        let inline = "pack = [{ name = \"*\", mode = \"shadow\" }]\n";
        let whole = promoted(Path::new("t.toml"), &format!("{inline}{HEAD}"), What::Pack(&pack()));
        assert!(whole.unwrap_err().contains("would have errors"));
    }
}
