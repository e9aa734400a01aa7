//! Packs and their rules, with what a configuration makes of each.

use serde_json::{Value as Json, json};
use tripline_base::terminal::{counted, visible};
use tripline_detect::packs::Decided;
use tripline_detect::{Local, Pack, Ruleset};
use tripline_semantic::typed::{Mode, Rule};

/// A pack with its rules; none where they are of no pack.
pub struct OfPack<'r> {
    pack: Option<&'r Pack>,
    rules: Vec<(&'r Rule, Decided<'r>)>,
}

/// Every pack by its name, and then the rules of none.
pub fn packs<'r>(ruleset: &'r Ruleset, local: Option<&'r Local>) -> Vec<OfPack<'r>> {
    let mut known: Vec<&Pack> = ruleset.packs.iter().collect();
    known.sort_by(|a, b| a.name.cmp(&b.name));
    let of = |pack: Option<&'r Pack>| {
        let own = ruleset.program.rules.iter().filter(|rule| ruleset.pack(rule) == pack);
        let decided = |rule| local.map(|local| local.of(&ruleset.packs, &ruleset.sources, rule)).unwrap_or_default();
        let mut rules: Vec<_> = own.map(|rule| (rule, decided(rule))).collect();
        rules.sort_by(|a, b| a.0.name.cmp(&b.0.name));
        OfPack { pack, rules }
    };
    let all = known.into_iter().map(Some).chain([None]).map(of);
    all.filter(|of| of.pack.is_some() || !of.rules.is_empty()).collect()
}

/// What a configuration makes of a rule, in words; none where it changes nothing.
fn changes(rule: &Rule, decided: &Decided<'_>) -> Vec<String> {
    let mut out = Vec::new();
    if rule.broken {
        out.push("has an error".to_string());
    }
    if rule.mode != Mode::On {
        out.push(rule.mode.name().to_string());
    }
    out.extend(decided.severity.map(|severity| format!("severity {}", severity.name())));
    out.extend(decided.owner.map(|owner| format!("owner {}", visible(owner))));
    let exceptions: usize = decided.overrides.iter().map(|one| one.except.len()).sum();
    if exceptions > 0 {
        out.push(counted(exceptions as u64, "exception"));
    }
    out
}

/// For people.
pub fn text(packs: &[OfPack<'_>], every_rule: bool) -> String {
    let mut out = String::new();
    for OfPack { pack, rules } in packs {
        let of = |mode| rules.iter().filter(|(rule, _)| rule.mode == mode).count();
        let modes = [Mode::Shadow, Mode::Off].map(|mode| (of(mode), mode.name()));
        let modes = modes.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!(", {n} {name}"));
        let count = counted(rules.len() as u64, "rule") + &modes.collect::<String>();
        match pack {
            Some(pack) => out.push_str(&format!(
                "{} {}: {count}\n  {}\n",
                pack.name,
                visible(&pack.version),
                visible(&pack.description)
            )),
            None => out.push_str(&format!("of no pack: {count}\n")),
        }
        for (rule, decided) in rules {
            let changes = changes(rule, decided);
            if changes.is_empty() && !every_rule {
                continue;
            }
            let severity = rule.header.severity.map_or("medium", |severity| severity.name());
            let title = visible(&rule.header.title);
            let about = if changes.is_empty() { format!("{severity}, {title}") } else { changes.join(", ") };
            out.push_str(&format!("    {}: {about}\n", rule.name));
        }
    }
    out
}

/// For machines.
pub fn json(packs: &[OfPack<'_>], local: Option<&Local>) -> Json {
    let rule = |(rule, decided): &(&Rule, Decided<'_>)| {
        let except: Vec<Json> = decided
            .overrides
            .iter()
            .flat_map(|one| &one.except)
            .map(|except| {
                let until = except.until.as_ref().map(|(day, _)| day);
                let condition = local.map_or("", |local| local.words(except));
                json!({
                    "reason": except.reason, "until": until, "where": condition, "finding": except.finding,
                })
            })
            .collect();
        json!({
            "name": rule.name,
            "uid": rule.uid(),
            "title": rule.header.title,
            "severity": rule.header.severity.map(|severity| severity.name()),
            "owner": rule.header.owner,
            "mode": rule.mode.name(),
            "broken": rule.broken,
            "overrides": {
                "by": decided.overrides.iter().map(|one| &one.rule.text).collect::<Vec<_>>(),
                "severity": decided.severity.map(|severity| severity.name()),
                "owner": decided.owner,
                "except": except,
            },
        })
    };
    let one = |of: &OfPack<'_>| {
        json!({
            "name": of.pack.map(|pack| &pack.name),
            "version": of.pack.map(|pack| &pack.version),
            "description": of.pack.map(|pack| &pack.description),
            "rules": of.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    };
    json!({ "packs": packs.iter().map(one).collect::<Vec<_>>() })
}
