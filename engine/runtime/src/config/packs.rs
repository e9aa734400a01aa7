//! `[[pack]]` and `[[override]]`: what becomes of the rules, without changing their files.

use tripline_base::{Diagnostic, SourceMap, Span, did_you_mean};
use tripline_config::{At, Said, Table};
use tripline_detect::packs::{Except, OWN, OfPack, Override, Pattern};
use tripline_detect::{Local, Ruleset};
use tripline_semantic::typed::{Mode, Rule, Severity};

use super::read::SEVERITIES;
use crate::codes;

const MODES: [&str; 2] = ["on", "shadow"];
/// The longest name, owner or reason (bytes).
const LONGEST: usize = 1_000;

pub(super) fn read(root: &mut Table<'_>, said: &mut Said<'_>) -> Local {
    let packs = root.tables("pack", said).into_iter().filter_map(|table| pack(table, said)).collect();
    let overrides = root.tables("override", said).into_iter().filter_map(|table| of_rule(table, said)).collect();
    Local { packs, overrides, ..Local::default() }
}

/// A text of some length.
fn short(found: Option<At<String>>, said: &mut Said<'_>) -> Option<At<String>> {
    let found = found?;
    if found.value.trim().is_empty() || found.value.len() > LONGEST {
        said.bad(found.span, format!("a text of at most {LONGEST} bytes is wanted here, and not an empty one"));
        return None;
    }
    Some(found)
}

fn pattern(key: &str, example: &str, table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Pattern> {
    let found = table.needed(key, example, said);
    short(found, said).map(|At { value, span }| Pattern { text: value, span })
}

/// `true` or `false`, where it is written.
fn flag(key: &str, table: &mut Table<'_>, said: &mut Said<'_>) -> Option<bool> {
    let there = table.has(key);
    let found = table.flag(key, false, said);
    there.then_some(found)
}

/// Whether it is in shadow, and where that is written.
fn mode(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<(bool, Span)> {
    let (found, at) = table.choice_at("mode", &MODES, said)?;
    Some((found == "shadow", at))
}

fn pack(mut table: Table<'_>, said: &mut Said<'_>) -> Option<OfPack> {
    let name = pattern("name", "\"aws\"", &mut table, said);
    let enabled = flag("enabled", &mut table, said);
    let shadow = mode(&mut table, said);
    table.finish(said);
    Some(OfPack { name: name?, enabled, shadow })
}

fn of_rule(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Override> {
    let rule = pattern("rule", "\"aws_root_console_login\"", &mut table, said);
    let severity = table.choice("severity", &SEVERITIES, said).and_then(Severity::by_name);
    let owner = table.text("owner", said);
    let owner = short(owner, said).map(|owner| owner.value);
    let disable = flag("disable", &mut table, said);
    let shadow = mode(&mut table, said);
    let except = table.tables("except", said).into_iter().filter_map(|table| exception(table, said)).collect();
    if !["severity", "owner", "disable", "mode", "except"].iter().any(|key| table.has(key)) {
        said.push(
            Diagnostic::new(&tripline_config::codes::MISSING_KEY, table.span, "this override changes nothing")
                .help("give it `severity`, `owner`, `disable`, `mode` or `except`"),
        );
    }
    table.finish(said);
    Some(Override { rule: rule?, severity, owner, disable, shadow, except })
}

fn exception(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Except> {
    let reason = table.needed("reason", "\"why this is no finding\"", said);
    let reason = short(reason, said);
    let until = table.day("until", said).map(|day| (day.value, day.span));
    let condition = table.needed("where", "'user.uid == \"robot\"'", said);
    let finding = table.flag("finding", false, said);
    table.finish(said);
    Some(Except { reason: reason?.value, until, condition: condition?.span, finding, span: table.span })
}

/// What a configuration says of packs and rules that are not there, and of rules that hear nothing any more.
pub(super) fn unmatched(local: &Local, ruleset: &Ruleset) -> Vec<Diagnostic> {
    let rules = &ruleset.program.rules;
    let mut said = Vec::new();
    for of in &local.packs {
        if !ruleset.packs.iter().any(|pack| of.is_of(&pack.name)) {
            let names = ruleset.packs.iter().map(|pack| pack.name.as_str());
            let message = format!("there is no pack `{}`", of.name.text);
            said.push(
                Diagnostic::new(&codes::UNKNOWN_PACK, of.name.span, message)
                    .maybe_help(did_you_mean(&of.name.text, names))
                    .help("`tripline packs` lists those that there are"),
            );
        }
    }
    for one in &local.overrides {
        let pack = |rule: &Rule| ruleset.pack(rule).map(|pack| pack.name.as_str());
        if !rules.iter().any(|rule| one.is_of(pack(rule), &rule.name, rule.uid())) {
            let names = rules.iter().map(|rule| rule.name.as_str());
            let own = rules.iter().any(|rule| pack(rule) == Some(OWN) && one.rule.fits(&rule.name));
            let message = format!("there is no rule `{}`, so this override changes nothing", one.rule.text);
            said.push(
                Diagnostic::new(&codes::UNMATCHED_OVERRIDE, one.rule.span, message)
                    .maybe_help(did_you_mean(&one.rule.text, names))
                    .maybe_help(
                        own.then(|| format!("a `*` does not stand for rules of the pack `{OWN}`: name each in full")),
                    )
                    .help("`tripline packs --rules` lists the rules that there are"),
            );
        }
    }
    said.extend(rules.iter().filter_map(|rule| unheard(local, ruleset, rule)));
    said
}

/// That a rule takes findings of rules by their names, and that a configuration keeps all of them from it.
fn unheard(local: &Local, ruleset: &Ruleset, rule: &Rule) -> Option<Diagnostic> {
    if rule.mode == Mode::Off || rule.broken {
        return None;
    }
    let rules = &ruleset.program.rules;
    let named = rule.taken().filter(|names| !names.is_empty());
    let lost = |names: &&[String]| {
        let taken = || rules.iter().filter(|other| names.contains(&other.name));
        taken().next().is_some() && taken().all(|other| !rule.mode.hears(other.mode))
    };
    let names = named.into_iter().find(|names| lost(names))?;
    let other = rules.iter().find(|other| names.contains(&other.name))?;
    let at = local.of(&ruleset.packs, &ruleset.sources, other).by?;
    let what = match other.mode {
        Mode::Shadow => "is in shadow",
        _ => "is switched off",
    };
    let message = format!("`{}` takes findings of `{}`, which {what}: it finds nothing", rule.name, other.name);
    Some(
        Diagnostic::new(&codes::UNHEARD, at.span, message)
            .help(format!("do the same with `{}`, or take this back", rule.name)),
    )
}

/// Keeps the text with what was read, so that what is wrong with its expressions can be shown in it.
pub(super) fn with_text(local: &mut Local, name: &str, sources: &SourceMap, file: tripline_base::FileId) {
    local.name = name.to_string();
    local.text = sources.text(file).into();
}
