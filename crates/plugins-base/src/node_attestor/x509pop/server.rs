//! The server's end.

use super::challenge::{Challenge, Response};
use super::describe::{self, OtherNames};
use super::{NAME, Payload, chain};
use crate::agent_path_template::{AgentPathTemplate, TemplateError};
use crate::certificate_files;
use crate::problem::{InvalidConfig, Problem};
use async_trait::async_trait;
use finial_identity::x509::{Certificate, KeyUsage};
use finial_identity::{Bundle, Code, Failure, SpiffeId, TrustDomain};
use finial_plugin::node_attestor::{Attestation, Challenger, ServerNodeAttestor};
use finial_runtime::clock::Clock;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// Longest payload: far more than a chain of the largest keys.
const PAYLOAD_MAX: usize = 1 << 20;
/// Longest answer.
const RESPONSE_MAX: usize = 16 << 10;

const MAX_INTERMEDIATES: i64 = 4;
const MAX_RSA_KEY_SIZE: i64 = 8192;
const SPIFFE_PREFIX: &str = "/spire-exchange/";
const EXTERNAL_PKI_TEMPLATE: &str = "/{{ .PluginName }}/{{ .Fingerprint }}";
const SPIFFE_TEMPLATE: &str = "/{{ .PluginName }}/{{ .SVIDPathTrimmed }}";

/// The configuration of the server's `x509pop`; an empty text is as good as none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct X509PopServerConfig {
    /// `mode`: `external_pki` (the default) trusts the CA bundle, `spiffe` this server's own authorities.
    pub mode: Option<String>,
    /// `spiffe_prefix`: in mode `spiffe`, the paths that may be exchanged for an agent's; `/spire-exchange/`.
    pub spiffe_prefix: Option<String>,
    /// `ca_bundle_path`: a PEM file of trusted authorities.
    pub ca_bundle_path: Option<PathBuf>,
    /// `ca_bundle_paths`: several PEM files, instead of one.
    pub ca_bundle_paths: Vec<PathBuf>,
    /// `agent_path_template`: what follows `/spire/agent` in an agent's ID.
    pub agent_path_template: Option<String>,
    /// `max_intermediates`: the longest chain, not counting the leaf; 4.
    pub max_intermediates: Option<i64>,
    /// `max_rsa_key_size`: the longest RSA key, in bits; 8192, and longer ones are never supported.
    pub max_rsa_key_size: Option<i64>,
    /// `verify_client_ip`: the agent's address must be among the addresses of its certificate.
    pub verify_client_ip: bool,
}

impl X509PopServerConfig {
    /// All that is wrong. Reads the CA bundle.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        self.settle().err().unwrap_or_default()
    }

    fn settle(&self) -> Result<Settings, Vec<Problem>> {
        let mut problems = Vec::new();
        let mode = self.mode(&mut problems);
        let path_template = self.path_template(&mode, &mut problems);
        let max_intermediates =
            at_least_one("max_intermediates", self.max_intermediates, MAX_INTERMEDIATES, &mut problems);
        let max_rsa_bits =
            at_least_one("max_rsa_key_size", self.max_rsa_key_size, MAX_RSA_KEY_SIZE, &mut problems);
        match path_template {
            Some(path_template) if problems.is_empty() => {
                let verify_client_ip = self.verify_client_ip;
                Ok(Settings { mode, path_template, max_intermediates, max_rsa_bits, verify_client_ip })
            }
            _ => Err(problems),
        }
    }

    fn mode(&self, problems: &mut Vec<Problem>) -> Mode {
        match self.mode.as_deref().filter(|mode| !mode.is_empty()).unwrap_or("external_pki") {
            "spiffe" => {
                if let Some((key, _)) = self.ca_bundles().first() {
                    let message = "you can not use ca_bundle_path or ca_bundle_paths in spiffe mode";
                    problems.push(Problem::new(key, message));
                }
                let mut prefix = self.spiffe_prefix.clone().unwrap_or_else(|| SPIFFE_PREFIX.to_owned());
                if !prefix.ends_with('/') {
                    prefix.push('/');
                }
                Mode::Spiffe { prefix }
            }
            "external_pki" => Mode::ExternalPki { roots: self.roots(problems) },
            _ => {
                problems.push(Problem::new("mode", "mode can only be either spiffe or external_pki"));
                Mode::ExternalPki { roots: Vec::new() }
            }
        }
    }

    /// The files of the CA bundle, each with the key that names it.
    fn ca_bundles(&self) -> Vec<(&'static str, &Path)> {
        let one = self.ca_bundle_path.iter().filter(|path| !path.as_os_str().is_empty());
        let one = one.map(|path| ("ca_bundle_path", path.as_path()));
        one.chain(self.ca_bundle_paths.iter().map(|path| ("ca_bundle_paths", path.as_path()))).collect()
    }

    fn roots(&self, problems: &mut Vec<Problem>) -> Vec<Certificate> {
        let bundles = self.ca_bundles();
        match (bundles.first(), bundles.last()) {
            (Some((first, _)), Some((last, _))) if first != last => problems.push(Problem::new(
                "ca_bundle_paths",
                "only one of ca_bundle_path or ca_bundle_paths can be configured, not both",
            )),
            (None, _) => problems.push(Problem::new(
                "ca_bundle_path",
                "one of ca_bundle_path or ca_bundle_paths must be configured",
            )),
            _ => {}
        }
        let mut roots = Vec::new();
        for (key, path) in bundles {
            match certificate_files::load_certificates(path) {
                Ok(certificates) => roots.extend(certificates),
                Err(message) => {
                    let message =
                        format!("unable to load trust bundle {:?}: {message}", path.display().to_string());
                    problems.push(Problem::new(key, message));
                }
            }
        }
        roots
    }

    fn path_template(&self, mode: &Mode, problems: &mut Vec<Problem>) -> Option<AgentPathTemplate> {
        let default = match mode {
            Mode::ExternalPki { .. } => EXTERNAL_PKI_TEMPLATE,
            Mode::Spiffe { .. } => SPIFFE_TEMPLATE,
        };
        let text = self.agent_path_template.as_deref().filter(|text| !text.is_empty()).unwrap_or(default);
        let checked = |template: AgentPathTemplate| -> Result<AgentPathTemplate, TemplateError> {
            template.check_fields(describe::TEMPLATE_FIELDS)?;
            Ok(template)
        };
        AgentPathTemplate::parse(text)
            .and_then(checked)
            .map_err(|error| {
                let message = format!("failed to parse agent svid template: {text:?}: {error}");
                problems.push(Problem::new("agent_path_template", message));
            })
            .ok()
    }
}

