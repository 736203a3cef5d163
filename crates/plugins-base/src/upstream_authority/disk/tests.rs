//! Files that are right, wrong, and replaced.

use super::*;
use finial_identity::x509::{
    CertificateTemplate, DistinguishedName, Issuer, Profile, SerialNumber, Validity, assemble, to_be_signed,
};
use finial_identity::{KeyType, PrivateKey, pem};
use finial_plugin::conformance::upstream_authority::check;
use finial_runtime::clock::TestClock;
use std::fs;
use tempfile::TempDir;

const NOW: u64 = 1_800_000_000;

struct Ca {
    key: PrivateKey,
    certificate: Certificate,
}

fn trust_domain() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

/// An authority, of itself or of another.
fn ca(issuer: Option<&Ca>) -> Ca {
    let key = PrivateKey::generate(KeyType::EcP256).unwrap();
    let now = UnixTime::from_seconds(NOW as i64);
    let serial = SerialNumber::random().unwrap();
    let template = CertificateTemplate {
        serial,
        subject: DistinguishedName::spire()
            .with(finial_identity::x509::AttributeKind::SerialNumber, &[&serial.to_decimal()]),
        validity: Validity { not_before: now.plus_seconds(-60), not_after: now.plus_seconds(3600) },
        subject_key: key.public_key().clone(),
        profile: Profile::Authority { uri: trust_domain().id() },
        extra_extensions: Vec::new(),
    };
    let signer = issuer.map_or(&key, |issuer| &issuer.key);
    let scheme = signer.public_key().certificate_scheme().unwrap();
    let issuer = Issuer {
        subject_der: issuer.map_or(template.subject.der(), |issuer| issuer.certificate.raw_subject()),
        key_id: issuer.and_then(|issuer| issuer.certificate.subject_key_id()),
        scheme,
    };
    let tbs = to_be_signed(&template, &issuer);
    let signature = signer.sign(scheme, &tbs).unwrap();
    let certificate = Certificate::from_der(&assemble(&tbs, scheme, &signature)).unwrap();
    Ca { key, certificate }
}

struct Files {
    folder: TempDir,
    clock: TestClock,
}

impl Files {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), clock: TestClock::at_unix(NOW) }
    }

    fn write(&self, name: &str, certificates: &[&Certificate]) -> PathBuf {
        let path = self.folder.path().join(name);
        let text: String = certificates.iter().map(|one| pem::encode("CERTIFICATE", one.der())).collect();
        fs::write(&path, text).unwrap();
        path
    }

    fn write_key(&self, key: &PrivateKey) -> PathBuf {
        let path = self.folder.path().join("key.pem");
        fs::write(&path, pem::encode("PRIVATE KEY", key.to_pkcs8())).unwrap();
        path
    }

    fn open(&self, config: &DiskUpstreamConfig) -> Result<DiskUpstream, String> {
        let opened = DiskUpstream::open(config.clone(), trust_domain(), Arc::new(self.clock.clone()));
        opened.map_err(|error| error.to_string())
    }

    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

#[tokio::test]
async fn a_root_of_its_own() {
    let (files, root) = (Files::new(), ca(None));
    let config = DiskUpstreamConfig {
        cert_file_path: files.write("cert.pem", &[&root.certificate]),
        key_file_path: files.write_key(&root.key),
        bundle_file_path: None,
    };
    let disk = files.open(&config).unwrap();
    check(&disk, &trust_domain(), files.now()).await;

    // Replaced while it runs.
    let next = ca(None);
    files.write("cert.pem", &[&next.certificate]);
    files.write_key(&next.key);
    check(&disk, &trust_domain(), files.now()).await;
    assert_eq!(disk.current().roots, [X509Authority::new(next.certificate.clone())]);

    // Gone or half replaced: what was read last signs.
    files.write_key(&root.key);
    check(&disk, &trust_domain(), files.now()).await;
    fs::remove_file(&config.cert_file_path).unwrap();
    check(&disk, &trust_domain(), files.now()).await;
    assert_eq!(disk.current().roots, [X509Authority::new(next.certificate)]);
}

#[tokio::test]
async fn below_a_root() {
    let (files, root) = (Files::new(), ca(None));
    let middle = ca(Some(&root));
    let signer = ca(Some(&middle));
    let config = DiskUpstreamConfig {
        cert_file_path: files.write("cert.pem", &[&signer.certificate, &middle.certificate]),
        key_file_path: files.write_key(&signer.key),
        bundle_file_path: Some(files.write("bundle.pem", &[&root.certificate])),
    };
    check(&files.open(&config).unwrap(), &trust_domain(), files.now()).await;
}

#[test]
fn what_is_wrong_is_said() {
    let (files, root, other) = (Files::new(), ca(None), ca(None));
    let refused = |config: &DiskUpstreamConfig| files.open(config).err().unwrap();
    let both = "'cert_file_path' and 'key_file_path' must be set and not empty";
    assert_eq!(
        refused(&DiskUpstreamConfig::default()),
        format!("cert_file_path: {both}; key_file_path: {both}")
    );
    let mut config = DiskUpstreamConfig {
        cert_file_path: files.write("cert.pem", &[&root.certificate]),
        key_file_path: files.write_key(&other.key),
        bundle_file_path: None,
    };
    let text = refused(&config);
    assert!(text.ends_with("certificate and private key do not match"), "{text}");

    files.write_key(&root.key);
    files.write("cert.pem", &[&root.certificate, &other.certificate]);
    let text = refused(&config);
    assert!(text.ends_with("only self-signed CAs are supported"), "{text}");

    config.bundle_file_path = Some(files.write("bundle.pem", &[&other.certificate]));
    files.write("cert.pem", &[&root.certificate]);
    let text = refused(&config);
    assert!(text.ends_with("provided bundle or is not self-signed"), "{text}");

    config.key_file_path = files.folder.path().join("nowhere");
    let text = refused(&config);
    assert!(text.starts_with("key_file_path: unable to load upstream CA key: "), "{text}");
}
