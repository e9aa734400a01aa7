//! What a test expects, held against what came.

use std::collections::BTreeSet;
use std::sync::Arc;

use tripline_eval::explain::{Seen, see, show};
use tripline_eval::{Evaluator, Match, Matcher, normalize};
use tripline_event::{Origin, Path, Segment, Value, parse_json};
use tripline_ir as ir;
use tripline_plan::{Options, lower_expression};
use tripline_semantic::typed::{self, Expected, Kind, Root, Subject, Ty, Typed};

use super::Fixtures;
use super::events::{Played, TestEvent, play};
use super::{Outcome, Routes, Telling};
use crate::finding::{Context, finding, handed, reasons, time_and_id};
use crate::observe::{self, Asked};
use crate::{Alert, End, Finding, FixtureFiles, Ruleset, Stream, Taken, group};

/// How much of what is sent is shown where it is not as expected (characters).
const SHOWN: usize = 2_000;

/// Runs one test of a rule. Empty where it passes.
pub fn rule_test(
    ruleset: &Ruleset,
    files: &dyn FixtureFiles,
    fixtures: &mut Fixtures,
    plan: &ir::Program,
    (at, rule): (usize, &typed::Rule),
    test: &typed::Test,
    telling: Telling<'_>,
) -> Vec<String> {
    let beside = ruleset.sources.name(test.span.file);
    let played = match play(ruleset, files, fixtures, beside, &test.statements) {
        Ok(played) => played,
        Err(why) => return vec![why],
    };
    let mut stream = Stream::over(ruleset, plan);
    stream.machine().cover();
    let judged = match judge(ruleset, plan, (at, rule), &played, &mut stream) {
        Ok(judged) => judged,
        Err(why) => return vec![why],
    };
    let mut findings: Vec<Finding> = judged.iter().flat_map(|event| event.findings.iter().cloned()).collect();
    for mut finding in stream.finish(End::Test).into_iter().filter(|finding| finding.rule == at) {
        // What is expected of an event is asked of the last one.
        let last = usize::try_from(finding.origin.line).ok().and_then(|line| played.events.get(line.checked_sub(1)?));
        (finding.raw, finding.source) =
            last.map_or_else(|| ("{}".into(), String::new()), |event| (event.json.clone(), event.source.clone()));
        findings.push(finding);
    }
    let alerts = group(ruleset, findings);
    let mut failures = Vec::new();
    // A canary has to give a finding, and says no more.
    if rule.canary.as_ref().is_some_and(|canary| std::ptr::eq(canary, test)) {
        let what = Expected::Alerts(None);
        let any = typed::Expectation { span: test.span, what, entries: Vec::new(), routed: None, rendered: Vec::new() };
        failures.extend(expectation(ruleset, rule, &any, &alerts, &judged, telling));
    }
    for (_, expect) in &played.expects {
        let failure = expectation(ruleset, rule, expect, &alerts, &judged, telling);
        failures.extend(failure);
    }
    failures
}

/// What became of one event.
struct JudgedEvent<'p> {
    name: String,
    class: Option<&'static str>,
    seen: Option<Seen>,
    excepted: Option<String>,
    /// Whether the rule, or one whose findings it takes, waits for more with it.
    kept: bool,
    findings: Vec<Finding>,
    source: &'p ir::Source,
}

