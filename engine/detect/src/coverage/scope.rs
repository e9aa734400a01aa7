//! What is considered: sources, and the platforms that their events tell about.

use std::collections::BTreeSet;

use tripline_schema::attack;
use tripline_semantic::Program;
use tripline_semantic::typed::{Rule, Subject};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Sources, by name or by the first words of it; empty for those that the rules read.
    pub sources: Vec<String>,
    /// ATT&CK platforms; empty for those of the sources.
    pub platforms: Vec<&'static str>,
}

/// Whether a source is the one asked for: its name, or the first words of it.
fn is(source: &str, asked: &str) -> bool {
    source.strip_prefix(asked).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl Scope {
    /// Whether a rule of these sources is considered. A rule that reads every source always is.
    pub(super) fn takes(&self, sources: &[&str]) -> bool {
        self.sources.is_empty()
            || sources.is_empty()
            || sources.iter().any(|source| self.sources.iter().any(|asked| is(source, asked)))
    }

    /// The sources considered, their platforms, and the sources of which none is known. Where no platform is
    /// known at all, every one is considered, save what happens before an intrusion.
    pub(super) fn platforms_of<'s>(
        &self,
        read: impl Iterator<Item = &'s str>,
    ) -> (Vec<String>, Vec<&'static str>, Vec<String>) {
        let sources: BTreeSet<String> = if self.sources.is_empty() {
            read.map(str::to_string).collect()
        } else {
            self.sources.iter().cloned().collect()
        };
        let unplaced: Vec<String> =
            sources.iter().filter(|source| attack().platforms_of(source).is_empty()).cloned().collect();
        let mut told: BTreeSet<&'static str> = self.platforms.iter().copied().collect();
        if told.is_empty() {
            told = sources.iter().flat_map(|source| attack().platforms_of(source)).copied().collect();
        }
        let all = attack().platforms();
        let wanted =
            |platform: &&'static str| if told.is_empty() { *platform != "PRE" } else { told.contains(platform) };
        (sources.into_iter().collect(), all.into_iter().filter(wanted).collect(), unplaced)
    }
}

/// The sources that a rule reads, by name; empty where it reads every source, or findings.
pub fn sources_of<'p>(program: &'p Program, rule: &'p Rule) -> Vec<&'p str> {
    let found: BTreeSet<&str> = match &rule.subject {
        _ if !rule.sources.is_empty() => rule.sources.iter().map(String::as_str).collect(),
        Some(Subject::Class(class)) => program
            .mappings
            .iter()
            .filter(|mapping| !mapping.broken && mapping.arms.iter().any(|arm| arm.class.uid == class.uid))
            .map(|mapping| mapping.source.as_str())
            .collect(),
        _ => {
            rule.over.iter().flat_map(|over| over.steps()).flat_map(|step| &step.sources).map(String::as_str).collect()
        }
    };
    found.into_iter().collect()
}

/// Every source that is known: of mappings, of the taxonomy, and those that rules name.
pub fn known_sources(program: &Program) -> Vec<&str> {
    let mapped = program.mappings.iter().map(|mapping| mapping.source.as_str());
    let named = program.rules.iter().flat_map(|rule| rule.sources.iter().map(String::as_str));
    let all: BTreeSet<&str> = program.sources.keys().map(String::as_str).chain(mapped).chain(named).collect();
    all.into_iter().collect()
}
