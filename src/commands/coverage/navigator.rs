//! Coverage as a layer of the ATT&CK Navigator, layer format 4.5.
//!
//! The score is the number of rules, the comment lists them. A technique that no rule covers has no score; one of
//! other platforms is disabled.

use serde_json::{Value, json};
use tripline_detect::coverage::{Cell, Coverage};
use tripline_schema::attack;

/// The colours of few and of many rules.
const GRADIENT: [&str; 3] = ["#dbeafe", "#60a5fa", "#1d4ed8"];
/// How many rules a comment names.
const MOST_NAMES: usize = 50;

/// The layer.
pub fn layer(found: &Coverage<'_>) -> Value {
    let mut techniques = Vec::new();
    let mut most = 1;
    for column in &found.tactics {
        for cell in column.cells.iter().filter(|cell| !cell.rules.is_empty()) {
            most = most.max(cell.rules.len());
            techniques.push(covered(found, cell, column.tactic.shortname));
        }
    }
    let elsewhere = attack().techniques().filter(|t| !t.retired && found.technique(t.id).is_none());
    techniques.extend(elsewhere.map(|t| json!({ "techniqueID": t.id, "enabled": false })));
    json!({
        "name": "Tripline coverage",
        "versions": { "attack": "19", "navigator": "5.2.0", "layer": "4.5" },
        "domain": "enterprise-attack",
        "description": format!("Techniques by the number of rules that cover them: {} rules over {}", found.rules.len(), found.sources.join(", ")),
        "filters": { "platforms": found.platforms },
        "sorting": 0,
        "layout": {
            "layout": "side",
            "showID": true,
            "showName": true,
            "showAggregateScores": false,
            "countUnscored": false,
            "aggregateFunction": "max",
            "expandedSubtechniques": "none",
        },
        "hideDisabled": false,
        "techniques": techniques,
        "gradient": { "colors": GRADIENT, "minValue": 0, "maxValue": most },
        "legendItems": [{ "label": "no rule", "color": "#ffffff" }, { "label": format!("{most} rules"), "color": "#1d4ed8" }],
        "showTacticRowBackground": false,
        "tacticRowBackground": "#dddddd",
        "selectTechniquesAcrossTactics": true,
        "selectSubtechniquesWithParent": false,
        "selectVisibleTechniques": false,
        "metadata": [
            { "name": "made by", "value": concat!("tripline ", env!("CARGO_PKG_VERSION")) },
            { "name": "rules", "value": found.rules.len().to_string() },
            { "name": "sources", "value": text_or_dash(&found.sources.join(", ")) },
        ],
        "links": [],
    })
}

fn covered(found: &Coverage<'_>, cell: &Cell, tactic: &str) -> Value {
    let mut names: Vec<String> = cell
        .rules
        .iter()
        .filter_map(|at| found.rules.get(*at))
        .take(MOST_NAMES)
        .map(|counted| counted.rule.name.clone())
        .collect();
    if cell.rules.len() > MOST_NAMES {
        names.push(format!("and {} more", cell.rules.len() - MOST_NAMES));
    }
    json!({
        "techniqueID": cell.technique.id,
        "tactic": tactic,
        "score": cell.rules.len(),
        "color": "",
        "comment": names.join("\n"),
        "enabled": true,
        "metadata": [
            { "name": "severity", "value": found.worst(&cell.rules).map_or("-", |severity| severity.name()) },
            { "name": "sources", "value": text_or_dash(&found.read_by(&cell.rules).join(", ")) },
        ],
        "links": [],
        "showSubtechniques": false,
    })
}

fn text_or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}