fn judge<'p>(
    ruleset: &Ruleset,
    plan: &'p ir::Program,
    (at, rule): (usize, &typed::Rule),
    played: &Played<'_>,
    stream: &mut Stream<'_>,
) -> Result<Vec<JudgedEvent<'p>>, String> {
    let matcher = Matcher::new(plan);
    let asked = Asked::of(plan);
    let mut out = Vec::new();
    for (number, event) in played.events.iter().enumerate() {
        let source_at = plan
            .source(&event.source)
            .ok_or_else(|| format!("the rule does not look at the source `{}`", event.source))?;
        let source = plan.sources.get(source_at).ok_or("no such source")?;
        let raw = parse_json(event.json.as_bytes()).map_err(|why| why.to_string())?;
        let evaluator = matcher.evaluator();
        let mut judged = JudgedEvent {
            name: event.name.clone(),
            class: None,
            seen: None,
            excepted: None,
            kept: false,
            findings: Vec::new(),
            source,
        };
        evaluator.next_event();
        let arm = normalize::arm(evaluator, source, &raw).map(|(_, arm)| arm);
        judged.class = arm.map(|arm| arm.class.name);
        let (time, event_id) = time_and_id(evaluator, source, &raw);
        let context = Context {
            evaluator,
            sources: &ruleset.sources,
            source: &source.name,
            class: judged.class.unwrap_or("base_event"),
            raw: &raw,
            bytes: event.json.as_bytes(),
            origin: Origin { file: Arc::from(event.name.as_str()), line: number as u64 + 1 },
            time,
            event_id,
        };
        let of_arm = arm.iter().flat_map(|arm| &arm.rules).map(|plan| (plan, arm));
        let mut kept: Vec<Match<'p>> = Vec::new();
        let mut for_others = Taken { watched: Some(source_at), time, ..Taken::default() };
        for (plan, arm) in source.rules.iter().map(|plan| (plan, None)).chain(of_arm) {
            let mine = plan.rule == at;
            if mine {
                judged.seen = plan.explain.as_ref().map(|explain| see(evaluator, explain, &raw)).or(judged.seen);
            }
            if !evaluator.test(plan.condition, &raw) {
                continue;
            }
            let declared = if mine { Some(rule) } else { ruleset.program.rules.get(plan.rule) };
            let exceptions = declared.map_or(&[][..], |rule| rule.exceptions.as_slice());
            let excepted = plan.exceptions.iter().find(|(at, condition)| {
                let until = exceptions.get(*at).and_then(|e| e.until);
                until.is_none_or(|until| time.is_some_and(|time| time < until)) && evaluator.test(*condition, &raw)
            });
            if let Some((at, _)) = excepted {
                if mine {
                    judged.excepted = exceptions.get(*at).map(|e| e.reason.clone());
                }
                continue;
            }
            let found = Match { plan, arm };
            if plan.observe.is_some() {
                judged.kept = true;
                kept.push(found);
                continue;
            }
            let Some(declared) = declared else { continue };
            let finding = finding(&context, &found, declared);
            if asked.rules.contains(&plan.rule) {
                judged.kept = true;
                for_others.handed.extend(handed(&finding, context.bytes));
            }
            if mine {
                judged.findings.push(finding);
            }
        }
        if let (Some(time), false) = (time, kept.is_empty()) {
            // Every event of a test is a new one, whatever its id.
            let id = format!("{}#{number}", context.event_id.as_deref().unwrap_or_default());
            let from = observe::from(source.name.as_str().into(), time, Some(&id), context.bytes, &context.origin);
            for_others.observation = Some(observe::observation(evaluator, kept.iter(), &raw, from));
        }
        stream.take(&for_others);
        out.push(judged);
    }
    Ok(out)
}

