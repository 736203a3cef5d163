use super::*;
use finial_identity::TrustDomain;

/// Made by SPIRE's own code: template, verdict, and what it gives as JSON.
const SPIRE: &str = include_str!("../../tests/fixtures/agent_path_templates.tsv");

/// Where Finial refuses what SPIRE does, or complains where Go prints its complaint into the path.
const REFUSED: &[&str] = &[
    "{{ regexMatch \"(?=a)\" .Name }}",
    "{{ 1.5 | printf \"%v\" }}",
    "{{ printf \"%d\" \"x\" }}",
    "{{ printf \"%s\" }}",
    "{{ printf \"%s\" \"a\" \"b\" }}",
    "{{ printf \"%x\" .SerialNumber }}",
    "{{ printf \"%6.2f\" 1 }}",
    "{{ b64dec \"%\" }}",
    "{{ abbrev 5 \"hello world\" }}",
    "{{ camelcase \"http_server\" }}",
    "{{ seq 1 3 }}",
    "{{ html \"a\" }}",
    "{{ define \"x\" }}{{ end }}",
    "{{ range 3 }}x{{ end }}",
];

fn data() -> Value {
    let subject = [("CommonName", "node-1".into()), ("Organization", Value::texts(["Acme", "Ops"]))];
    let printable = |kind, text: &str| Value::Printable { kind, text: text.to_owned() };
    Value::map([
        ("PluginName", "x509pop".into()),
        ("Name", "Web Server-01.Example.org".into()),
        ("Count", Value::Int(7)),
        ("Tags", Value::map([("env", "prod".into()), ("zone-1", "b".into())])),
        ("List", Value::texts(["beta", "alpha", "beta"])),
        ("Subject", Value::map(subject)),
        ("Empty", "".into()),
        ("SerialNumber", printable("*big.Int", "2748")),
        ("IPs", Value::List(vec![printable("net.IP", "192.0.2.7")])),
        ("Yes", Value::Bool(true)),
    ])
}

fn run(template: &str) -> Result<String, TemplateError> {
    AgentPathTemplate::parse(template)?.render(&data())
}

#[test]
fn templates_give_what_they_give_in_spire() {
    let mut wrong = Vec::new();
    let mut refused = 0;
    for line in SPIRE.lines() {
        let [template, verdict, output] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let ours = run(template);
        let is_refused = REFUSED.contains(&template);
        refused += usize::from(is_refused);
        let wanted = match verdict {
            "gives" if !is_refused => Some(serde_json::from_str::<String>(output).unwrap()),
            _ => None,
        };
        if ours.clone().ok() != wanted {
            wrong.push(format!("{template}\n    wanted {wanted:?}\n    got    {ours:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(refused, REFUSED.len(), "a refused template is not in the table");
}

#[test]
fn errors_name_what_and_where() {
    let error = |template: &str| AgentPathTemplate::parse(template).unwrap_err().to_string();
    let unsupported = "is not supported in agent path templates";
    assert_eq!(error("/a/{{ nosuch .X }}"), "1:7: function \"nosuch\" not defined");
    assert_eq!(
        error("/a\n/{{ .X | kebabcase }}"),
        format!("2:10: function \"kebabcase\" of SPIRE {unsupported} by Finial")
    );
    assert_eq!(error("{{ template \"x\" }}"), format!("1:4: {{{{template}}}} {unsupported}"));
    assert_eq!(error("{{ trunc 3 }}"), "1:4: wrong number of args for trunc: want 2 got 1");
    assert_eq!(
        error("{{ list | upper | lower \"a\" }}"),
        "1:19: wrong number of args for lower: want 1 got 2"
    );
    assert_eq!(error("{{ regexFind \"(\" .X }}"), "1:4: regexFind: error parsing regexp \"(\"");
    assert_eq!(error("a{{ .X"), "1:2: unclosed action");
    assert_eq!(error("{{ if .X }}a"), "1:4: {{if}} has no {{end}}");
    assert_eq!(error("{{ .X ! }}"), "1:7: unexpected '!'");
    assert_eq!(run("/{{ .Tags.none }}").unwrap_err().to_string(), "1:5: map has no entry for key \"none\"");
    assert_eq!(
        run("{{ upper .Count }}").unwrap_err().to_string(),
        "1:4: upper: wrong type for value; expected string; got int"
    );
}

#[test]
fn unknown_fields_are_found_before_there_are_data() {
    let check = |template: &str| AgentPathTemplate::parse(template).unwrap().check_fields(&["A", "B"]);
    for fine in [
        "/{{ .A.X }}",
        "{{ with .B }}{{ .C }}{{ $.A }}{{ end }}",
        "{{ range .A }}{{ .C }}{{ end }}",
        "{{ . }}",
    ] {
        assert_eq!(check(fine), Ok(()), "{fine}");
    }
    for wrong in
        ["/{{ .C }}", "{{ with .B }}{{ $.C }}{{ end }}", "{{ if .A }}{{ .C.D }}{{ end }}", "{{ lower (.C) }}"]
    {
        let error = check(wrong).unwrap_err().to_string();
        assert!(error.ends_with("there is no field \"C\"; there are A, B"), "{wrong}: {error}");
    }
}

#[test]
fn what_comes_out_must_be_a_path() {
    let trust_domain = TrustDomain::parse("example.org").unwrap();
    let id = |template: &str| {
        let id = AgentPathTemplate::parse(template).unwrap().agent_id(&trust_domain, &data());
        id.map(|id| id.to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(id("/{{ .PluginName }}/a").unwrap(), "spiffe://example.org/spire/agent/x509pop/a");
    assert_eq!(id("a").unwrap_err(), "invalid agent path suffix \"a\": path must have a leading slash");
    for bad in
        ["", "/", "/a/", "//a", "/..", "/a/../b", "/{{ .Name }}", "/{{ .Empty }}/a", "/{{ .List }}", "/é"]
    {
        assert!(id(bad).unwrap_err().starts_with("invalid agent path suffix"), "{bad}");
    }
}

#[test]
fn hostile_templates_end() {
    let deep = |open: &str, close: &str, n: usize| open.repeat(n) + close.repeat(n).as_str();
    for template in [
        format!("{{{{ {}\"a\"{} }}}}", "(".repeat(100_000), ")".repeat(100_000)),
        deep("{{ if true }}", "{{ end }}", 100_000),
        "{{ repeat 1000000000 \"a\" }}".to_owned(),
        "{{ printf \"%1000000000d\" 1 }}".to_owned(),
        "{{ $x := repeat 60000 \"a\" }}{{ replace \"a\" $x $x }}".to_owned(),
        "{{ regexMatch \"(a{1000}){1000}\" \"a\" }}".to_owned(),
        format!("{{{{ $x := repeat 60000 \"a\" }}}}{}", "{{ $x }}".repeat(1000)),
        "{{ else }}".repeat(1000),
    ] {
        run(&template).unwrap_err();
    }
    for length in 0..60 {
        let text = "{{ range $i, $v := .List }}{{ $i | printf \"%d\" }}{{ end }}";
        let _ = text.get(..length).map(run);
    }
}
