//! Where batches end depends on what is read, not on how it came: who numbers them may number them again.

use proptest::prelude::*;

use super::Drip;
use crate::Reader;

fn batches(bytes: &[u8], step: usize, max_batch: usize) -> Vec<Vec<Vec<u8>>> {
    let mut reader = Reader::with_limits(Drip::new(bytes, step), max_batch, 1 << 20);
    let mut out = Vec::new();
    while let Some(batch) = reader.next_batch().unwrap() {
        out.push(batch.iter().map(|record| record.bytes.to_vec()).collect());
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn batches_end_at_the_same_records_however_the_input_came(
        sizes in prop::collection::vec(0usize..60, 1..60),
        shape in 0usize..4,
        step in 1usize..50,
        max_batch in 1usize..400,
    ) {
        let records: Vec<String> =
            sizes.iter().enumerate().map(|(n, size)| format!("{{\"n\":{n},\"fill\":\"{}\"}}", "x".repeat(*size))).collect();
        let text = match shape {
            0 => records.join("\n") + "\n",
            1 => format!("[{}]", records.join(",")),
            2 => format!("{{\"Records\":[{}]}}", records.join(", ")),
            _ => records.join("\n\n ").replace(',', ",\n"),
        };
        let whole = batches(text.as_bytes(), usize::MAX, max_batch);
        prop_assert_eq!(whole.iter().map(Vec::len).sum::<usize>(), records.len());
        prop_assert_eq!(batches(text.as_bytes(), step, max_batch), whole);
    }
}
