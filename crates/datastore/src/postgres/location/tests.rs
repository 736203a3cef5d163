//! Connection strings, understood and refused.

use super::*;

fn parse(text: &str) -> StoreResult<Location> {
    Location::from_settings(settings(text)?, |_| None)
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().message
}

#[test]
fn pairs_and_urls_say_the_same() {
    let pairs = parse(r"dbname = spire user='a b' password='p\'w\\' host=db.test port=5433 sslmode=disable");
    let url = parse(r"postgres://a%20b:p'w%5C@db.test:5433/spire?sslmode=disable");
    for location in [pairs.unwrap(), url.unwrap()] {
        assert_eq!(location.config.get_user(), Some("a b"));
        assert_eq!(location.config.get_password(), Some(&br"p'w\"[..]));
        assert_eq!(location.target(), "PostgreSQL at db.test:5433 database \"spire\"");
        assert_eq!(location.config.get_ssl_mode(), SslMode::Disable);
    }
}

#[test]
fn several_hosts_sockets_and_session_settings() {
    let two = parse("host=a,b port=1,2 user=u dbname=d target_session_attrs=read-write").unwrap();
    assert_eq!(two.target(), "PostgreSQL at a,b:1,2 database \"d\"");
    assert_eq!(two.config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    let url = parse("postgresql://u@[::1]:7,h:8/d").unwrap();
    assert_eq!(url.target(), "PostgreSQL at ::1,h:7,8 database \"d\"");
    let socket = parse("host=/run/pg user=u search_path='a, b' statement_timeout=5s").unwrap();
    assert_eq!(socket.config.get_ssl_mode(), SslMode::Disable);
    assert_eq!(socket.config.get_options(), Some(r"-c search_path=a,\ b -c statement_timeout=5s"));
}

#[test]
fn tls() {
    let checked = |text: &str| {
        let location = parse(&format!("host=h user=u {text}")).unwrap();
        (location.config.get_ssl_mode(), location.tls.check)
    };
    assert_eq!(checked(""), (SslMode::Require, Check::Nothing));
    assert_eq!(checked("sslmode=prefer"), (SslMode::Prefer, Check::Nothing));
    assert_eq!(checked("sslmode=verify-ca"), (SslMode::Require, Check::Authority));
    assert_eq!(checked("sslmode=verify-full"), (SslMode::Require, Check::AuthorityAndHost));
    assert_eq!(checked("sslrootcert=system"), (SslMode::Require, Check::AuthorityAndHost));
    let here = concat!("sslmode=require sslrootcert=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert_eq!(checked(here), (SslMode::Require, Check::Authority));
    assert!(refusal("host=h user=u sslmode=maybe").contains("unknown sslmode"));
    assert!(refusal("host=h user=u sslmode=require sslrootcert=system").contains("verify-full"));
    assert!(refusal("host=h user=u sslcert=a").contains("go together"));
}

#[test]
fn refusals_show_no_secret() {
    assert_eq!(refusal(""), "datastore-sql: connection_string must be set");
    let cut = refusal("host=h password=se cret9 user=u");
    assert_eq!(cut, "datastore-sql: missing \"=\" after \"…\" in connection_string");
    assert!(refusal("host=h user='u").contains("unterminated"));
    assert!(refusal("host=h user=u passfile=/x").contains("passfile"));
    assert!(refusal("host=h user=u port=http").contains("\"http\" is not a port"));
    assert!(refusal("postgres://u%2@h/d").contains("percent"));
}

#[test]
fn the_environment_fills_what_is_left_out() {
    let environment = |name: &str| match name {
        "PGHOST" => Some("from-environment".to_owned()),
        "PGUSER" => Some("other".to_owned()),
        _ => None,
    };
    let location = Location::from_settings(settings("user=me dbname=d").unwrap(), environment).unwrap();
    assert_eq!(location.target(), "PostgreSQL at from-environment:5432 database \"d\"");
    assert_eq!(location.config.get_user(), Some("me"));
}
