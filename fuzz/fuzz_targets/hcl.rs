//! Configuration files: what is read is printed and read again.
#![no_main]
use finial_runtime::config::hcl;
use finial_runtime::config::{Problems, Section};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(document) = hcl::parse_bytes("fuzz.conf", data) else { return };
    let problems = Problems::new();
    let mut root = Section::root(&document, &problems);
    let _ = (root.string("a"), root.integer("b"), root.boolean("c"), root.strings("d"));
    let _ = root.labelled_pairs("plugins");
    let _ = root.finish_strict("fuzz");
    hcl::parse("printed.conf", &document.to_text()).expect("our own text");
});
