//! Connection strings, understood and refused.

use super::*;

fn parse(text: &str) -> Location {
    Location::parse(text).unwrap()
}

fn refusal(text: &str) -> String {
    Location::parse(text).unwrap_err().message
}

#[test]
fn addresses() {
    let place = |text: &str| parse(&format!("{text}/spire?parseTime=true")).target();
    assert_eq!(place("u:p@tcp(db.test:3307)"), "MySQL at db.test:3307 database \"spire\"");
    assert_eq!(place("u:p@tcp(db.test)"), "MySQL at db.test:3306 database \"spire\"");
    assert_eq!(place("u@tcp([::1]:7)"), "MySQL at ::1:7 database \"spire\"");
    assert_eq!(place("u@tcp([::1])"), "MySQL at ::1:3306 database \"spire\"");
    assert_eq!(place("u@"), "MySQL at 127.0.0.1:3306 database \"spire\"");
    assert_eq!(place(""), "MySQL at 127.0.0.1:3306 database \"spire\"");
    assert_eq!(place("u@unix(/run/my.sock)"), "MySQL at /run/my.sock database \"spire\"");
}

#[test]
fn passwords_and_parameters() {
    let location = parse(
        "spire:p@ss:/w(r)d@tcp(h:1)/a%2Fb?parseTime=1&tls=skip-verify&loc=Europe%2FBerlin\
         &innodb_lock_wait_timeout=5&charset=utf8mb4&allowCleartextPasswords=true",
    );
    assert_eq!((location.user.as_str(), location.password.as_str()), ("spire", "p@ss:/w(r)d"));
    assert_eq!((location.host.as_str(), location.database.as_str()), ("h", "a/b"));
    assert_eq!((location.tls, location.cleartext), (TlsMode::SkipVerify, true));
    assert_eq!(location.zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(location.settings, [("innodb_lock_wait_timeout".to_owned(), "5".to_owned())]);
    assert_eq!(parse("/d?parseTime=true&tls=TRUE").tls, TlsMode::Verify);
    assert_eq!(parse("/d?parseTime=true&tls=Preferred").tls, TlsMode::Preferred);
}

#[test]
fn refusals_are_those_of_spire() {
    let parse_time = "datastore-sql: invalid mysql config: missing parseTime=true param in connection_string";
    assert_eq!(refusal("u:p@tcp(h)/d"), parse_time);
    assert_eq!(refusal("u:p@tcp(h)/d?parseTime=false"), parse_time);
    assert_eq!(refusal(""), "datastore-sql: connection_string must be set");
    assert_eq!(
        refusal("username:s3cret@tcp(h)"),
        "datastore-sql: invalid DSN: missing the slash separating the database name"
    );
    assert_eq!(
        refusal("u:s3cret@tcp(h/d"),
        "datastore-sql: invalid DSN: network address not terminated (missing closing brace)"
    );
    assert_eq!(
        refusal("/d?parseTime=true&tls=mine"),
        "datastore-sql: invalid value / unknown config name: mine"
    );
    assert!(refusal("/d?parseTime=often").contains("invalid bool value"));
    assert!(refusal("u@cloudsql(x)/d?parseTime=true").contains("not supported"));
    assert!(refusal("/d?parseTime=true&loc=Nowhere").contains("unknown time zone"));
    assert!(refusal("/d?parseTime=true&a;b=1").contains("no variable"));
}
