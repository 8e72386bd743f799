#![no_main]

use fuzz as _; // for its allocator

libfuzzer_sys::fuzz_target!(|input: &[u8]| pipeline_server::fuzzing::whip(input));
