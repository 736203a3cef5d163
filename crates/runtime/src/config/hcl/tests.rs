//! Verdicts, messages and values were taken from `hashicorp/hcl` v1.0.1-vault-7 run on the same texts.

use super::*;
use crate::config::go_text;
use expect_test::expect;
use proptest::prelude::*;

fn value(text: &str) -> Value {
    parse("t", text).unwrap_or_else(|problem| panic!("{text:?}: {problem}")).to_value()
}

fn value_of_x(text: &str) -> String {
    match value(text) {
        Value::Object(mut object) => match object.remove("x") {
            Some(Value::String(text) | Value::Number(text)) => text,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => go_text::quoted(text),
        Value::Number(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::List(list) => format!("[{}]", list.iter().map(show).collect::<Vec<_>>().join(", ")),
        Value::Object(object) => {
            let entries: Vec<String> =
                object.iter().map(|(name, value)| format!("{name}: {}", show(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

#[test]
fn accepts_every_form() {
    for (text, want) in [
        ("", "{}"),
        ("# only\n// comments /* here */\n/* and **/", "{}"),
        ("a = 1", "{a: 1}"),
        ("a=1,b=2", "{a: 1, b: 2}"),
        ("a = 1 b = 2", "{a: 1, b: 2}"),
        ("a = 1b = 2", "{a: 1, b: 2}"),
        ("a = [1, \"x\", true, 1.5,]", "{a: [1, \"x\", true, 1.5]}"),
        ("a = [,]", "{a: []}"),
        ("a = [1,,2]", "{a: [1, 2]}"),
        ("a = [[1] 2]", "{a: [[1], 2]}"),
        ("a = [{b = 1}, {b = 2}]", "{a: [{b: 1}, {b: 2}]}"),
        ("a {}", "{a: {}}"),
        ("a = {}", "{a: {}}"),
        ("a { b = 1, c = 2 }", "{a: {b: 1, c: 2}}"),
        ("a { b { c = 1 } }", "{a: {b: {c: 1}}}"),
        ("a { b = 1 } a { c = 2 }", "{a: {b: 1, c: 2}}"),
        ("a \"b\" { c = 1 } a \"d\" { c = 2 }", "{a: {b: {c: 1}, d: {c: 2}}}"),
        ("\"a\" \"b\" c { d = 1 }", "{a: {b: {c: {d: 1}}}}"),
        ("\"quoted key\" = 1", "{quoted key: 1}"),
        ("a-b.c_d = 1", "{a-b.c_d: 1}"),
        ("schlüssel = 1", "{schlüssel: 1}"),
        ("a = 017 b = 0x1F c = -3 d = 08", "{a: 017, b: 0x1F, c: -3, d: 08}"),
        ("a = 1.5 b = .5 c = 1e5 d = 1.5E-3 e = 0.", "{a: 1.5, b: .5, c: 1e5, d: 1.5E-3, e: 0.}"),
        ("a =\n\n1", "{a: 1}"),
        ("a\n=\n1", "{a: 1}"),
        ("a\r\n{\r\nb = 1\r\n}\r\n", "{a: {b: 1}}"),
        ("a = 1 a = 2", "{a: 2}"),
        ("a = [1] a = [2]", "{a: [1, 2]}"),
        ("a =", "{}"),
        ("{}", "{}"),
        (
            " \n{\"a\": {\"b\": [1, 2.5, \"x\"]}, \"c\": null, \"d\": true,}",
            "{a: {b: [1, 2.5, \"x\"]}, d: true}",
        ),
        ("{\"a\": [{\"b\": 1}, {\"c\": 2}]}", "{a: {b: 1, c: 2}}"),
        ("{\"a\": \"\\u00e9\\ud83d\\ude00\\/${x}\"}", "{a: \"é😀/${x}\"}"),
    ] {
        assert_eq!(show(&value(text)), want, "{text:?}");
    }
}

#[test]
fn refuses_with_hcls_words_at_the_right_place() {
    for (text, want) in [
        ("a", "1:2: key 'a' expected start of object ('{') or assignment ('=')"),
        ("a \"b\"", "1:6: key 'a \"b\"' expected start of object ('{') or assignment ('=')"),
        ("x { a }", "1:7: key 'a' expected start of object ('{') or assignment ('=')"),
        ("a b = 1", "1:5: nested object expected: LBRACE got: ASSIGN"),
        ("= 1", "1:1: no object keys found!"),
        ("a {} {}", "1:6: expected: IDENT | STRING got: LBRACE"),
        ("}", "1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"),
        (", a = 1", "1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: COMMA"),
        ("true = 1", "1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: BOOL"),
        ("a = 1,,b = 2", "1:7: expected: IDENT | STRING | ASSIGN | LBRACE got: COMMA"),
        ("a { b = 1", "1:10: object expected closing RBRACE got: EOF"),
        ("a { b = ", "1:9: object expected closing RBRACE got: EOF"),
        ("a = b", "1:5: Unknown token: IDENT b"),
        ("a = }", "1:5: Unknown token: RBRACE }"),
        ("a = [1 2]", "1:8: error parsing list, expected comma or list end, got: NUMBER"),
        ("a = [b]", "1:6: unexpected token while parsing list: IDENT"),
        ("a = [1", "1:7: error parsing list, expected comma or list end, got: EOF"),
        ("a = [", "1:6: unexpected token while parsing list: EOF"),
        ("a = \"b", "1:5: literal not terminated"),
        ("a = \"b\nc\"", "1:5: literal not terminated"),
        ("a = \"${b\"", "1:5: literal not terminated"),
        ("a = \"\\q\"", "1:7: illegal char escape"),
        ("a = \"\\x4\"", "1:7: illegal char escape"),
        ("a = \"\\400\"", "1:5: illegal char escape"),
        ("a = 'b'", "1:5: illegal char"),
        ("a = 1;", "1:6: illegal char"),
        ("a: 1", "1:2: illegal char"),
        ("a / b", "1:3: expected '/' for comment"),
        ("/* a", "1:1: comment not terminated"),
        ("/*/", "1:1: comment not terminated"),
        ("a = 0x", "1:5: illegal hexadecimal number"),
        ("a = 0159", "1:5: illegal octal number"),
        ("a = <EOF\n", "1:5: heredoc expected second '<', didn't see it"),
        ("a = <<\n", "1:5: zero-length heredoc anchor"),
        ("a = <<E F\n", "1:5: invalid characters in heredoc anchor"),
        ("a = <<E\nb", "1:5: heredoc not terminated"),
        ("a = <<E\nb\nE", "1:5: heredoc not terminated"),
        ("a = <<-E\nb\nE\n", "1:5: heredoc not terminated"),
        ("a\0b", "1:2: unexpected null character (0x00)"),
        ("é =\n  ü 1", "2:3: Unknown token: IDENT ü"),
        ("{\"a\" 1}", "1:6: expected: ':' got: '1'"),
        ("{\"a\": 01}", "1:7: illegal number (JSON numbers have no leading zero)"),
        ("{a: 1}", "1:2: expected: STRING got: 'a'"),
        ("{\"a\": 1} x", "1:10: unexpected text after the end of the JSON object"),
        ("{\"a\": 1", "1:1: expected: ',' or '}' got: EOF"),
        ("{\"a\": [null]}", "1:8: unexpected token while parsing list: NULL"),
    ] {
        let problem = parse("t", text).map(|document| panic!("{text:?}: {document:?}")).unwrap_err();
        assert_eq!(problem.to_string(), format!("t:{want}"), "{text:?}");
    }
}

#[test]
fn strings_mean_what_they_mean_in_hcl() {
    for (text, want) in [
        (r#"x = "a\tb\n\"\\\a""#, "a\tb\n\"\\\x07"),
        (r#"x = "\x41\101\u00e9\U0001F600\xc3\xa9""#, "AAé😀é"),
        (r#"x = "${a "b" {c} \" }\n""#, "${a \"b\" {c} \\\" }\n"),
        ("x = \"${a\nb}\"", "${a\nb}"),
        (r#"x = "$a $${b} {c}""#, "$a $${b} {c}"),
        ("x = 8081", "8081"),
        ("x = <<EOF\nfoo\n  bar\nEOF\n", "foo\n  bar\n"),
        ("x = <<EOF\nfoo\n  EOF\n", "foo\n  "),
        ("x = <<EOF\nEOF\n", ""),
        ("x = <<EOF\nEOFx\n EOF x\nEOF\n", "EOFx\n EOF x\n"),
        ("x = <<-EOF\n  foo\n    bar\n  EOF\n", "foo\n  bar\n"),
        ("x = <<-EOF\n foo\n    bar\n  EOF\n", " foo\n    bar\n"),
        ("x = <<-EOF\n  foo\n\n  EOF\n", "  foo\n\n"),
        ("x = <<-EOF\n  EOF\n", ""),
        ("x = <<EOF\r\nfoo\r\nEOF\r\n", "foo\n"),
    ] {
        assert_eq!(value_of_x(text), want, "{text:?}");
    }
}

#[test]
fn repeated_assignments_are_noticed_and_can_be_refused() {
    let text = "a = 1\nb {}\nb {}\na = 2\nc =";
    let document = parse("t", text).unwrap();
    let notices: Vec<String> = document.notices().iter().map(ToString::to_string).collect();
    expect![[r#"
        t:4:1: The argument "a" at 4:1 was already set. Each argument can only be defined once
        t:5:3: key 'c' expected start of object ('{') or assignment ('=')"#]]
    .assert_eq(&notices.join("\n"));
    let problem = parse_refusing_duplicates("t", "NodeAttestor = {}\nNodeAttestor = {}").unwrap_err();
    assert!(problem.message.contains("was already set. Each argument can only be defined once"));
}

#[test]
fn input_is_bounded() {
    let deep = |levels: usize| format!("{}{}", "a {".repeat(levels), "}".repeat(levels));
    assert!(parse("t", &deep(MAX_DEPTH)).is_ok());
    assert!(parse("t", &deep(MAX_DEPTH + 1)).unwrap_err().message.contains("nested deeper"));
    for text in ["[", "{\"a\":", "{\"a\":[", "a = [", "a ", "a { b = ["] {
        assert!(parse("t", &text.repeat(MAX_INPUT / text.len())).is_err());
    }
    assert!(parse("t", &" ".repeat(MAX_INPUT + 1)).unwrap_err().message.contains("longer than"));
}

#[test]
fn long_texts_take_linear_time() {
    let start = std::time::Instant::now();
    for text in ["a = <<EO\nE\nEO\n", "k \"l\" { x = 1 }\n", "/* */ ", "x = \"${{}}\"\n", "a{}"] {
        parse("t", &text.repeat((1 << 20) / text.len())).unwrap();
    }
    // Quadratic time would be many minutes.
    assert!(start.elapsed().as_secs() < 60);
}

#[test]
fn bytes_that_are_not_utf8_have_a_place() {
    let problem = parse_bytes("t", b"a = 1\nb = \"\xc3\xa9\xff\"").unwrap_err();
    assert_eq!(problem.to_string(), "t:2:7: illegal UTF-8 encoding");
}

#[test]
fn prints_text_that_hcl_reads() {
    let text = r#"plugin "x y" { # comment
        a = "${b "c"} \"\t", l = [1, 2, {z = true}], "k" = {}, h = <<EOF
${not} "quoted"
EOF
        }"#;
    expect![[r#"
        plugin "x y" {
          a = "${b "c"} \"\t"
          l = [1, 2, {
            z = true
          }]
          "k" = {}
          h = "\x24{not} \"quoted\"\n"
        }
    "#]]
    .assert_eq(&parse("t", text).unwrap().to_text());
}

/// Any value, as it can be written in HCL.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(|text| Value::String(text.replace(['\0', '\u{e123}'], ""))),
        "-?[1-9][0-9]{0,5}(\\.[0-9]{1,3})?".prop_map(Value::Number),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(any_key(), inner, 0..4).prop_map(Value::Object),
        ]
    })
}

fn any_key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z_.-]{0,8}", "\\PC{0,6}", Just("true".to_owned())]
}

fn node_of(value: &Value) -> Node {
    let kind = match value {
        Value::String(value) => NodeKind::String { value: value.clone(), raw: None },
        Value::Number(text) if text.contains('.') => NodeKind::Float(text.clone()),
        Value::Number(text) => NodeKind::Integer(text.clone()),
        Value::Bool(value) => NodeKind::Bool(*value),
        Value::List(list) => NodeKind::List(list.iter().map(node_of).collect()),
        Value::Object(object) => NodeKind::Object(body_of(object)),
    };
    Node { at: Position::default(), kind }
}

fn body_of(object: &std::collections::BTreeMap<String, Value>) -> Body {
    let entry = |(name, value): (&String, &Value)| Entry {
        keys: vec![Key { text: name.clone(), form: KeyForm::Bare, at: Position::default() }],
        assigned: true,
        value: node_of(value),
    };
    Body { entries: object.iter().map(entry).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_bytes("t", &bytes);
    }

    #[test]
    fn random_tokens_never_panic_and_print_back(
        tokens in prop::collection::vec(prop::sample::select(TOKENS), 0..30)
    ) {
        let text = tokens.concat();
        if let Ok(document) = parse("t", &text) {
            let printed = document.to_text();
            let again = parse("t", &printed).map_err(|problem| TestCaseError::fail(format!("{problem}: {printed}")))?;
            prop_assert_eq!(again.to_value(), document.to_value());
            prop_assert_eq!(again.to_text(), printed);
        }
    }

    #[test]
    fn what_is_printed_is_read_back(object in prop::collection::btree_map(any_key(), any_value(), 0..5)) {
        let document = Document::from_body("t", body_of(&object));
        let text = document.to_text();
        let again = parse("t", &text).map_err(|problem| TestCaseError::fail(format!("{problem}: {text}")))?;
        prop_assert_eq!(again.to_value(), Value::Object(object));
    }
}

const TOKENS: &[&str] = &[
    "a",
    "b ",
    "\"k\"",
    " = ",
    "=",
    "{",
    "}",
    "[",
    "]",
    ",",
    "1",
    "08",
    "0x1F",
    "1.5",
    "1e5",
    "-",
    "true",
    "\"s\"",
    "\"${x \"y\"}\"",
    "\"\\n\\x41\"",
    "\n",
    " ",
    "# c\n",
    "/* c */",
    "<<E\nfoo\n E\n",
    "<<-E\n  foo\n  E\n",
    "<",
    "\r\n",
    "é",
    "\"",
    "\\",
    "$",
    "null",
    ":",
    "{\"a\":",
    "\"a\":1",
];
