//! Whatever is committed, folded, forgotten and opened anew: the state is that of a map that did the same.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use tripline_store::{Change, Commit, Durability, Options, Position, Space, Store};

type Model = BTreeMap<(Space, Vec<u8>), Vec<u8>>;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Change>),
    Refused(Vec<Change>),
    Compact,
    Reopen,
    Keep(Vec<Space>),
}

fn change() -> impl Strategy<Value = Change> {
    let key = prop_oneof![
        4 => prop::collection::vec(0..4u8, 0..4),
        1 => (0..6u8, 0..300usize).prop_map(|(byte, length)| [vec![9; 8], vec![byte; length]].concat()),
    ];
    let value = prop::option::weighted(0.75, prop::collection::vec(any::<u8>(), 0..200));
    (0..3u8, key, value).prop_map(|(space, key, value)| Change { space: [space; 16], key, value })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(change(), 0..30).prop_map(Step::Commit),
        1 => prop::collection::vec(change(), 0..30).prop_map(Step::Refused),
        1 => Just(Step::Compact),
        2 => Just(Step::Reopen),
        1 => prop::collection::vec((0..4u8).prop_map(|space| [space; 16]), 0..3).prop_map(Step::Keep),
    ]
}

type Pair = ((Space, Vec<u8>), Vec<u8>);

fn read(store: &Store) -> Vec<Pair> {
    let mut found = Vec::new();
    store.state(|space, key, value| found.push(((*space, key.to_vec()), value.to_vec()))).unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_state_is_that_of_a_map(steps in prop::collection::vec(step(), 1..40), fold_at in 1..3000u64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        let options = Options { durability: Durability::Normal, fold_at, ..Options::default() };
        let mut store = Store::open(&path, options).unwrap();
        let mut model = Model::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Commit(state) => {
                    for Change { space, key, value } in state.clone() {
                        match value {
                            Some(value) => model.insert((space, key), value),
                            None => model.remove(&(space, key)),
                        };
                    }
                    let positions = vec![Position { source: "s".into(), value: number.to_le_bytes().into() }];
                    store.commit(&Commit { state, positions, ..Commit::default() }).unwrap();
                    prop_assert_eq!(store.position("s").unwrap().unwrap(), number.to_le_bytes());
                }
                Step::Refused(mut state) => {
                    state.push(Change { space: [0; 16], key: vec![0; tripline_store::MAX_KEY + 1], value: None });
                    store.commit(&Commit { state, ..Commit::default() }).unwrap_err();
                }
                Step::Compact => store.compact().unwrap(),
                Step::Reopen => {
                    drop(store);
                    store = Store::open(&path, options).unwrap();
                }
                Step::Keep(keep) => {
                    let before = model.len();
                    model.retain(|(space, _), _| keep.contains(space));
                    prop_assert_eq!(store.drop_spaces_except(&keep).unwrap(), (before - model.len()) as u64);
                }
            }
            prop_assert_eq!(read(&store), model.clone().into_iter().collect::<Vec<_>>());
        }
        store.check().unwrap();
    }
}

#[test]
fn a_change_after_the_journal_was_deleted_to_its_end_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { durability: Durability::Normal, fold_at: 1, ..Options::default() };
    let mut store = Store::open(folder.path().join("run.db"), options).unwrap();
    let change = |key| Change { space: [0; 16], key: vec![key], value: Some(vec![key; 100]) };
    for key in 0..100 {
        store.commit(&Commit { state: vec![change(key)], ..Commit::default() }).unwrap();
        for _ in 0..3 {
            store.commit(&Commit::default()).unwrap();
        }
    }
    assert_eq!(read(&store).len(), 100);
}

#[test]
fn the_journal_stays_within_its_bound_and_is_folded_by_and_by() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let options = Options { durability: Durability::Normal, fold_at: 100_000, ..Options::default() };
    let mut store = Store::open(&path, options).unwrap();
    for round in 0..600u32 {
        let state = (0..40u32).map(|n| Change {
            space: [1; 16],
            key: ((round * 977 + n * 131) % 9_000).to_be_bytes().into(),
            value: Some(round.to_le_bytes().repeat(10)),
        });
        store.commit(&Commit { state: state.collect(), ..Commit::default() }).unwrap();
    }
    let tables = rusqlite::Connection::open(&path).unwrap();
    let number = |query| tables.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    let (journal, rows) = (number("SELECT sum(length(changes)) FROM journal"), number("SELECT count(*) FROM state"));
    assert!(journal < 200_000, "{journal}");
    assert!(rows > 5_000, "{rows}");
    assert_eq!(
        read(&store).len(),
        (0..600)
            .flat_map(|round| (0..40).map(move |n| (round * 977 + n * 131) % 9_000))
            .collect::<std::collections::HashSet<_>>()
            .len()
    );
    store.compact().unwrap();
    assert_eq!(number("SELECT count(*) FROM journal"), 0);
}