fn expectation(
    ruleset: &Ruleset,
    rule: &typed::Rule,
    expect: &typed::Expectation,
    alerts: &[Alert],
    judged: &[JudgedEvent<'_>],
    telling: Telling<'_>,
) -> Option<String> {
    let tell = telling.words;
    let fitting = |alert: &&Alert| {
        alert.findings.iter().any(|f| misfits(ruleset, expect, alert, f).is_empty())
            && ways(expect, alert, telling.routes).is_empty()
    };
    let fits = || alerts.iter().filter(fitting).count();
    match &expect.what {
        Expected::Nothing if alerts.is_empty() => None,
        Expected::Nothing if !tell => Some(String::new()),
        Expected::Nothing => Some(unexpected(ruleset, alerts)),
        Expected::Alerts(None) if fits() > 0 => None,
        Expected::Alerts(Some(count)) if fits() as u64 == *count => None,
        Expected::Alerts(_) if !tell => Some(String::new()),
        Expected::Alerts(count) => {
            Some(missing(ruleset, rule, expect, (*count, fits()), alerts, judged, telling.routes))
        }
        Expected::Event(_) => Some("a rule's test cannot expect an event".into()),
    }
}

fn unexpected(ruleset: &Ruleset, alerts: &[Alert]) -> String {
    let mut out = format!("expected nothing, and got {}", count_of(alerts.len(), "alert"));
    for alert in alerts.iter().take(3) {
        out.push_str(&format!("\n  \"{}\" ({})", alert.title(), alert.severity().name()));
        if let Some(finding) = alert.findings.first() {
            out.push_str(&format!(", from {}, because", finding.origin.file));
            for shown in &finding.why {
                out.push_str(&format!("\n    {}", told(&shown.test, &shown.saw)));
            }
        }
    }
    let _ = ruleset;
    out
}

fn missing(
    ruleset: &Ruleset,
    rule: &typed::Rule,
    expect: &typed::Expectation,
    (count, fits): (Option<u64>, usize),
    alerts: &[Alert],
    judged: &[JudgedEvent<'_>],
    routes: Option<&dyn Routes>,
) -> String {
    let wanted = count.map_or_else(|| "an alert".to_string(), |n| count_of(n as usize, "alert"));
    let such = if expect.entries.is_empty() && !expect.asks_for_routes() { "" } else { " that fits" };
    let mut out = match (alerts.len(), fits) {
        (0, _) => format!("expected {wanted}{such}, and there is none"),
        (n, 0) => format!("expected {wanted}{such}; there {} {}, and none fits", be(n), count_of(n, "alert")),
        (_, fits) => format!("expected {wanted}{such}, and {} {}", fits, if fits == 1 { "does" } else { "do" }),
    };
    for alert in alerts.iter().take(3) {
        let Some(finding) = alert.findings.first() else { continue };
        out.push_str(&format!("\n  \"{}\" ({})", alert.title(), alert.severity().name()));
        for (text, found) in misfits(ruleset, expect, alert, finding).into_iter().chain(ways(expect, alert, routes)) {
            out.push_str(&format!("\n    - expected {text}\n    + got      {found}"));
        }
    }
    if alerts.is_empty() {
        for (number, event) in judged.iter().enumerate().take(5) {
            out.push_str(&format!("\n  event {} ({}): ", number + 1, event.name));
            out.push_str(&why_not(ruleset, rule, event));
        }
        if judged.len() > 5 {
            out.push_str(&format!("\n  and {} more events", judged.len() - 5));
        }
        if judged.is_empty() {
            out.push_str("\n  the test has no event");
        }
    }
    out
}

fn why_not(ruleset: &Ruleset, rule: &typed::Rule, event: &JudgedEvent<'_>) -> String {
    if let Some(reason) = &event.excepted {
        return format!("matched, and the exception \"{reason}\" took it away");
    }
    if event.kept {
        return "it counts; what several events have to come to did not happen".into();
    }
    let steps = rule.over.iter().flat_map(|over| over.steps()).map(|step| &step.subject);
    let subjects: Vec<&Subject> = rule.subject.iter().chain(steps).collect();
    let looks_at: Option<BTreeSet<&str>> = subjects
        .into_iter()
        .map(|subject| match subject {
            Subject::Class(class) => Some(class.name),
            Subject::Event => None,
            Subject::Finding(_) => Some("finding"),
        })
        .collect();
    match (event.class, &event.seen) {
        (None, _) if looks_at.is_some() => format!("the mapping of `{}` gives it no class", event.source.name),
        (Some(class), _) if looks_at.as_ref().is_some_and(|looks_at| !looks_at.contains(class)) => {
            let looks_at: Vec<&str> = looks_at.into_iter().flatten().collect();
            format!("the mapping makes it `{class}`, and the rule looks at `{}`", looks_at.join("`, `"))
        }
        (_, Some(seen)) if !seen.truth => {
            let tests: Vec<String> = reasons(seen, &ruleset.sources)
                .iter()
                .map(|shown| format!("\n    false: {}", told(&shown.test, &shown.saw)))
                .collect();
            format!("the condition stopped it{}", tests.concat())
        }
        _ => format!("the rule does not look at the source `{}`", event.source.name),
    }
}

fn told(test: &str, saw: &[String]) -> String {
    match saw {
        [] => format!("{test}   (no value)"),
        [one] => format!("{test}   (it is {one})"),
        many => format!("{test}   (they are {})", many.join(", ")),
    }
}

fn be(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

fn count_of(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The entries of an expectation that a finding does not fulfil: the text, and what there was.
fn misfits(ruleset: &Ruleset, expect: &typed::Expectation, alert: &Alert, finding: &Finding) -> Vec<(String, String)> {
    let arm = ruleset
        .program
        .mappings
        .iter()
        .filter(|mapping| mapping.source == finding.source)
        .flat_map(|mapping| arm_of(ruleset, mapping, &finding.raw))
        .next();
    // What severity it has is not the rule's to say where a configuration says it.
    let graded = ruleset.program.rules.get(finding.rule).is_some_and(|rule| rule.graded);
    expect
        .entries
        .iter()
        .filter(|(_, condition)| !(graded && is_of_severity(condition)))
        .filter_map(|(text, condition)| {
            let concrete = with_alert(condition, alert, finding);
            let (truth, found) = evaluate(ruleset, &concrete, arm, &finding.source, &finding.raw);
            (!truth).then(|| (text.clone(), found))
        })
        .collect()
}

/// What an expectation says of the ways of an alert and what does not hold: the text, and what there was.
fn ways(expect: &typed::Expectation, alert: &Alert, routes: Option<&dyn Routes>) -> Vec<(String, String)> {
    let Some(routes) = routes else { return Vec::new() };
    let mut out = Vec::new();
    let listed = |names: &[String]| format!("[{}]", names.join(", "));
    if let Some(wanted) = &expect.routed {
        let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        match routes.routed(alert) {
            Ok(found) if sorted(&found) == sorted(wanted) => {}
            Ok(found) => out.push((format!("routed to {}", listed(wanted)), listed(&found))),
            Err(why) => out.push((format!("routed to {}", listed(wanted)), why)),
        }
    }
    for (by, part) in &expect.rendered {
        let said = match routes.rendered(alert, by) {
            Ok(text) if text.contains(part) => continue,
            Ok(text) => text.chars().take(SHOWN).chain((text.chars().count() > SHOWN).then_some('…')).collect(),
            Err(why) => why,
        };
        out.push((format!("rendered by {by} contains {part:?}"), said));
    }
    out
}

fn arm_of<'r>(ruleset: &'r Ruleset, mapping: &'r typed::Mapping, raw: &str) -> Option<&'r typed::Arm> {
    let source = ruleset.ir.sources.iter().find(|source| source.name == mapping.source)?;
    let raw = parse_json(raw.as_bytes()).ok()?;
    let evaluator = Evaluator::new(&ruleset.ir);
    evaluator.next_event();
    let (at, _) = normalize::arm(&evaluator, source, &raw)?;
    mapping.arms.get(at)
}

/// A condition of a test, over an event: its truth, and what its left side was.
fn evaluate(ruleset: &Ruleset, condition: &Typed, arm: Option<&typed::Arm>, source: &str, raw: &str) -> (bool, String) {
    let Ok(raw) = parse_json(raw.as_bytes()) else { return (false, "no event".into()) };
    let mut arena = ir::Arena::new(false);
    let view = ruleset.program.sources.get(source).map(|info| &info.view);
    let id = lower_expression(condition, arm, view, &mut arena, Options::default());
    let left = left_side(condition).map(|left| {
        let shown = match &left.ty {
            typed::Ty::Enum(attribute) => {
                Typed { kind: Kind::Caption(Box::new(left.clone()), attribute), ty: typed::Ty::Text, span: left.span }
            }
            _ => left.clone(),
        };
        lower_expression(&shown, arm, view, &mut arena, Options::default())
    });
    let evaluator = Evaluator::over(&ruleset.ir, &arena);
    evaluator.next_event();
    let truth = evaluator.test(id, &raw);
    let values: Vec<String> =
        left.map(|left| evaluator.values(left, &raw).iter().map(show).collect()).unwrap_or_default();
    (truth, if values.is_empty() { "nothing (absent)".into() } else { values.join(", ") })
}

fn left_side(condition: &Typed) -> Option<&Typed> {
    match &condition.kind {
        Kind::Compare { left, .. }
        | Kind::Matches { left, .. }
        | Kind::InItems { left, .. }
        | Kind::InList { left, .. }
        | Kind::InArray { left, .. } => Some(left),
        Kind::Exists(inner) | Kind::Not(inner, _) => left_side(inner).or(Some(inner)),
        Kind::And(parts) | Kind::Or(parts) => parts.first().and_then(left_side),
        _ => None,
    }
}

/// Whether a condition asks for the severity of an alert.
fn is_of_severity(condition: &Typed) -> bool {
    let mut found = false;
    condition.walk(&mut |node| {
        found |= matches!(&node.kind, Kind::Path(Root::Finding, path) if *path == Path::keys(["severity"]));
    });
    found
}

/// Puts the alert's own fields into a condition.
fn with_alert(condition: &Typed, alert: &Alert, finding: &Finding) -> Typed {
    condition.map(&mut |node| {
        let Kind::Path(Root::Finding, path) = &node.kind else { return None };
        let is = |keys: &[&str]| *path == Path::keys(keys.iter().copied());
        let value = if is(&["title"]) {
            Value::text(alert.title().to_string())
        } else if is(&["severity"]) {
            Value::Int(alert.severity().id())
        } else if is(&["count"]) {
            let events =
                alert.findings.iter().map(|finding| finding.several.as_ref().map_or(1, |several| several.count));
            Value::Int(i64::try_from(events.sum::<u64>()).unwrap_or(i64::MAX))
        } else {
            let [_, Segment::Key(name), rest @ ..] = path.0.as_slice() else { return None };
            let found = finding.context.iter().find(|(known, _)| **known == **name);
            let value = found.map_or(Value::Null, |(_, value)| value.clone());
            if !rest.is_empty() {
                let value = Typed { kind: Kind::Const(value), ty: Ty::Raw, span: node.span };
                let kind = Kind::Then(Box::new(value), Path(rest.to_vec()));
                return Some(Typed { kind, ty: node.ty.clone(), span: node.span });
            }
            value
        };
        Some(Typed { kind: Kind::Const(value), ty: node.ty.clone(), span: node.span })
    })
}

/// Runs one test of a mapping.
pub fn mapping_test(
    ruleset: &Ruleset,
    files: &dyn FixtureFiles,
    mapping: &typed::Mapping,
    test: &typed::Test,
) -> Outcome {
    let mut outcome = Outcome {
        item: mapping.name.clone(),
        test: test.name.clone(),
        span: test.span,
        failures: Vec::new(),
        skipped: None,
    };
    let beside = ruleset.sources.name(test.span.file).to_string();
    let mut fixtures = Fixtures::default();
    match play(ruleset, files, &mut fixtures, &beside, &test.statements) {
        Err(why) => outcome.failures.push(why),
        Ok(played) => {
            for (before, expect) in &played.expects {
                let event = before.checked_sub(1).and_then(|at| played.events.get(at));
                match event {
                    None => outcome.failures.push("no event comes before this expectation".into()),
                    Some(event) => outcome.failures.extend(mapped(ruleset, mapping, expect, event)),
                }
            }
        }
    }
    outcome
}

fn mapped(
    ruleset: &Ruleset,
    mapping: &typed::Mapping,
    expect: &typed::Expectation,
    event: &TestEvent,
) -> Option<String> {
    let Expected::Event(class) = expect.what else { return Some("a mapping's test expects a class".into()) };
    if event.source != mapping.source {
        return Some(format!("the event is of `{}`, and the mapping reads `{}`", event.source, mapping.source));
    }
    let Some(arm) = arm_of(ruleset, mapping, &event.json) else {
        return Some(format!("expected `{}`, and no arm takes the event ({})", class.name, event.name));
    };
    if arm.class.uid != class.uid {
        return Some(format!("expected `{}`, and the event ({}) became `{}`", class.name, event.name, arm.class.name));
    }
    let wrong: Vec<String> = expect
        .entries
        .iter()
        .filter_map(|(text, condition)| {
            let (truth, found) = evaluate(ruleset, condition, Some(arm), &event.source, &event.json);
            (!truth).then(|| format!("\n    - expected {text}\n    + got      {found}"))
        })
        .collect();
    (!wrong.is_empty()).then(|| format!("the event ({}) became `{}`, but{}", event.name, class.name, wrong.concat()))
}
