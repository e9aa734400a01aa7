//! What a node means, as sixteen bytes: state is kept as long as they are the same.
//!
//! All that shapes state counts: the clauses, the predicates, and the mappings that they are read through (both
//! are in the lowered expressions). What a finding says does not, nor do names, places in files, or other rules.

use sha2::{Digest as _, Sha256};
use tripline_ir::time::{Owner, Read, Time, What};
use tripline_semantic::Program;

use super::Seen;

/// How rows of state are laid out. Another number makes all state begin anew instead of being read as what it is not.
const LAYOUT: u32 = 2;

pub(super) fn name(program: &Program, time: &mut Time, seen: &Seen) {
    let mut words: Vec<String> = time.nodes.iter().map(|_| String::new()).collect();
    // Features first: who reads one means what it means.
    for features in [true, false] {
        for at in 0..time.nodes.len() {
            let Some(node) = time.nodes.get(at) else { continue };
            if matches!(node.owner, Owner::Feature(_)) != features {
                continue;
            }
            let text = of_node(program, time, seen, at, &words);
            if let Some(slot) = words.get_mut(at) {
                *slot = text;
            }
        }
    }
    for (node, words) in time.nodes.iter_mut().zip(&words) {
        let digest = Sha256::digest(words.as_bytes());
        for (to, from) in node.meaning.iter_mut().zip(digest) {
            *to = from;
        }
    }
}

fn of_node(program: &Program, time: &Time, seen: &Seen, at: usize, known: &[String]) -> String {
    let mut out = String::new();
    let mut say = |part: String| {
        out.push_str(&part);
        out.push('\n');
    };
    let Some(node) = time.nodes.get(at) else { return out };
    say(format!("layout {LAYOUT}"));
    // Two rules that mean the same have a state each.
    match node.owner {
        Owner::Rule(rule) => say(format!("rule {}", program.rules.get(rule).map_or("", |rule| rule.uid()))),
        Owner::Feature(feature) => {
            say(format!("feature {}", program.features.get(feature).map_or("", |feature| &feature.name)));
        }
    }
    let print = |id: &tripline_ir::Id| time.arena.print(*id);
    let reads = |reads: &[Read]| {
        let one = |read: &Read| {
            let of = known.get(read.feature).map_or("", String::as_str);
            format!("{:?} {:?} {:?} of {of}", read.ask, read.subject, read.key)
        };
        reads.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    for (number, input) in time.inputs.iter().enumerate().filter(|(_, input)| input.node == at) {
        say(format!("input {}: {}", input.step, seen.words.get(&number).map_or("", String::as_str)));
        say(input.condition.iter().map(print).collect());
        for (_, exception) in &input.exceptions {
            say(format!("except {}", print(exception)));
        }
        say(reads(&input.reads));
        if let Some(findings) = &input.findings {
            let names: Vec<&str> =
                findings.named.iter().filter_map(|rule| Some(program.rules.get(*rule)?.uid())).collect();
            say(format!("findings of {}", names.join(", ")));
            let all = findings.condition.iter().chain(findings.exceptions.iter().map(|(_, id)| id));
            say(all.chain(&findings.captures).map(print).collect::<Vec<_>>().join("; "));
        }
    }
    match &node.what {
        What::Each(_) => say("each".into()),
        What::Window(window) => {
            say(format!(
                "window {:?} {} {:?} {:?} {:?} {:?}",
                window.key, window.within, window.kind, window.aggregates, window.rearm, window.caps
            ));
            say(window.having.iter().map(print).collect());
            for (_, exception) in &window.exceptions {
                say(format!("except finding {}", print(exception)));
            }
        }
        What::Sequence(sequence) => {
            say(format!("sequence {} {} {:?}", sequence.ordered, sequence.within, sequence.caps));
            for step in &sequence.steps {
                say(format!("{} {} {} {:?} {:?}", step.negated, step.ranged, step.min, step.max, step.key));
                say(step.refers.iter().map(print).collect());
            }
            for (_, exception) in &sequence.exceptions {
                say(format!("except finding {}", print(exception)));
            }
        }
        What::Feature(feature) => say(format!(
            "{:?} {:?} {:?} {} {} {} {:?}",
            feature.memory, feature.of, feature.key, feature.bucket, feature.buckets, feature.warmup, feature.caps
        )),
    }
    out
}
