use super::*;
use crate::config::hcl::parse;
use expect_test::{Expect, expect};

/// Decodes `text` and shows what came out and all problems.
fn check(text: &str, decode: impl FnOnce(&mut Section<'_>) -> String, expect: Expect) {
    let document = parse("t.conf", text).unwrap();
    let problems = Problems::new();
    let mut root = Section::root(&document, &problems);
    let mut shown = decode(&mut root);
    root.finish_strict("top-level");
    for problem in problems.into_vec() {
        shown.push_str(&format!("\n{problem}"));
    }
    expect.assert_eq(&shown);
}

#[test]
fn typing_is_as_weak_as_hcl_1() {
    check(
        "s = 8081\ni = \"0x1F91\"\nf = 3\nb = true\nl = [\"a\", 2]\nI2 = 010\nm { a = 1, \"b c\" = \"x\" }",
        |s| {
            format!(
                "{:?}",
                (
                    s.string("s"),
                    s.integer("i"),
                    s.float("f"),
                    s.boolean("b"),
                    s.strings("l"),
                    s.integer("i2"),
                    s.string_map("m"),
                    s.string("absent"),
                )
            )
        },
        expect![[
            r#"(Some("8081"), Some(8081), Some(3.0), Some(true), Some(["a", "2"]), Some(8), Some({"a": "1", "b c": "x"}), None)"#
        ]],
    );
}

#[test]
fn all_mismatches_come_out_at_once_with_their_places() {
    check(
        "server {\n  s1 = 1.5\n  s2 = true\n  s3 = []\n  i1 = \"x\"\n  i2 = 1.5\n  i3 = 99999999999999999999\n  \
         b = \"true\"\n  f = \"1.5\"\n  l1 = \"x\"\n  l2 = [[\"x\"]]\n  o = 1\n  s4 \"label\" {}\n}",
        |s| {
            let mut s = s.block("server").unwrap();
            for name in ["s1", "s2", "s3", "s4"] {
                assert_eq!(s.string(name), None);
            }
            for name in ["i1", "i2", "i3"] {
                assert_eq!(s.integer(name), None);
            }
            assert_eq!((s.boolean("b"), s.float("f"), s.strings("l1")), (None, None, None));
            assert_eq!(s.strings("l2"), Some(vec![]));
            assert!(s.block("o").unwrap().is_empty());
            s.problem("s1", "and it is ugly");
            s.problem("absent", "must be set");
            s.finish_strict("server");
            String::new()
        },
        expect![[r#"

            t.conf:1:8: server.absent: must be set
            t.conf:2:8: server.s1: expected a string, found a number with a fraction
            t.conf:2:8: server.s1: and it is ugly
            t.conf:3:8: server.s2: expected a string, found true or false
            t.conf:4:8: server.s3: expected a string, found a list
            t.conf:5:8: server.i1: "x" is not a whole number
            t.conf:6:8: server.i2: expected a whole number, found a number with a fraction
            t.conf:7:8: server.i3: "99999999999999999999" is out of the range of a whole number
            t.conf:8:7: server.b: expected true or false without quotes, found a string
            t.conf:9:7: server.f: expected a number without quotes, found a string
            t.conf:10:8: server.l1: expected a list of strings, found a string
            t.conf:11:9: server.l2: expected a string, found a list
            t.conf:12:7: server.o: expected a block, found a whole number
            t.conf:13:14: server.s4: expected a string, found a block"#]],
    );
}

#[test]
fn repeated_keys_and_blocks_are_merged() {
    check(
        "s { a = 1 }\nS { b = 2, a = 3 }\nl = [\"a\"]\nl = [\"b\"]",
        |s| {
            let l = s.strings("l");
            let mut s = s.block("s").unwrap();
            format!("{:?}", (s.string("a"), s.string("b"), l))
        },
        expect![[r#"(Some("3"), Some("2"), Some(["a", "b"]))"#]],
    );
}

#[test]
fn unknown_keys_are_found_as_spire_finds_them() {
    check(
        "trust_domian = 1\n\"quoted\" = 2\nknown \"label\" {}\nknown bare {}\nother = 3",
        |s| {
            s.string("trust_domain");
            s.block("known");
            String::new()
        },
        expect![[r#"

            t.conf:1:1: trust_domian: unknown configuration detected: "trust_domian" is no key of top-level; did you mean "trust_domain"?
            t.conf:5:1: other: unknown configuration detected: "other" is no key of top-level"#]],
    );
    let document = parse("t", "a = 1").unwrap();
    let problems = Problems::new();
    let unknown = Section::root(&document, &problems).finish_lenient();
    assert_eq!(unknown, [UnknownKey { name: "a".into(), at: Position { line: 1, column: 1 } }]);
    assert!(problems.is_empty());
}

#[test]
fn lists_of_blocks() {
    let show = |s: &mut Section<'_>| {
        let sinks: Vec<String> = s
            .blocks("M3")
            .into_iter()
            .map(|mut sink| {
                format!("{}={:?}/{:?}", sink.path().to_owned(), sink.string("address"), sink.string("env"))
            })
            .collect();
        sinks.join(" ")
    };
    let want = r#"M3[0]=Some("a")/Some("e") M3[1]=Some("b")/None"#;
    for text in [
        "M3 = [{ address = \"a\" env = \"e\" }, { address = \"b\" }]",
        "M3 { address = \"a\" env = \"e\" }\nM3 { address = \"b\" }",
        "{\"M3\": [{\"address\": \"a\", \"env\": \"e\"}, {\"address\": \"b\"}]}",
    ] {
        let document = parse("t", text).unwrap();
        let problems = Problems::new();
        assert_eq!(show(&mut Section::root(&document, &problems)), want);
        assert!(problems.is_empty());
    }
}

#[test]
fn labels_group_and_nest() {
    check(
        "federates_with \"a\" { url = 1 }\nfederates_with { b = { url = 2 } }\nfederates_with \"a\" { profile \"x\" {} }",
        |s| {
            let shown = |l: Labelled<'_>| {
                let mut section = l.section;
                let profiles: Vec<String> =
                    section.labelled("profile").into_iter().map(|p| p.label.to_owned()).collect();
                format!("{}@{}:{:?}{:?}", l.label, l.at.line, section.string("url"), profiles)
            };
            s.labelled("federates_with").into_iter().map(shown).collect::<Vec<_>>().join(" ")
        },
        expect![[r#"a@1:Some("1")["x"] b@2:Some("2")[]"#]],
    );
}

#[test]
fn plugins_come_in_the_order_of_the_file_in_any_nesting() {
    let want = "KeyManager/disk(plugin_data) NodeAttestor/k8s(plugin_data,enabled) NodeAttestor/psat() KeyManager/mem(plugin_cmd)";
    for text in [
        "plugins { KeyManager \"disk\" { plugin_data {} } NodeAttestor { k8s { plugin_data {} enabled = true } psat {} } \
         KeyManager \"mem\" { plugin_cmd = \"x\" } }",
        "plugins {\n KeyManager \"disk\" plugin_data {}\n NodeAttestor k8s { plugin_data = {} enabled = true }\n \
         NodeAttestor \"psat\" {} }\n plugins KeyManager mem { plugin_cmd = \"x\" }",
    ] {
        let document = parse("t", text).unwrap();
        let problems = Problems::new();
        let pairs = Section::root(&document, &problems).labelled_pairs("plugins");
        let shown: Vec<String> = pairs
            .into_iter()
            .map(|pair| {
                let keys: Vec<String> =
                    pair.section.finish_lenient().into_iter().map(|key| key.name).collect();
                format!("{}/{}({})", pair.outer, pair.inner, keys.join(","))
            })
            .collect();
        assert_eq!(shown.join(" "), want);
        assert!(problems.is_empty());
    }
}

#[test]
fn plugin_data_is_a_document_of_its_own() {
    let document =
        parse("t.conf", "plugin_data {\n  keys_path = \"/k\"\n  nested \"x\" { a = \"${b}\" }\n}").unwrap();
    let problems = Problems::new();
    let data = Section::root(&document, &problems).document("plugin_data").unwrap();
    expect![[r#"
        keys_path = "/k"
        nested "x" {
          a = "${b}"
        }
    "#]]
    .assert_eq(&data.to_text());
    let mut section = Section::root(&data, &problems);
    assert_eq!(section.integer("keys_path"), None);
    assert_eq!(problems.into_vec()[0].to_string(), r#"t.conf:2:15: keys_path: "/k" is not a whole number"#);

    let empty = parse("t", "plugin_data = {}").unwrap();
    assert_eq!(Section::root(&empty, &Problems::new()).document("plugin_data").unwrap().to_text(), "");
}

#[test]
fn free_form_values_compare_deeply() {
    let value = |text| {
        let document = parse("t", text).unwrap();
        Section::root(&document, &Problems::new()).value("x")
    };
    assert_eq!(value("x { a = 1 }\nx \"b\" { c = [1] }"), value("x = { b { c = [1] }, a = 1 }"));
    assert_ne!(value("x = 1"), value("x = \"1\""));
    assert_eq!(value("y = 1"), None);
}
