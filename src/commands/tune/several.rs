//! What a finding over several events holds, by the expressions of its rule: the key it was found under, the alert's key,
//! entities and context. An exception for findings may ask for these, and they are kept with the finding.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tripline_detect::Ruleset;
use tripline_event::Segment;
use tripline_semantic::typed::{Kind, Over, Root, Rule, Ty, Typed};

use super::fields::worth;
use super::samples::is_plain;

/// The expressions of a rule whose values its findings hold, as they are written. None is one that no exception can ask
/// for by an equal text.
pub struct Parts {
    group: Vec<Option<String>>,
    key: Vec<Option<String>>,
    entities: Vec<(&'static str, Option<String>)>,
    context: Vec<(String, Option<String>)>,
    /// The field of an event by which an expression is judged: of several, the one that an attacker has most say in.
    pub judged_by: BTreeMap<String, String>,
}

impl Parts {
    pub fn new(ruleset: &Ruleset, rule: &Rule) -> Self {
        let mut judged_by = BTreeMap::new();
        let mut one = |typed: &Typed| {
            let text = written(ruleset, rule, typed)?;
            judged_by.insert(text.clone(), field(typed).unwrap_or_else(|| text.clone()));
            Some(text)
        };
        let group = group(rule).iter().map(&mut one).collect();
        let key = rule.alert.key.iter().map(|(_, typed)| one(typed)).collect();
        let entities = rule.alert.entities.iter().map(|entity| (entity.kind, one(&entity.value))).collect();
        let context = rule.alert.context.iter().map(|(name, typed)| (name.clone(), one(typed))).collect();
        Parts { group, key, entities, context, judged_by }
    }

    /// What a finding holds of them.
    pub fn fields(&self, finding: &Json) -> BTreeMap<String, String> {
        let mut out = BTreeMap::new();
        let mut put = |text: &Option<String>, value: Option<&Json>| {
            let value = value.and_then(Json::as_str).filter(|value| is_plain(value));
            if let (Some(text), Some(value)) = (text, value) {
                out.entry(text.clone()).or_insert_with(|| value.to_string());
            }
        };
        for (texts, at) in [(&self.group, "/unmapped/group"), (&self.key, "/unmapped/key")] {
            let values = finding.pointer(at).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
            texts.iter().zip(values).for_each(|(text, value)| put(text, Some(value)));
        }
        let observables = finding.get("observables").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        for (kind, text) in &self.entities {
            // Of two of a kind nobody knows which is whose.
            let same = self.entities.iter().filter(|(one, _)| one == kind).count();
            let mut of = observables.iter().filter(|one| one.get("name").and_then(Json::as_str) == Some(*kind));
            if let (1, Some(only), None) = (same, of.next(), of.next()) {
                put(text, only.get("value"));
            }
        }
        // Context is that of the latest update; the exception is asked where the rule fires.
        if finding.pointer("/unmapped/revision").is_none() {
            for (name, text) in &self.context {
                put(text, finding.pointer("/unmapped/context").and_then(|context| context.get(name)));
            }
        }
        out
    }
}

/// The key of its windows or sequences; nothing where steps have keys of their own.
fn group(rule: &Rule) -> &[Typed] {
    match &rule.over {
        Some(Over::Window(window)) if window.inputs.is_empty() => &window.by,
        Some(Over::Sequence(sequence)) => match sequence.steps.split_first() {
            Some((first, rest))
                if rest.iter().all(|step| step.by.iter().map(|by| by.span).eq(first.by.iter().map(|by| by.span))) =>
            {
                &first.by
            }
            _ => &[],
        },
        _ => &[],
    }
}

/// The text of an expression that is written in the rule, and has a value that a text can be compared with.
fn written(ruleset: &Ruleset, rule: &Rule, typed: &Typed) -> Option<String> {
    let (span, of) = (typed.span, rule.span);
    let inside = span.file == of.file && span.start >= of.start && span.end <= of.end;
    let fits = inside && matches!(typed.ty, Ty::Text | Ty::Ip | Ty::Raw) && !matches!(typed.kind, Kind::Const(_));
    fits.then(|| ruleset.sources.slice(span).split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The field that an expression is about.
fn field(typed: &Typed) -> Option<String> {
    let mut all = Vec::new();
    typed.walk(&mut |node| {
        if let Kind::Path(root, path) = &node.kind {
            let keys =
                path.0.iter().filter_map(|step| if let Segment::Key(key) = step { Some(key.as_ref()) } else { None });
            let mut keys: Vec<&str> = keys.collect();
            match root {
                Root::Raw | Root::Loose => keys.insert(0, "raw"),
                // The key that a finding was found under.
                Root::Finding if keys.len() > 1 && keys.first() == Some(&"group") => _ = keys.remove(0),
                _ => {}
            }
            all.push(keys.join("."));
        }
    });
    all.into_iter().max_by_key(|path| worth(path))
}
