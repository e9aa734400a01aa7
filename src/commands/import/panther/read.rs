//! A YAML file of panther-analysis as facts; code that it names is not read.

use std::path::Path;

use serde_json::{Map, Number, Value};
use tripline_base::SourceMap;
use tripline_sigma::yaml::{self, Kind, Node};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 << 20;

/// What a file says; the fields are its keys.
#[derive(Debug, Default)]
pub struct Rule {
    pub analysis_type: String,
    pub id: String,
    pub display_name: String,
    pub filename: Option<String>,
    pub log_types: Vec<String>,
    pub severity: String,
    pub status: String,
    pub description: Option<String>,
    pub runbook: Option<String>,
    pub references: Vec<String>,
    pub attack: Vec<String>,
    pub tags: Vec<String>,
    pub dedup_minutes: Option<i64>,
    pub threshold: Option<i64>,
    pub disabled: bool,
    pub tests: Vec<Test>,
}

/// One of its tests.
#[derive(Debug)]
pub struct Test {
    /// What it says it is.
    pub name: String,
    /// Whether an alert is expected.
    pub alert: bool,
    /// The event, where it is an object.
    pub event: Option<Value>,
    /// The log type of the event, where the test says it.
    pub log_type: Option<String>,
    /// What helpers are pretended to give: name and value.
    pub mocks: Vec<(String, String)>,
}

/// What was found in a file.
pub enum Found {
    /// A rule.
    Rule(Box<Rule>),
    /// Something else: a helper, a data model, a pack, or nothing of this kind.
    Other,
}

/// Reads a file.
///
/// # Errors
/// Why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<Found>, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if about.len() > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_string())?;
    let mut sources = SourceMap::new();
    let file = sources.add("file", text.as_str());
    let loaded = yaml::load(file, &text);
    if let Some(said) = loaded.diagnostics.iter().find(|said| said.level() == tripline_base::Level::Error) {
        let line = sources.get(file).map_or(0, |file| file.place(said.span().start as usize).line);
        return Err(format!("line {line}: {}", said.message));
    }
    loaded.documents.iter().map(one).collect()
}

fn one(node: &Node) -> Result<Found, String> {
    let text = |key: &str| node.get(key).and_then(Node::text).map(|text| text.trim().to_string());
    let texts = |key: &str| node.get(key).map(strings).unwrap_or_default();
    let number = |key: &str| text(key).and_then(|text| text.parse::<i64>().ok());
    let Some(analysis_type) = text("AnalysisType") else { return Ok(Found::Other) };
    if !matches!(analysis_type.as_str(), "rule" | "policy" | "scheduled_rule" | "correlation_rule") {
        return Ok(Found::Other);
    }
    let id = text("RuleID").or_else(|| text("PolicyID")).ok_or("there is no `RuleID` in it")?;
    let log_types = if analysis_type == "policy" { texts("ResourceTypes") } else { texts("LogTypes") };
    let reports = node.get("Reports").and_then(|reports| reports.get("MITRE ATT&CK"));
    let tests = node.get("Tests").and_then(Node::elements).unwrap_or_default();
    Ok(Found::Rule(Box::new(Rule {
        display_name: text("DisplayName").filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone()),
        analysis_type,
        id,
        filename: text("Filename"),
        log_types,
        severity: text("Severity").unwrap_or_default(),
        status: text("Status").unwrap_or_default(),
        description: text("Description"),
        runbook: text("Runbook"),
        references: texts("Reference"),
        attack: reports.map(strings).unwrap_or_default(),
        tags: texts("Tags"),
        dedup_minutes: number("DedupPeriodMinutes"),
        threshold: number("Threshold"),
        disabled: text("Enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("false")),
        tests: tests.iter().enumerate().map(|(at, node)| test(at, node)).collect(),
    })))
}

fn test(at: usize, node: &Node) -> Test {
    let text = |key: &str| node.get(key).and_then(Node::text).map(|text| text.trim().to_string());
    let event = node.get("Log").or_else(|| node.get("Resource")).map(json);
    let event = match event {
        // An event may be written as a text of JSON.
        Some(Value::String(text)) => serde_json::from_str(&text).ok(),
        other => other,
    };
    let mocks = node.get("Mocks").and_then(Node::elements).unwrap_or_default().iter().map(|mock| {
        let of = |key: &str| mock.get(key).map(json);
        let name = of("objectName").and_then(|name| name.as_str().map(str::to_string));
        let value = of("returnValue").map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_string));
        (name.unwrap_or_else(|| "?".into()), value.unwrap_or_default())
    });
    Test {
        name: text("Name").filter(|name| !name.is_empty()).unwrap_or_else(|| format!("test {}", at + 1)),
        alert: text("ExpectedResult").is_some_and(|expected| expected.eq_ignore_ascii_case("true")),
        log_type: text("LogType")
            .or_else(|| event.as_ref()?.get("p_log_type")?.as_str().map(str::to_string))
            .filter(|name| !name.is_empty()),
        event: event.filter(Value::is_object),
        mocks: mocks.collect(),
    }
}

/// A text or a list of texts.
fn strings(node: &Node) -> Vec<String> {
    node.one_or_many().iter().filter_map(Node::text).map(|text| text.trim().to_string()).collect()
}

/// A node as JSON, with plain scalars by the core schema of YAML 1.2: `yes` is text there, and so is a date.
fn json(node: &Node) -> Value {
    match &node.kind {
        Kind::Scalar { text, plain: false } => Value::String(text.clone()),
        Kind::Scalar { text, plain: true } => scalar(text),
        Kind::Sequence(elements) => Value::Array(elements.iter().map(json).collect()),
        Kind::Mapping(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), json(&entry.value))).collect::<Map<_, _>>())
        }
    }
}

fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Value::String(text.to_string());
    }
    let whole = match (digits.strip_prefix("0x"), digits.strip_prefix("0o")) {
        (Some(hex), _) => i64::from_str_radix(hex, 16).ok(),
        (_, Some(octal)) => i64::from_str_radix(octal, 8).ok(),
        _ => text.parse::<i64>().ok(),
    };
    let float = || text.parse::<f64>().ok().and_then(Number::from_f64);
    match (whole, text.parse::<u64>()) {
        (Some(number), _) => Value::from(number),
        (None, Ok(number)) => Value::from(number),
        _ => float().map_or_else(|| Value::String(text.to_string()), Value::Number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_those_of_the_core_schema() {
        for (text, wanted) in [
            ("1", serde_json::json!(1)),
            ("-2.5", serde_json::json!(-2.5)),
            ("0x1f", serde_json::json!(31)),
            ("18446744073709551615", serde_json::json!(u64::MAX)),
            ("yes", serde_json::json!("yes")),
            ("true", serde_json::json!(true)),
            ("~", Value::Null),
            ("1.2.3.4", serde_json::json!("1.2.3.4")),
            ("2024-01-01", serde_json::json!("2024-01-01")),
            ("infinity", serde_json::json!("infinity")),
        ] {
            assert_eq!(scalar(text), wanted, "{text}");
        }
    }
}
