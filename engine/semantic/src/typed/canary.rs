//! What a test, or a rule, is to a canary: how many events it has, whether what it does gives a finding, and whether the
//! rule minds when that happens.

use super::{Expectation, Expected, Function, Kind, Rule, Statement, Test, Typed};

/// The most events of a canary.
pub const CANARY_EVENTS: u64 = 1_000;

impl Test {
    /// How many events it has.
    pub fn events(&self) -> u64 {
        fn of(statements: &[Statement]) -> u64 {
            let one = |statement: &Statement| match statement {
                Statement::Event { .. } => 1,
                Statement::Repeat { count, body, .. } => count.saturating_mul(of(body)),
                _ => 0,
            };
            statements.iter().map(one).fold(0, u64::saturating_add)
        }
        of(&self.statements)
    }

    /// Whether every expectation of it is one of alerts, and there is one: what it does gives a finding.
    pub fn is_positive(&self) -> bool {
        fn of(statements: &[Statement], positive: &mut bool) -> bool {
            statements.iter().all(|statement| match statement {
                Statement::Expect(Expectation { what: Expected::Alerts(count), .. }) => {
                    *positive = true;
                    *count != Some(0)
                }
                Statement::Expect(_) => false,
                Statement::Repeat { body, .. } => of(body, positive),
                _ => true,
            })
        }
        let mut positive = false;
        of(&self.statements, &mut positive) && positive
    }
}

impl Rule {
    /// Whether it asks for the time of day, or the day of the week or the year: events that are moved in time are not
    /// the same to it.
    pub fn asks_for_hours(&self) -> bool {
        let asks = |node: &Typed| {
            use Function::{Day, Hour, Minute, Month, Week, Year};
            matches!(&node.kind, Kind::Call { function: Minute | Hour | Day | Week | Month | Year, .. })
        };
        let mut found = false;
        for expr in crate::lint::rule_expressions(self) {
            expr.walk(&mut |node| found |= asks(node));
        }
        found
    }
}
