//! Reads a pipeline, and says which step of it is not known.

use indexmap::IndexMap;
use tripline_base::{Code, Diagnostic, FileId, Span, did_you_mean};

use super::{Action, Gate, Mapping, Pipeline, Step, Test};
use crate::codes;
use crate::condition;
use crate::model::{LogSource, Named, Number, Search, Value};
use crate::pattern::Pattern;
use crate::yaml::{self, Node, Scalar};

/// How deep steps may nest.
const MAX_DEPTH: usize = 16;

const TRANSFORMATIONS: &[&str] = &[
    "add_condition",
    "case",
    "change_logsource",
    "convert_type",
    "detection_item_failure",
    "drop_detection_item",
    "field_name_mapping",
    "field_name_prefix",
    "field_name_prefix_mapping",
    "field_name_suffix",
    "hashes_fields",
    "map_string",
    "nest",
    "replace_string",
    "rule_failure",
    "set_state",
    "set_value",
    "value_placeholders",
    "wildcard_placeholders",
];
/// Those that prepare queries or their output.
const IGNORED: &[&str] = &["add_field", "remove_field", "set_field", "set_custom_attribute", "regex"];

const CONDITIONS: &[&str] = &[
    "contains_detection_item",
    "contains_field",
    "contains_wildcard",
    "exclude_fields",
    "include_fields",
    "is_null",
    "is_sigma_correlation_rule",
    "is_sigma_rule",
    "logsource",
    "match_string",
    "match_value",
    "processing_item_applied",
    "processing_state",
    "rule_attribute",
    "tag",
];

pub(super) fn read(file: FileId, text: &str) -> (Option<Pipeline>, Vec<Diagnostic>) {
    let loaded = yaml::load(file, text);
    let mut reader = Reader { out: loaded.diagnostics };
    let mut pipeline = Pipeline::default();
    for node in &loaded.documents {
        let Some(entries) = node.entries() else {
            reader.wrong(node.span, format!("a pipeline is a map, and this is {}", node.what()));
            continue;
        };
        for entry in entries {
            match entry.key.as_str() {
                "name" => pipeline.name = entry.value.text().unwrap_or("").to_string(),
                "priority" => match entry.value.scalar() {
                    Some(Scalar::Int(priority)) => pipeline.priority = priority,
                    _ => reader.wrong(entry.value.span, "`priority` is a whole number".to_string()),
                },
                "vars" => pipeline.vars = reader.mapping(&entry.value),
                "transformations" => pipeline.steps.extend(reader.steps(&entry.value, 0)),
                "postprocessing" | "finalizers" => {
                    let message = format!("`{}` does nothing here", entry.key);
                    reader.out.push(Diagnostic::new(&codes::PIPELINE_IGNORED, entry.key_span, message));
                }
                _ => {}
            }
        }
    }
    if loaded.documents.is_empty() && reader.out.is_empty() {
        reader.wrong(Span::new(file, 0, 0), "there is no pipeline here".to_string());
    }
    let failed = reader.out.iter().any(|said| said.level() == tripline_base::Level::Error);
    ((!failed).then_some(pipeline), reader.out)
}

struct Reader {
    out: Vec<Diagnostic>,
}

impl Reader {
    fn wrong(&mut self, span: Span, message: String) {
        self.out.push(Diagnostic::new(&codes::BAD_PIPELINE, span, message));
    }

    fn unknown(&mut self, code: &'static Code, span: Span, message: String, word: &str, known: &[&str]) {
        let hint = did_you_mean(word, known.iter().copied());
        self.out.push(Diagnostic::new(code, span, message).maybe_help(hint));
    }

    fn text(&mut self, node: &Node, key: &str) -> Option<String> {
        match node.get(key).map(|node| (node, node.text())) {
            Some((_, Some(text))) => Some(text.to_string()),
            Some((found, None)) => {
                self.wrong(found.span, format!("`{key}` is text, and this is {}", found.what()));
                None
            }
            None => {
                self.wrong(node.span, format!("`{key}` is missing"));
                None
            }
        }
    }

    fn texts(&mut self, node: &Node) -> Vec<String> {
        let mut texts = Vec::new();
        for element in node.one_or_many() {
            match element.text() {
                Some(text) => texts.push(text.to_string()),
                None => self.wrong(element.span, format!("this is {}, where text is meant", element.what())),
            }
        }
        texts
    }

    fn mapping(&mut self, node: &Node) -> Mapping {
        let Some(entries) = node.entries() else {
            self.wrong(node.span, format!("this is {}, where a map is meant", node.what()));
            return Mapping::new();
        };
        entries.iter().map(|entry| (entry.key.clone(), self.texts(&entry.value))).collect()
    }

    fn flag(&mut self, node: &Node, key: &str) -> bool {
        match node.get(key).map(|node| (node.span, node.scalar())) {
            None => false,
            Some((_, Some(Scalar::Bool(value)))) => value,
            Some((span, _)) => {
                self.wrong(span, format!("`{key}` is `true` or `false`"));
                false
            }
        }
    }

