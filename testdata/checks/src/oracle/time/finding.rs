//! Findings that are taken as events: as they fired, once for each entity.

use std::collections::BTreeSet;

use tripline_event::Value;
use tripline_semantic::typed::Rule;

use super::record::Record;
use super::{Told, World};

static NOTHING: Value<'static> = Value::Null;

/// A finding that is taken as an event.
#[derive(Clone)]
pub(in crate::oracle) struct Taken {
    pub fields: Value<'static>,
    pub uid: String,
    /// Its rule.
    pub rule: String,
    /// The entity for which it is taken: value and kind.
    pub entity: Option<(String, &'static str)>,
}

impl World<'_> {
    /// Findings as events, in their order.
    pub(super) fn taken<'t, 'r>(&'t self, told: impl Iterator<Item = &'t Told>) -> Vec<Record<'r>> {
        let mut out: Vec<(String, Taken, i64)> = Vec::new();
        for one in told {
            let Some(rule) = self.program.rules.get(one.finding.rule) else { continue };
            let upon = one.finding.risk.as_ref().map(|(_, kind, entity)| (entity.clone(), *kind));
            let named = one.finding.entities.iter().map(|(kind, entity)| (entity.clone(), *kind));
            // Each once, that which the risk is upon among them.
            let entities: BTreeSet<(String, &'static str)> = named.chain(upon.clone()).collect();
            let mut entities: Vec<Option<(String, &'static str)>> = entities.into_iter().map(Some).collect();
            if entities.is_empty() {
                entities.push(None);
            }
            for entity in entities {
                let mut fields = fields(rule, one);
                let risk = one.finding.risk.as_ref().filter(|_| entity == upon).map_or(0, |(amount, ..)| *amount);
                fields.push(("risk", Value::Int(risk)));
                if let Some((entity, kind)) = &entity {
                    fields.push(("entity", Value::text(entity.clone())));
                    fields.push(("entity_type", Value::text(*kind)));
                }
                let mut group = Value::Object(Vec::new());
                for (name, value) in rule.over.iter().flat_map(|over| over.names()).zip(&one.finding.group) {
                    if let Some(path) = name {
                        group.set(&path.0, Value::text(value.clone()));
                    }
                }
                fields.push(("group", group));
                let fields = Value::Object(fields.into_iter().map(|(name, value)| (name.into(), value)).collect());
                out.push((
                    rule.name.clone(),
                    Taken { fields, uid: one.uid.clone(), rule: rule.name.clone(), entity },
                    one.finding.time,
                ));
            }
        }
        out.sort_by(|(a, one, earlier), (b, other, later)| {
            (earlier, a, &one.uid, &one.entity).cmp(&(later, b, &other.uid, &other.entity))
        });
        let record = |(at, (_, taken, time)): (usize, (String, Taken, i64))| Record {
            time,
            source: "",
            id: None,
            content: &[],
            raw: &NOTHING,
            event: None,
            class: None,
            finding: Some(taken),
            at,
            input: 0,
            given: Vec::new(),
        };
        out.into_iter().enumerate().map(record).collect()
    }
}

/// What a finding has as an event, but for the entity.
fn fields(rule: &Rule, told: &Told) -> Vec<(&'static str, Value<'static>)> {
    let texts = |texts: Vec<&'static str>| Value::Array(texts.into_iter().map(Value::text).collect());
    let attack = &rule.header.attack;
    let mut tactics: Vec<&str> = attack.iter().flat_map(|technique| technique.tactics.iter().copied()).collect();
    let mut seen = BTreeSet::new();
    tactics.retain(|tactic| seen.insert(*tactic));
    vec![
        ("rule", Value::text(rule.name.clone())),
        ("title", Value::text(told.fired.0.clone())),
        ("severity_id", Value::Int(told.fired.1.id())),
        ("tactic", texts(tactics)),
        ("technique", texts(attack.iter().map(|technique| technique.id).collect())),
        ("time", Value::Time(told.finding.time)),
    ]
}
