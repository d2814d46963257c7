#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| stylefleet_dispatcher::testing::batch_file(text));
