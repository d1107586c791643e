#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| landbridge_fuzz::auth_switch(data));
