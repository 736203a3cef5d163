//! The agent's end.

use super::challenge::{Challenge, signing_scheme};
use super::{Bytes, NAME, Payload};
use crate::certificate_files;
use crate::problem::{InvalidConfig, Problem};
use async_trait::async_trait;
use finial_identity::x509::Certificate;
use finial_identity::{Failure, PrivateKey};
use finial_plugin::node_attestor::{AgentNodeAttestor, Prover};
use std::path::PathBuf;

/// The configuration of the agent's `x509pop`; an empty text is as good as none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct X509PopAgentConfig {
    /// `private_key_path`: the key in PEM.
    pub private_key_path: PathBuf,
    /// `certificate_path`: the certificate in PEM, intermediates may follow.
    pub certificate_path: PathBuf,
    /// `intermediates_path`: further intermediates in PEM.
    pub intermediates_path: Option<PathBuf>,
    /// `spiffe_endpoint_socket`: take key and certificate from a Workload API instead. Not offered yet.
    pub spiffe_endpoint_socket: Option<String>,
}

impl X509PopAgentConfig {
    /// All that is wrong. Reads the files, if the keys are there.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.spiffe_endpoint_socket.as_deref().is_some_and(|socket| !socket.is_empty()) {
            let message = "spiffe_endpoint_socket is not supported yet; write the SVID and its key to files and use \
                           certificate_path and private_key_path";
            return vec![Problem::new("spiffe_endpoint_socket", message)];
        }
        if self.private_key_path.as_os_str().is_empty() {
            problems.push(Problem::new("private_key_path", "private_key_path is required"));
        }
        if self.certificate_path.as_os_str().is_empty() {
            problems.push(Problem::new("certificate_path", "certificate_path is required"));
        }
        if problems.is_empty() {
            problems.extend(self.load().err());
        }
        problems
    }

    fn load(&self) -> Result<Credentials, Problem> {
        let of = |key, message: String| Problem::new(key, format!("unable to load keypair: {message}"));
        let mut chain = certificate_files::load_certificates(&self.certificate_path)
            .map_err(|message| of("certificate_path", message))?;
        let key = certificate_files::load_private_key(&self.private_key_path)
            .map_err(|message| of("private_key_path", message))?;
        if signing_scheme(key.public_key().kind()).is_none() {
            return Err(of("private_key_path", "unsupported private key type".into()));
        }
        let certified = chain.first().and_then(|leaf| leaf.public_key().ok());
        if certified.is_none_or(|certified| certified.bits() != key.public_key().bits()) {
            return Err(of("private_key_path", "private key does not match public key".into()));
        }
        if let Some(path) = self.intermediates_path.as_ref().filter(|path| !path.as_os_str().is_empty()) {
            let more = certificate_files::load_certificates(path).map_err(|message| {
                Problem::new(
                    "intermediates_path",
                    format!("unable to load intermediate certificates: {message}"),
                )
            })?;
            chain.extend(more);
        }
        Ok(Credentials { chain, key })
    }
}

struct Credentials {
    chain: Vec<Certificate>,
    key: PrivateKey,
}

/// Proves that the agent holds the key of a certificate. The files are read for each attestation, so that they
/// may be renewed while the agent runs.
pub struct X509PopAgent {
    config: X509PopAgentConfig,
}

impl X509PopAgent {
    /// Checks the configuration, reading the files once. Blocks shortly.
    pub fn new(config: X509PopAgentConfig) -> Result<Self, InvalidConfig> {
        InvalidConfig::unless_empty(config.validate())?;
        Ok(Self { config })
    }
}

#[async_trait]
impl AgentNodeAttestor for X509PopAgent {
    fn name(&self) -> &str {
        NAME
    }

    async fn begin(&self) -> Result<Box<dyn Prover>, Failure> {
        let credentials = self.config.load().map_err(|problem| Failure::invalid(problem.message))?;
        let certificates =
            credentials.chain.iter().map(|certificate| Bytes(certificate.der().to_vec())).collect();
        let payload = serde_json::to_vec(&Payload { certificates })
            .map_err(|error| Failure::internal(format!("unable to marshal attestation data: {error}")))?;
        Ok(Box::new(Holder { payload, key: credentials.key }))
    }
}

struct Holder {
    payload: Vec<u8>,
    key: PrivateKey,
}

#[async_trait]
impl Prover for Holder {
    fn payload(&self) -> Vec<u8> {
        self.payload.clone()
    }

    async fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failure> {
        let challenge: Challenge = serde_json::from_slice(challenge)
            .map_err(|error| Failure::internal(format!("unable to unmarshal challenge: {error}")))?;
        let response = challenge
            .answer(&self.key)
            .map_err(|error| Failure::internal(format!("failed to calculate challenge response: {error}")))?;
        serde_json::to_vec(&response)
            .map_err(|error| Failure::internal(format!("unable to marshal challenge response: {error}")))
    }
}
