//! Mutants of what a rule makes of several events: its steps, their order and number, the time, the key, the condition
//! over a window, and the rules whose findings it takes.

use tripline_event::Segment;
use tripline_semantic::typed::{Kind, Over, Root, Rule, Sequence, Step, Subject, Typed, Window};

use super::changes;

/// How a text is told of an expression.
type Text<'t> = &'t dyn Fn(&Typed) -> String;

/// Adds the mutants of a rule, each with its label.
pub(super) fn mutants(rule: &Rule, text: Text<'_>, out: &mut Vec<(String, Rule)>) {
    if let Some(Subject::Finding(names)) = &rule.subject {
        for (name, rest) in without(names) {
            out.push((name, Rule { subject: Some(Subject::Finding(rest)), ..rule.clone() }));
        }
    }
    let with = |over: Over| Rule { over: Some(over), ..rule.clone() };
    match &rule.over {
        // A window over several rules is made of a Sigma correlation, which has no tests.
        Some(Over::Window(window)) if window.inputs.is_empty() => {
            out.extend(of_window(window, text).into_iter().map(|(label, window)| (label, with(Over::Window(window)))));
        }
        Some(Over::Sequence(sequence)) => {
            let all = of_sequence(sequence, text);
            out.extend(all.into_iter().map(|(label, sequence)| (label, with(Over::Sequence(sequence)))));
        }
        _ => {}
    }
}

/// The names without each of them, where there are several.
fn without(names: &[String]) -> Vec<(String, Vec<String>)> {
    if names.len() < 2 {
        return Vec::new();
    }
    let one = |(at, name): (usize, &String)| (format!("drop rule: {name}"), all_but(names, at));
    names.iter().enumerate().map(one).collect()
}

fn all_but<T: Clone>(all: &[T], at: usize) -> Vec<T> {
    all.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, one)| one.clone()).collect()
}

/// Other lengths of time.
fn lengths(within: i64) -> [(String, i64); 2] {
    [("half as long".into(), within / 2), ("twice as long".into(), within.saturating_mul(2))]
}

fn of_window(window: &Window, text: Text<'_>) -> Vec<(String, Window)> {
    let mut out = Vec::new();
    for (label, within) in lengths(window.within) {
        out.push((label, Window { within, ..window.clone() }));
    }
    for (at, key) in window.by.iter().enumerate() {
        let (by, names) = (all_but(&window.by, at), all_but(&window.names, at));
        out.push((format!("drop key: {}", text(key)), Window { by, names, ..window.clone() }));
    }
    if let Some(having) = &window.having {
        if !matches!(having.kind, Kind::And(_)) {
            out.push((format!("drop: {}", text(having)), Window { having: None, ..window.clone() }));
        }
        for (label, having) in changes(having, text) {
            out.push((label, Window { having: Some(having), ..window.clone() }));
        }
    }
    out
}

fn of_sequence(sequence: &Sequence, text: Text<'_>) -> Vec<(String, Sequence)> {
    let mut out = Vec::new();
    for (label, within) in lengths(sequence.within) {
        out.push((label, Sequence { within, ..sequence.clone() }));
    }
    let named = sequence.steps.iter().filter(|step| step.name.is_some()).count();
    if named > 1 {
        let label = if sequence.ordered { "in any order" } else { "in order" };
        out.push((label.into(), Sequence { ordered: !sequence.ordered, ..sequence.clone() }));
    }
    // The parts of the key are the same in number in every step.
    for (at, key) in sequence.steps.first().iter().flat_map(|step| &step.by).enumerate() {
        let steps = sequence.steps.iter().map(|step| Step { by: all_but(&step.by, at), ..step.clone() }).collect();
        let names = all_but(&sequence.names, at);
        out.push((format!("drop key: {}", text(key)), Sequence { steps, names, ..sequence.clone() }));
    }
    for (at, step) in sequence.steps.iter().enumerate() {
        let called = called(step);
        if step.name.is_none() || named > 1 {
            let steps = dropped(&sequence.steps, at);
            out.push((format!("drop step: {called}"), Sequence { steps, ..sequence.clone() }));
        }
        for (label, step) in of_step(step, at, text) {
            let mut changed = sequence.clone();
            if let Some(slot) = changed.steps.get_mut(at) {
                *slot = step;
            }
            out.push((format!("in {called}: {label}"), changed));
        }
    }
    out
}

