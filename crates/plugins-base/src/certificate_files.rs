//! Certificates and keys that operators keep in PEM files.

use finial_identity::x509::Certificate;
use finial_identity::{PrivateKey, pem};
use finial_runtime::files::{self, FileError};
use std::error::Error as _;
use std::path::Path;
use zeroize::Zeroizing;

const FILE_MAX: u64 = 16 << 20;

/// All certificates of a file, at least one. Blocks shortly.
pub(crate) fn load_certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let text = files::read_bounded(path, FILE_MAX).map_err(with_cause)?;
    let mut certificates = Vec::new();
    for (number, block) in pem::decode_all(&text).into_iter().enumerate() {
        if block.label == "CERTIFICATE" {
            let certificate = Certificate::from_der(&block.der).map_err(|error| {
                format!("unable to parse certificate in block {number} of {}: {error}", path.display())
            })?;
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(format!("no certificates found in file {}", path.display()));
    }
    Ok(certificates)
}

/// The first private key of a file, in any of the usual formats. Blocks shortly.
pub(crate) fn load_private_key(path: &Path) -> Result<PrivateKey, String> {
    let text = Zeroizing::new(files::read_bounded(path, FILE_MAX).map_err(with_cause)?);
    let mut key = None;
    for block in pem::decode_all(&text) {
        let der = Zeroizing::new(block.der);
        let is_key = block.label == "PRIVATE KEY" || block.label.ends_with(" PRIVATE KEY");
        if is_key && key.is_none() {
            key = Some(PrivateKey::from_der_any(&der));
        }
    }
    match key {
        Some(key) => {
            key.map_err(|error| format!("cannot read the private key of {}: {error}", path.display()))
        }
        None => Err(format!("no private key found in file {}", path.display())),
    }
}

fn with_cause(error: FileError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
