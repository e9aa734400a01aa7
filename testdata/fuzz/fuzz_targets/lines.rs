//! Fuzzes `tripline_checks::fuzz::lines`, which says what must hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tripline_checks::fuzz::lines(bytes));
