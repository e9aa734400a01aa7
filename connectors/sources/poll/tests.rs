//! Connectors against their own scripts, settings, and a real listener.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use tripline_base::SourceMap;

use super::{kit, shipped, spec};

mod peer;
mod settings;

fn parsed(name: &str, text: &str) -> spec::Connector {
    let mut sources = SourceMap::new();
    let (found, said) = spec::parse(&mut sources, name, text);
    let said: Vec<String> = said
        .iter()
        .map(|one| tripline_base::terminal::render(one, &sources, tripline_base::terminal::Colour::Never))
        .collect();
    assert!(said.is_empty(), "{name}: {}", said.join("\n"));
    found.unwrap()
}

#[test]
fn every_connector_keeps_what_its_tests_say() {
    let only = std::env::var("TRIPLINE_CONNECTOR").ok();
    assert!(shipped::all().len() > 1);
    let mut wrong = Vec::new();
    for one in shipped::all().iter().filter(|one| only.as_ref().is_none_or(|only| only == one.name)) {
        let connector = parsed(one.name, one.text);
        assert_eq!(connector.name, one.name, "a connector has the name of its file");
        let tests = one.tests.unwrap_or_else(|| panic!("{} has no tests", one.name));
        let mut sources = SourceMap::new();
        let outcomes = kit::test(&connector, &mut sources, one.name, tests).unwrap_or_else(|said| {
            let said: Vec<_> = said
                .iter()
                .map(|one| tripline_base::terminal::render(one, &sources, tripline_base::terminal::Colour::Never))
                .collect();
            panic!("{}: {}", one.name, said.join("\n"))
        });
        assert!(outcomes.len() > 2, "{} has too few scenarios", one.name);
        for outcome in outcomes {
            wrong.extend(outcome.wrong.iter().map(|why| format!("{}: {}: {why}", one.name, outcome.name)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
