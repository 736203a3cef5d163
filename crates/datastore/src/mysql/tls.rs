//! TLS to a MySQL server. Where authorities are named only those count, else those of the operating system.

use super::MySqlConfig;
use super::location::TlsMode;
use finial_identity::Code;
use finial_plugin::datastore::{StoreError, StoreResult};
use mysql_async::{ClientIdentity, SslOpts};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// What the driver must do; nothing where it uses no TLS. The files of the configuration go before what
/// the connection string says, as in SPIRE.
pub(super) fn options(config: &MySqlConfig, mode: TlsMode) -> StoreResult<Option<SslOpts>> {
    let identity = client_identity(config)?;
    if config.root_ca_path.is_none() && identity.is_none() {
        return match mode {
            TlsMode::Off => Ok(None),
            TlsMode::SkipVerify | TlsMode::Preferred => {
                Ok(Some(SslOpts::default().with_danger_accept_invalid_certs(true)))
            }
            TlsMode::Verify => Ok(Some(trusting(system_roots()))),
        };
    }
    let roots = match &config.root_ca_path {
        Some(path) => vec![root_authorities(path)?],
        None => system_roots(),
    };
    Ok(Some(trusting(roots).with_client_identity(identity)))
}

/// `roots` are PEM or DER.
fn trusting(roots: Vec<Vec<u8>>) -> SslOpts {
    let roots = roots.into_iter().map(Into::into).collect();
    SslOpts::default().with_disable_built_in_roots(true).with_root_certs(roots)
}

fn system_roots() -> Vec<Vec<u8>> {
    let found = rustls_native_certs::load_native_certs().certs;
    found.into_iter().map(|certificate| certificate.to_vec()).collect()
}

fn root_authorities(path: &Path) -> StoreResult<Vec<u8>> {
    let pem = std::fs::read(path)
        .map_err(|_| refused("invalid mysql config: cannot find Root CA defined in root_ca_path", path))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(pem),
        _ => Err(refused("invalid mysql config: failed to parse Root CA defined in root_ca_path", path)),
    }
}

fn client_identity(config: &MySqlConfig) -> StoreResult<Option<ClientIdentity>> {
    let (Some(certificate), Some(key)) = (&config.client_cert_path, &config.client_key_path) else {
        return Ok(None);
    };
    let text = "invalid mysql config: failed to load client certificate defined in client_cert_path and \
         client_key_path";
    let sound = CertificateDer::from_pem_file(certificate).is_ok();
    if !sound || PrivateKeyDer::from_pem_file(key).is_err() {
        return Err(refused(text, certificate));
    }
    Ok(Some(ClientIdentity::new(certificate.clone().into(), key.clone().into())))
}

/// SPIRE's text, with the file.
fn refused(text: &str, path: &Path) -> StoreError {
    StoreError::new(Code::InvalidArgument, format!("datastore-sql: {text}: {}", path.display()))
}