fn at_least_one(key: &'static str, given: Option<i64>, default: i64, problems: &mut Vec<Problem>) -> usize {
    let value = given.unwrap_or(default);
    if value <= 0 {
        problems.push(Problem::new(key, format!("{key} must be greater than 0")));
    }
    usize::try_from(value).unwrap_or(0)
}

struct Settings {
    mode: Mode,
    path_template: AgentPathTemplate,
    max_intermediates: usize,
    max_rsa_bits: usize,
    verify_client_ip: bool,
}

enum Mode {
    ExternalPki {
        roots: Vec<Certificate>,
    },
    /// The prefix ends with a slash.
    Spiffe {
        prefix: String,
    },
}

/// Believes an agent that holds the key of a certificate from a trusted authority.
pub struct X509PopServer {
    settings: Settings,
    trust_domain: TrustDomain,
    own_bundle: watch::Receiver<Option<Arc<Bundle>>>,
    clock: Arc<dyn Clock>,
}

impl X509PopServer {
    /// Reads the CA bundle; blocks shortly. `own_bundle` is this server's bundle, nothing until it is there; it
    /// is looked at in mode `spiffe` only.
    pub fn new(
        config: &X509PopServerConfig,
        trust_domain: TrustDomain,
        own_bundle: watch::Receiver<Option<Arc<Bundle>>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidConfig> {
        let settings = config.settle().map_err(InvalidConfig)?;
        Ok(Self { settings, trust_domain, own_bundle, clock })
    }

    /// Leaf and intermediates, within the limits.
    fn read_chain(&self, payload: &[u8]) -> Result<(Certificate, Vec<Certificate>), Failure> {
        if payload.len() > PAYLOAD_MAX {
            return Err(Failure::invalid("failed to unmarshal data: too long"));
        }
        let payload: Payload = serde_json::from_slice(payload)
            .map_err(|error| Failure::invalid(format!("failed to unmarshal data: {error}")))?;
        let (leaf, others) =
            payload.certificates.split_first().ok_or_else(|| Failure::invalid("no certificate to attest"))?;
        if others.len() > self.settings.max_intermediates {
            return Err(Failure::invalid("too many intermediate certificates"));
        }
        let leaf = Certificate::from_der(&leaf.0)
            .map_err(|error| Failure::invalid(format!("unable to parse leaf certificate: {error}")))?;
        if self.is_too_large(&leaf) {
            return Err(Failure::invalid("leaf certificate key size too large"));
        }
        let mut intermediates = Vec::with_capacity(others.len());
        for (number, der) in others.iter().enumerate() {
            let one = Certificate::from_der(&der.0).map_err(|error| {
                Failure::invalid(format!("unable to parse intermediate certificate {number}: {error}"))
            })?;
            if self.is_too_large(&one) {
                return Err(Failure::invalid(format!(
                    "intermediate certificate {number} key size too large"
                )));
            }
            intermediates.push(one);
        }
        Ok((leaf, intermediates))
    }

    fn is_too_large(&self, certificate: &Certificate) -> bool {
        describe::rsa_bits(certificate).is_some_and(|bits| bits > self.settings.max_rsa_bits)
    }

    /// Who vouches for the leaf.
    fn verify_chain(
        &self,
        leaf: &Certificate,
        intermediates: &[Certificate],
    ) -> Result<Vec<Certificate>, Failure> {
        let now = self.clock.now().into();
        let verdict = match &self.settings.mode {
            Mode::ExternalPki { roots } => chain::verify(leaf, intermediates, roots, now),
            Mode::Spiffe { .. } => chain::verify(leaf, intermediates, &self.own_authorities()?, now),
        };
        verdict.map_err(|error| denied(format!("certificate verification failed: x509: {error}")))
    }

    fn own_authorities(&self) -> Result<Vec<Certificate>, Failure> {
        let bundle = self.own_bundle.borrow();
        let bundle = bundle.as_ref().ok_or_else(|| {
            Failure::new(Code::Unavailable, "failed to get trust bundle: the server is still starting")
        })?;
        Ok(bundle.x509_authorities.iter().map(|authority| authority.certificate.clone()).collect())
    }

    fn check_peer(&self, leaf: &Certificate, peer: Option<IpAddr>) -> Result<(), Failure> {
        if !self.settings.verify_client_ip {
            return Ok(());
        }
        let peer =
            peer.ok_or_else(|| Failure::internal("client IP not available for verification"))?.to_canonical();
        if OtherNames::of(leaf).ip_addresses.iter().any(|address| address.to_canonical() == peer) {
            return Ok(());
        }
        Err(denied(format!("client IP {peer} does not match any certificate IP SAN")))
    }

    async fn prove_possession(
        &self,
        leaf: &Certificate,
        challenger: &mut dyn Challenger,
    ) -> Result<(), Failure> {
        let unable = |why: String| Failure::internal(format!("unable to generate challenge: {why}"));
        if !leaf.key_usage().contains(KeyUsage::DIGITAL_SIGNATURE) {
            return Err(unable("certificate not intended for digital signature use".into()));
        }
        let key = leaf.public_key().map_err(|error| unable(error.to_string()))?;
        let challenge = Challenge::generate(&key).map_err(|error| unable(error.to_string()))?;
        let message = serde_json::to_vec(&challenge)
            .map_err(|error| Failure::internal(format!("unable to marshal challenge: {error}")))?;
        let answer = challenger.challenge(message).await?;
        if answer.len() > RESPONSE_MAX {
            return Err(Failure::invalid("unable to unmarshal challenge response: too long"));
        }
        let response: Response = serde_json::from_slice(&answer)
            .map_err(|error| Failure::invalid(format!("unable to unmarshal challenge response: {error}")))?;
        challenge
            .verify(&key, &response)
            .map_err(|error| denied(format!("challenge response verification failed: {error}")))
    }

    /// What follows the prefix in the leaf's SPIFFE ID; nothing in mode `external_pki`.
    fn svid_path(&self, leaf: &Certificate) -> Result<String, Failure> {
        let Mode::Spiffe { prefix } = &self.settings.mode else { return Ok(String::new()) };
        let absent = || denied("valid SVID x509 cert not found");
        let uri = leaf.uris().iter().find(|uri| uri.starts_with("spiffe://")).ok_or_else(absent)?;
        // Stricter than SPIRE: a whole SPIFFE ID, and of this trust domain.
        let id = SpiffeId::parse(uri).map_err(|_| absent())?;
        self.trust_domain.require_member(&id).map_err(|error| denied(error.to_string()))?;
        let rest = id.path().strip_prefix(prefix.as_str());
        rest.map(str::to_owned).ok_or_else(|| denied("x509 cert doesnt match SVID prefix"))
    }
}

fn denied(message: impl Into<String>) -> Failure {
    Failure::new(Code::PermissionDenied, message)
}

#[async_trait]
impl ServerNodeAttestor for X509PopServer {
    fn name(&self) -> &str {
        NAME
    }

    async fn attest(
        &self,
        payload: &[u8],
        peer: Option<IpAddr>,
        challenger: &mut dyn Challenger,
    ) -> Result<Attestation, Failure> {
        let (leaf, intermediates) = self.read_chain(payload)?;
        let vouching = self.verify_chain(&leaf, &intermediates)?;
        self.check_peer(&leaf, peer)?;
        self.prove_possession(&leaf, challenger).await?;
        let svid_path = self.svid_path(&leaf)?;
        let san = describe::san_selectors(&leaf, &self.trust_domain);
        let data = describe::template_data(&leaf, &self.trust_domain, &svid_path, &san);
        let agent_id = self
            .settings
            .path_template
            .agent_id(&self.trust_domain, &data)
            .map_err(|error| Failure::internal(format!("failed to make spiffe id: {error}")))?;
        let selectors = describe::selectors(&leaf, &vouching, &san);
        Ok(Attestation { agent_id, selectors, can_reattest: true })
    }
}
