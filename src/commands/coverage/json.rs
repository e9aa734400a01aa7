//! Coverage as JSON: everything, in a stable order.

use serde_json::{Value, json};
use tripline_detect::Ruleset;
use tripline_detect::coverage::{Cell, Counted, Coverage, Share, shares};
use tripline_semantic::typed::Rule;

/// The report.
pub fn report(ruleset: &Ruleset, found: &Coverage<'_>) -> Value {
    let (whole, part) = shares(&found.techniques);
    let names = |rules: &[&Rule]| rules.iter().map(|rule| rule.name.clone()).collect::<Vec<_>>();
    json!({
        "attack": "19",
        "sources": found.sources,
        "platforms": found.platforms,
        "sources_without_platform": found.unplaced,
        "rules": found.rules.iter().map(|counted| rule(ruleset, counted)).collect::<Vec<_>>(),
        "totals": { "techniques": share(whole), "sub_techniques": share(part) },
        "tactics": found.tactics.iter().map(|column| {
            let (whole, part) = shares(&column.cells);
            json!({
                "id": column.tactic.uid,
                "shortname": column.tactic.shortname,
                "name": column.tactic.name,
                "techniques": share(whole),
                "sub_techniques": share(part),
                "rules": named(found, &column.rules),
                "cells": column.cells.iter().map(|cell| json!({
                    "id": cell.technique.id, "rules": named(found, &cell.rules), "own": named(found, &cell.own),
                })).collect::<Vec<_>>(),
            })
        }).collect::<Vec<_>>(),
        "techniques": found.techniques.iter().map(|cell| technique(found, cell)).collect::<Vec<_>>(),
        "gaps": found.techniques.iter().filter(|cell| cell.rules.is_empty()).map(|cell| cell.technique.id)
            .collect::<Vec<_>>(),
        "without_technique": named(found, &found.without_attack),
        "deprecated": names(&found.deprecated),
        "left_out": names(&found.left_out),
    })
}

fn share(share: Share) -> Value {
    json!({ "covered": share.covered, "all": share.all })
}

fn named(found: &Coverage<'_>, rules: &[usize]) -> Vec<String> {
    rules.iter().filter_map(|at| found.rules.get(*at)).map(|counted| counted.rule.name.clone()).collect()
}

fn rule(ruleset: &Ruleset, counted: &Counted<'_>) -> Value {
    let Rule { name, header, span, .. } = counted.rule;
    json!({
        "name": name,
        "title": header.title,
        "severity": header.severity.map(|severity| severity.name()),
        "status": header.status,
        "sources": counted.sources,
        "file": ruleset.sources.name(span.file),
        "attack": header.attack.iter().map(|technique| json!({ "id": technique.id, "tactics": technique.tactics }))
            .collect::<Vec<_>>(),
    })
}

fn technique(found: &Coverage<'_>, cell: &Cell) -> Value {
    json!({
        "id": cell.technique.id,
        "name": cell.technique.name,
        "retired": cell.technique.retired,
        "platforms": cell.technique.platforms,
        "severity": found.worst(&cell.rules).map(|severity| severity.name()),
        "sources": found.read_by(&cell.rules),
        "rules": named(found, &cell.rules),
        "own": named(found, &cell.own),
    })
}
