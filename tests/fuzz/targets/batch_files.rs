#![no_main]

// The dispatcher is no library: its entry is compiled in.
#[path = "../../../dispatcher/src/asking/mod.rs"]
#[allow(dead_code, unused_imports)]
mod asking;
#[path = "../../../dispatcher/src/asking/fuzz.rs"]
mod fuzz;

libfuzzer_sys::fuzz_target!(|text: &str| fuzz::batch_file(text));
