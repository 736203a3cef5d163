//! Minted SVIDs.

use crate::output::Fault;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use finial_identity::{PrivateKey, pem};
use std::io::Write;

/// What `x509 mint` made.
#[derive(Debug)]
pub(crate) struct MintedX509 {
    /// The leaf, and after it the intermediates, in DER.
    pub(crate) chain: Vec<Bytes>,
    /// The key of the leaf.
    pub(crate) key: PrivateKey,
    /// The authorities of the trust domain, in DER.
    pub(crate) roots: Vec<Bytes>,
}

impl MintedX509 {
    /// The chain in PEM.
    pub(crate) fn chain_pem(&self) -> String {
        certificates_pem(&self.chain)
    }

    /// The key in PEM.
    pub(crate) fn key_pem(&self) -> String {
        pem::encode("PRIVATE KEY", self.key.to_pkcs8())
    }

    /// The authorities in PEM.
    pub(crate) fn roots_pem(&self) -> String {
        certificates_pem(&self.roots)
    }

    /// As JSON, in the order of SPIRE's structure.
    pub(crate) fn to_json(&self) -> String {
        let list = |ders: &[Bytes]| {
            let items: Vec<String> = ders.iter().map(|der| format!("\"{}\"", STANDARD.encode(der))).collect();
            items.join(",")
        };
        let key = STANDARD.encode(self.key.to_pkcs8());
        let (chain, roots) = (list(&self.chain), list(&self.roots));
        format!("{{\"x509_svid\":[{chain}],\"private_key\":\"{key}\",\"root_cas\":[{roots}]}}")
    }
}

fn certificates_pem(ders: &[Bytes]) -> String {
    ders.iter().map(|der| pem::encode("CERTIFICATE", der)).collect()
}

/// The result of `x509 mint`.
pub(crate) fn print_minted(out: &mut impl Write, minted: &MintedX509) -> Result<(), Fault> {
    writeln!(out, "X509-SVID:\n{}", minted.chain_pem())?;
    writeln!(out, "Private key:\n{}", minted.key_pem())?;
    writeln!(out, "Root CAs:\n{}", minted.roots_pem())?;
    Ok(())
}
