//! TLS to a database server: who may answer is as the configuration says, and nobody else.

use super::{mysql_config, postgres_config};
use finial_datastore::{MySqlConfig, SqlStore};
use finial_plugin::datastore::StoreResult;
use finial_testkit::{DatabaseServer, Engine, skip};
use std::path::{Path, PathBuf};
use std::process::Command;

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority `NAME.pem` with a server's certificate `NAME-server.pem` for the host `localhost`.
fn authority(folder: &Path, name: &str) -> PathBuf {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(folder, &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -subj /CN={name} -days 2"));
    openssl(
        folder,
        &format!(
            "req {key} -keyout {name}-server.key -out {name}.csr -subj /CN=db -addext subjectAltName=DNS:localhost"
        ),
    );
    openssl(
        folder,
        &format!(
            "x509 -req -in {name}.csr -CA {name}.pem -CAkey {name}.key -CAcreateserial -days 2 \
             -copy_extensions copy -out {name}-server.pem"
        ),
    );
    folder.join(format!("{name}.pem"))
}

/// A server with a certificate, its authority and another one; nothing, told, where the machine has none.
fn server(test: &str, engine: Engine, folder: &Path) -> Option<(DatabaseServer, PathBuf, PathBuf)> {
    let no_openssl = Command::new("openssl").arg("version").output().is_err();
    let missing = engine.missing().or(no_openssl.then_some("openssl is not on this machine"));
    if let Some(missing) = missing {
        skip(test, missing);
        return None;
    }
    let (right, wrong) = (authority(folder, "right"), authority(folder, "wrong"));
    let (certificate, key) = (folder.join("right-server.pem"), folder.join("right-server.key"));
    Some((DatabaseServer::start_with_tls(engine, &certificate, &key).unwrap(), right, wrong))
}

fn is_refused(opened: StoreResult<SqlStore>) {
    let error = opened.err().expect("the server must not be believed");
    assert!(error.message.to_lowercase().contains("certificate"), "{error}");
}

#[tokio::test]
async fn postgres() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, right, wrong)) = server("datastore::tls_postgres", Engine::Postgres, folder.path())
    else {
        return;
    };
    let (name, port) = (server.create_database().unwrap(), server.port().unwrap());
    let open = async |host: &str, rest: String| {
        let text = format!("host={host} port={port} user=postgres dbname={name} {rest}");
        SqlStore::open_postgres(postgres_config(text)).await
    };
    let (right, wrong) = (right.display(), wrong.display());
    open("localhost", format!("sslmode=verify-full sslrootcert={right}"))
        .await
        .unwrap()
        .ping()
        .await
        .unwrap();
    is_refused(open("localhost", format!("sslmode=verify-full sslrootcert={wrong}")).await);
    is_refused(open("127.0.0.1", format!("sslmode=verify-full sslrootcert={right}")).await);
    is_refused(open("localhost", "sslmode=verify-full".to_owned()).await);
    open("127.0.0.1", format!("sslmode=verify-ca sslrootcert={right}")).await.unwrap();
    is_refused(open("127.0.0.1", format!("sslmode=verify-ca sslrootcert={wrong}")).await);
    is_refused(open("127.0.0.1", format!("sslrootcert={wrong}")).await);
    let store = open("127.0.0.1", String::new()).await.unwrap();
    assert_eq!(server.execute(&name, "SELECT bool_and(ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE client_port > 0").unwrap().trim(), "t");
    drop(store);
}

#[tokio::test]
async fn mysql() {
    let folder = tempfile::tempdir().unwrap();
    let Some((server, right, wrong)) = server("datastore::tls_mysql", Engine::MariaDb, folder.path()) else {
        return;
    };
    let (name, port) = (server.create_database().unwrap(), server.port().unwrap());
    let user =
        "CREATE USER tls@localhost IDENTIFIED BY 'p@ss:/w' REQUIRE SSL; GRANT ALL ON *.* TO tls@localhost";
    server.execute("", user).unwrap();
    let open = async |host: &str, rest: &str, root: Option<&PathBuf>| {
        let text = format!("tls:p@ss:/w@tcp({host}:{port})/{name}?parseTime=true{rest}");
        SqlStore::open_mysql(MySqlConfig { root_ca_path: root.cloned(), ..mysql_config(text) }).await
    };
    open("localhost", "", Some(&right)).await.unwrap().ping().await.unwrap();
    is_refused(open("localhost", "", Some(&wrong)).await);
    is_refused(open("127.0.0.1", "", Some(&right)).await);
    is_refused(open("localhost", "&tls=true", None).await);
    open("127.0.0.1", "&tls=skip-verify", None).await.unwrap();
    open("127.0.0.1", "&tls=preferred", None).await.unwrap();
    let denied = open("localhost", "", None).await.err().unwrap();
    assert!(denied.message.contains("does not let this user in"), "{denied}");
    let nowhere = open("localhost", "", Some(&folder.path().join("nowhere"))).await.err().unwrap();
    assert!(nowhere.message.contains("cannot find Root CA defined in root_ca_path"), "{nowhere}");
}
