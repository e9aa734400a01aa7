//! What each rule finds, as a short text that is the same as long as it is: by it a start knows what an upgrade changed.
//!
//! Clauses, predicates and the mappings that they are read through count, as they do for the meaning that state is kept
//! under. What a finding says, its severity, and where rules stand do not.

use sha2::{Digest as _, Sha256};
use tripline_ir::RulePlan;
use tripline_ir::time::Owner;

use crate::Ruleset;

/// For each rule what it means, by its index; none for those that are not evaluated.
pub fn meanings(ruleset: &Ruleset) -> Vec<Option<String>> {
    let mut hashes: Vec<Option<Sha256>> = ruleset.program.rules.iter().map(|_| None).collect();
    let mut add = |rule: usize, words: &[&[u8]]| {
        let Some(slot) = hashes.get_mut(rule) else { return };
        let hash = slot.get_or_insert_with(Sha256::new);
        for word in words {
            hash.update(word);
            hash.update([0]);
        }
    };
    for source in &ruleset.ir.sources {
        let raw = source.rules.iter().map(|plan| ("", plan));
        let of_arms = source.arms.iter().flat_map(|arm| arm.rules.iter().map(|plan| (arm.class.name, plan)));
        for (class, plan) in raw.chain(of_arms).filter(|(_, plan)| plan.observe.is_none()) {
            let RulePlan { rule, condition, exceptions, .. } = plan;
            add(*rule, &[source.name.as_bytes(), class.as_bytes(), ruleset.ir.arena.print(*condition).as_bytes()]);
            for (_, exception) in exceptions {
                add(*rule, &[b"except", ruleset.ir.arena.print(*exception).as_bytes()]);
            }
        }
    }
    for node in &ruleset.ir.time.nodes {
        if let Owner::Rule(rule) = node.owner {
            add(rule, &[&node.meaning]);
        }
    }
    let active = ruleset.program.rules.iter().map(tripline_plan::is_planned);
    // A rule that no source is planned for finds nothing, and means that.
    let text = |hash: Option<Sha256>| {
        let digest = hash.unwrap_or_default().finalize();
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    };
    hashes.into_iter().zip(active).map(|(hash, active)| active.then(|| text(hash))).collect()
}