/// `denied`, `not account_change`
fn called(step: &Step) -> String {
    step.name.clone().unwrap_or_else(|| {
        let of = match &step.subject {
            Subject::Class(class) => class.name,
            Subject::Event => "event",
            Subject::Finding(_) => "finding",
        };
        format!("not {of}")
    })
}

/// The steps without one: no `not` comes first, and nothing asks for what the step saw.
fn dropped(steps: &[Step], at: usize) -> Vec<Step> {
    let name = steps.get(at).and_then(|step| step.name.as_deref());
    let refers = |typed: &Typed| {
        let mut found = false;
        typed.walk(&mut |node| {
            found |= matches!(&node.kind, Kind::Path(Root::Step(of), _) if Some(of.as_str()) == name);
        });
        found
    };
    let condition = |typed: &Typed| match &typed.kind {
        Kind::And(parts) => {
            let rest: Vec<Typed> = parts.iter().filter(|part| !refers(part)).cloned().collect();
            (!rest.is_empty()).then(|| Typed { kind: Kind::And(rest), ..typed.clone() })
        }
        _ => (!refers(typed)).then(|| typed.clone()),
    };
    all_but(steps, at)
        .into_iter()
        .map(|step| Step { condition: step.condition.as_ref().and_then(condition), ..step })
        .skip_while(|step| step.name.is_none())
        .collect()
}

fn of_step(step: &Step, at: usize, text: Text<'_>) -> Vec<(String, Step)> {
    let mut out = Vec::new();
    if step.name.is_none() {
        // No step of the file has such a name.
        out.push(("require".into(), Step { name: Some(format!("not {at}")), ..step.clone() }));
    }
    if let Some((least, most)) = step.repeat {
        let mut number = |label: &str, repeat| out.push((label.into(), Step { repeat: Some(repeat), ..step.clone() }));
        if least > 1 {
            number("one fewer", (least - 1, most));
        }
        if most.is_none_or(|most| most > least) {
            number("one more", (least + 1, most));
        }
        if let Some(most) = most {
            if most > least {
                number("at most one fewer", (least, Some(most - 1)));
            }
            number("at most one more", (least, Some(most + 1)));
        }
    }
    if let Subject::Finding(names) = &step.subject {
        for (label, rest) in without(names) {
            out.push((label, Step { subject: Subject::Finding(rest), ..step.clone() }));
        }
    }
    if let Some(condition) = &step.condition {
        if !matches!(condition.kind, Kind::And(_)) {
            out.push((format!("drop: {}", text(condition)), Step { condition: None, ..step.clone() }));
        }
        for (label, condition) in changes(condition, text).into_iter().chain(references(condition, text)) {
            out.push((label, Step { condition: Some(condition), ..step.clone() }));
        }
    }
    out
}

/// Where all events of an earlier step are asked, its last alone.
fn references(condition: &Typed, text: Text<'_>) -> Vec<(String, Typed)> {
    let mut found = Vec::new();
    condition.walk(&mut |node| {
        if let Kind::Path(Root::Step(_), path) = &node.kind
            && path.0.first() == Some(&Segment::Each)
            && !found.contains(&node.span)
        {
            found.push(node.span);
        }
    });
    let changed = |span| {
        let mut label = String::new();
        let condition = condition.map(&mut |node| match &node.kind {
            Kind::Path(Root::Step(name), path) if node.span == span && path.0.first() == Some(&Segment::Each) => {
                label = format!("of its last: {}", text(node));
                let path = tripline_event::Path(path.0.iter().skip(1).cloned().collect());
                Some(Typed { kind: Kind::Path(Root::Step(name.clone()), path), ..node.clone() })
            }
            _ => None,
        });
        (label, condition)
    };
    found.into_iter().map(changed).collect()
}
