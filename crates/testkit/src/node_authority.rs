//! Node certificates for agents that attest with `x509pop`, and certificates for web servers.

use anyhow::{Context, Result};
use finial_identity::x509::{
    AttributeKind, Certificate, CertificateTemplate, Criticality, DistinguishedName, Extension, Issuer,
    Profile, SerialNumber, Validity, assemble, to_be_signed,
};
use finial_identity::{KeyType, PrivateKey, SpiffeId, TrustDomain, UnixTime, pem};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The extension with alternative names.
const SUBJECT_ALT_NAME: &str = "2.5.29.17";

/// An authority of node certificates and of certificates for web servers.
pub struct NodeAuthority {
    directory: PathBuf,
    key: PrivateKey,
    certificate: Certificate,
}

impl NodeAuthority {
    /// A new authority that keeps its files in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        let trust_domain = TrustDomain::parse("example.org")?;
        let key = PrivateKey::generate(KeyType::EcP256)?;
        let subject = DistinguishedName::new(&[(AttributeKind::CommonName, "node authority")]);
        let profile = Profile::Authority { uri: trust_domain.id() };
        let certificate = sign(template(subject, &key, profile, Vec::new())?, &key, None)?;
        fs::write(directory.join("ca.key"), pem::encode("PRIVATE KEY", key.to_pkcs8()))?;
        fs::write(directory.join("ca.pem"), pem::encode("CERTIFICATE", certificate.der()))?;
        Ok(Self { directory, key, certificate })
    }

    /// The server's plugin that has this authority sign the server's own.
    pub fn upstream_plugin(&self) -> String {
        let (certificate, key) = (self.directory.join("ca.pem"), self.directory.join("ca.key"));
        let (certificate, key) = (certificate.display(), key.display());
        format!(
            "UpstreamAuthority \"disk\" {{ plugin_data {{ cert_file_path = \"{certificate}\"\n    \
             key_file_path = \"{key}\" }} }}"
        )
    }

    /// Its ID, as servers print it.
    pub fn id(&self) -> String {
        self.certificate.subject_key_id_hex()
    }

    /// The server's plugin that admits nodes of this authority.
    pub fn server_plugin(&self) -> String {
        let ca = self.directory.join("ca.pem");
        format!("NodeAttestor \"x509pop\" {{ plugin_data {{ ca_bundle_path = \"{}\" }} }}", ca.display())
    }

    /// Certifies a node, and gives the agent's plugin. Its selectors are `x509pop:subject:cn:<name>` and, for
    /// each key and value, `x509pop:san:<key>:<value>`.
    pub fn agent_plugin(&self, name: &str, san: &[(&str, &str)]) -> Result<String> {
        let key = PrivateKey::generate(KeyType::EcP256)?;
        let subject = DistinguishedName::new(&[(AttributeKind::CommonName, name)]);
        let id = SpiffeId::parse(&format!("spiffe://example.org/node/{name}"))?;
        let profile = Profile::Svid { id, dns_names: Vec::new() };
        let names = san.iter().map(|(key, value)| format!("x509pop://example.org/{key}/{value}"));
        let extra = uri_names(&names.collect::<Vec<_>>());
        let extra = Extension::new(SUBJECT_ALT_NAME, Criticality::NonCritical, extra).context("extension")?;
        let extra = if san.is_empty() { Vec::new() } else { vec![extra] };
        let certificate = sign(template(subject, &key, profile, extra)?, &self.key, Some(&self.certificate))?;
        let (key_path, certificate_path) = (self.file(name, "key"), self.file(name, "pem"));
        fs::write(&key_path, pem::encode("PRIVATE KEY", key.to_pkcs8()))?;
        fs::write(&certificate_path, pem::encode("CERTIFICATE", certificate.der()))?;
        let (key_path, certificate_path) = (key_path.display(), certificate_path.display());
        Ok(format!(
            "NodeAttestor \"x509pop\" {{ plugin_data {{\n        private_key_path = \"{key_path}\"\n        \
             certificate_path = \"{certificate_path}\"\n    }} }}"
        ))
    }

    /// The file with its own certificate.
    pub fn certificate_file(&self) -> PathBuf {
        self.directory.join("ca.pem")
    }

    /// Certifies a web server on `localhost`; gives the files of the certificate and of its key. Doing so again
    /// under the same name replaces them.
    pub fn web_server(&self, name: &str) -> Result<(PathBuf, PathBuf)> {
        let key = PrivateKey::generate(KeyType::EcP256)?;
        let subject = DistinguishedName::new(&[(AttributeKind::CommonName, name)]);
        let id = SpiffeId::parse(&format!("spiffe://example.org/web/{name}"))?;
        let profile = Profile::Svid { id, dns_names: vec!["localhost".to_owned()] };
        let certificate =
            sign(template(subject, &key, profile, Vec::new())?, &self.key, Some(&self.certificate))?;
        let (certificate_path, key_path) = (self.file(name, "pem"), self.file(name, "key"));
        fs::write(&certificate_path, pem::encode("CERTIFICATE", certificate.der()))?;
        fs::write(&key_path, pem::encode("PRIVATE KEY", key.to_pkcs8()))?;
        Ok((certificate_path, key_path))
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        Path::new(&self.directory).join(format!("{name}.{extension}"))
    }
}

fn template(
    subject: DistinguishedName,
    key: &PrivateKey,
    profile: Profile,
    extra_extensions: Vec<Extension>,
) -> Result<CertificateTemplate> {
    let now = UnixTime::from(SystemTime::now());
    Ok(CertificateTemplate {
        serial: SerialNumber::random()?,
        subject,
        validity: Validity {
            not_before: now.plus_seconds(-86_400),
            not_after: now.plus_seconds(30 * 86_400),
        },
        subject_key: key.public_key().clone(),
        profile,
        extra_extensions,
    })
}

fn sign(
    template: CertificateTemplate,
    key: &PrivateKey,
    issuer: Option<&Certificate>,
) -> Result<Certificate> {
    let scheme = key.public_key().certificate_scheme().context("a key that cannot sign certificates")?;
    let subject_der = issuer.map_or(template.subject.der(), Certificate::raw_subject);
    let key_id = issuer.and_then(Certificate::subject_key_id);
    let tbs = to_be_signed(&template, &Issuer { subject_der, key_id, scheme });
    Ok(Certificate::from_der(&assemble(&tbs, scheme, &key.sign(scheme, &tbs)?))?)
}

/// `GeneralNames` with these URIs. They must be short: lengths are one byte.
fn uri_names(uris: &[String]) -> Vec<u8> {
    let mut names = Vec::new();
    for uri in uris {
        names.push(0x86);
        names.push(u8::try_from(uri.len()).unwrap_or(u8::MAX));
        names.extend_from_slice(uri.as_bytes());
    }
    let mut sequence = vec![0x30, u8::try_from(names.len()).unwrap_or(u8::MAX)];
    sequence.append(&mut names);
    sequence
}