    fn regex(&mut self, node: &Node, key: &str, start: bool) -> Option<regex::Regex> {
        let span = node.get(key).map_or(node.span, |node| node.span);
        let source = self.text(node, key)?;
        self.compile(&source, span, start)
    }

    fn compile(&mut self, source: &str, span: Span, start: bool) -> Option<regex::Regex> {
        let source = crate::regexp::translate(source);
        let source = if start { format!(r"\A(?:{source})") } else { source };
        let found = regex::Regex::new(&source).ok();
        if found.is_none() {
            self.wrong(span, "this is no regular expression of linear time".to_string());
        }
        found
    }

    fn steps(&mut self, node: &Node, depth: usize) -> Vec<Step> {
        let Some(elements) = node.elements() else {
            self.wrong(node.span, format!("steps are a list, and this is {}", node.what()));
            return Vec::new();
        };
        elements.iter().filter_map(|element| self.step(element, depth)).collect()
    }

    fn step(&mut self, node: &Node, depth: usize) -> Option<Step> {
        let rule = self.gate(node, "rule_conditions", "rule_cond");
        let item = self.gate(node, "detection_item_conditions", "detection_item_cond");
        let field = self.gate(node, "field_name_conditions", "field_name_cond");
        let action = self.action(node, depth)?;
        let id = node.get("id").and_then(Node::text).map(str::to_string);
        Some(Step { id, span: node.span, rule, item, field, action })
    }

    fn gate(&mut self, node: &Node, key: &str, prefix: &str) -> Gate {
        let mut gate = Gate::default();
        let Some(tests) = node.get(key) else { return gate };
        let mut names = Vec::new();
        match tests.entries() {
            Some(entries) => {
                for entry in entries {
                    names.push(entry.key.as_str());
                    gate.tests.extend(self.test(&entry.value));
                }
            }
            None => {
                for element in tests.one_or_many() {
                    gate.tests.extend(self.test(element));
                }
            }
        }
        gate.negated = self.flag(node, &format!("{prefix}_not"));
        if let Some(op) = node.get(&format!("{prefix}_op")) {
            match op.text() {
                Some("or") => gate.any = true,
                Some("and") => {}
                _ => self.wrong(op.span, "conditions are joined by `and` or `or`".to_string()),
            }
        }
        let expression = node.get(&format!("{prefix}_expr")).or_else(|| node.get(&format!("{prefix}_expression")));
        if let Some(words) = expression {
            let condition = condition::place(words.text().unwrap_or(""), words.span, "");
            let found = condition::read(&condition, &names, &mut Vec::new());
            if found.is_none() {
                self.wrong(words.span, "the expression does not join the conditions beside it".to_string());
            }
            gate.expression = found;
        }
        gate
    }

    fn test(&mut self, node: &Node) -> Option<Test> {
        let name = self.text(node, "type")?;
        let any = node.get("cond").and_then(Node::text) != Some("all");
        Some(match name.as_str() {
            "logsource" => Test::Logsource(logsource(node)),
            "contains_field" | "rule_contains_field" => Test::ContainsField(self.text(node, "field")?),
            "contains_detection_item" | "rule_contains_detection_item" => {
                Test::ContainsItem(self.text(node, "field")?, self.value(node)?)
            }
            "processing_item_applied" => Test::Applied(self.text(node, "processing_item_id")?),
            "processing_state" => Test::State(self.text(node, "key")?, self.text(node, "val")?),
            "is_sigma_rule" => Test::IsRule(true),
            "is_sigma_correlation_rule" => Test::IsRule(false),
            "rule_attribute" => Test::Attribute {
                attribute: self.text(node, "attribute")?,
                value: self.text(node, "value")?,
                op: node.get("op").and_then(Node::text).unwrap_or("eq").to_string(),
            },
            "tag" => Test::Tag(self.text(node, "tag")?),
            "match_string" => Test::MatchString {
                pattern: self.regex(node, "pattern", true)?,
                negated: self.flag(node, "negate"),
                any,
            },
            "match_value" => Test::MatchValue { value: self.value(node)?, any },
            "contains_wildcard" => Test::Wildcard { any },
            "is_null" => Test::Null { any },
            "include_fields" | "exclude_fields" => {
                let fields = node.get("fields").map(|node| (node.span, self.texts(node)));
                let Some((span, fields)) = fields else {
                    self.wrong(node.span, "`fields` is missing".to_string());
                    return None;
                };
                let patterns = node.get("mode").and_then(Node::text) == Some("re");
                let (names, patterns) = if patterns {
                    (Vec::new(), fields.iter().filter_map(|field| self.compile(field, span, true)).collect())
                } else {
                    (fields, Vec::new())
                };
                Test::Fields { names, patterns, included: name == "include_fields" }
            }
            other => {
                let span = node.get("type").map_or(node.span, |node| node.span);
                let message = format!("there is no condition `{other}`");
                self.unknown(&codes::UNKNOWN_TRANSFORMATION, span, message, other, CONDITIONS);
                return None;
            }
        })
    }

    fn value(&mut self, node: &Node) -> Option<Value> {
        let found = node.entry("value").and_then(|entry| entry.value.scalar());
        Some(match found {
            Some(Scalar::Null) => Value::Null,
            Some(Scalar::Bool(value)) => Value::Bool(value),
            Some(Scalar::Int(value)) => Value::Number(Number::Int(value)),
            Some(Scalar::Float(value)) => Value::Number(Number::Float(value)),
            Some(Scalar::Text(text)) => Value::Text(Pattern::parse(&text)),
            None => {
                self.wrong(node.span, "`value` is missing, or not one value".to_string());
                return None;
            }
        })
    }

    fn map_of(&mut self, node: &Node) -> Option<Mapping> {
        let Some(mapping) = node.get("mapping") else {
            self.wrong(node.span, "`mapping` is missing".to_string());
            return None;
        };
        Some(self.mapping(mapping))
    }

    fn action(&mut self, node: &Node, depth: usize) -> Option<Action> {
        let name = self.text(node, "type")?;
        Some(match name.as_str() {
            "field_name_mapping" => Action::MapFields(self.map_of(node)?),
            "field_name_prefix_mapping" => Action::MapPrefixes(self.map_of(node)?),
            "field_name_prefix" => Action::Prefix(self.text(node, "prefix")?),
            "field_name_suffix" => Action::Suffix(self.text(node, "suffix")?),
            "drop_detection_item" => Action::Drop,
            "change_logsource" => Action::ChangeLogsource(logsource(node)),
            "add_condition" => self.added(node)?,
            "replace_string" => {
                let pattern = self.regex(node, "regex", false)?;
                Action::Replace { pattern, replacement: replacement(&self.text(node, "replacement")?) }
            }
            "map_string" => Action::MapStrings(self.map_of(node)?),
            "set_value" => match (self.value(node)?, node.get("force_type").and_then(Node::text)) {
                (Value::Number(Number::Int(number)), Some("str")) => {
                    Action::SetValue(Value::Text(Pattern::literal(&number.to_string())))
                }
                (value, _) => Action::SetValue(value),
            },
            "convert_type" => match self.text(node, "target_type")?.as_str() {
                "num" => Action::ToNumber,
                _ => Action::ToText,
            },
            "case" => Action::Case(node.get("method").and_then(Node::text).unwrap_or("lower").to_string()),
            "hashes_fields" => {
                let algorithms = node.get("valid_hash_algos").map(|node| self.texts(node));
                let Some(algorithms) = algorithms else {
                    self.wrong(node.span, "`valid_hash_algos` is missing".to_string());
                    return None;
                };
                let prefix = node.get("field_prefix").and_then(Node::text).unwrap_or("").to_string();
                Action::Hashes { algorithms, prefix, drop_algorithm: self.flag(node, "drop_algo_prefix") }
            }
            "value_placeholders" | "wildcard_placeholders" => Action::Placeholders {
                wildcard: name == "wildcard_placeholders",
                include: node.get("include").map(|node| self.texts(node)),
                exclude: node.get("exclude").map(|node| self.texts(node)).unwrap_or_default(),
            },
            "set_state" => Action::SetState(self.text(node, "key")?, self.text(node, "val")?),
            "rule_failure" => Action::RuleFailure(self.text(node, "message")?),
            "detection_item_failure" => Action::ItemFailure(self.text(node, "message")?),
            "nest" if depth < MAX_DEPTH => match node.get("items") {
                Some(items) => Action::Nest(self.steps(items, depth + 1)),
                None => {
                    self.wrong(node.span, "`items` is missing".to_string());
                    return None;
                }
            },
            other if IGNORED.contains(&other) => Action::Ignored(name),
            other => {
                let span = node.get("type").map_or(node.span, |node| node.span);
                let message = format!("there is no transformation `{other}`");
                self.unknown(&codes::UNKNOWN_TRANSFORMATION, span, message, other, TRANSFORMATIONS);
                return None;
            }
        })
    }

    fn added(&mut self, node: &Node) -> Option<Action> {
        let Some(entry) = node.entry("conditions") else {
            self.wrong(node.span, "`conditions` is missing".to_string());
            return None;
        };
        let search: Search = crate::parse::search(entry, &mut self.out)?;
        let mut detections = IndexMap::new();
        detections.insert("_added".to_string(), Named { name_span: entry.key_span, search });
        Some(Action::AddCondition {
            detections,
            template: self.flag(node, "template"),
            negated: self.flag(node, "negated"),
        })
    }
}

fn logsource(node: &Node) -> LogSource {
    let word = |key: &str| node.get(key).and_then(Node::text).map(str::to_lowercase);
    LogSource { span: node.span, product: word("product"), category: word("category"), service: word("service") }
}

/// `\1` and `\g<name>` as `${1}` and `${name}`.
fn replacement(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => match chars.next() {
                Some('g') if chars.peek() == Some(&'<') => {
                    chars.next();
                    let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                    out.push_str(&format!("${{{name}}}"));
                }
                Some(digit) if digit.is_ascii_digit() => out.push_str(&format!("${{{digit}}}")),
                Some(other) => {
                    if other != '\\' {
                        out.push('\\');
                    }
                    out.push(other);
                }
                None => out.push('\\'),
            },
            _ => out.push(c),
        }
    }
    out
}
