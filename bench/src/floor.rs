//! The cost of the bare cryptography, on this machine and in this moment.

use crate::gauge::thread_cpu;
use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use std::hint::black_box;

/// As long as what is signed in a certificate request or a certificate.
const MESSAGE_LENGTH: usize = 300;
/// Different keys, so that no verification is of a key that was just used.
const SAMPLES: usize = 64;
/// How often everything is done for one figure.
const PASSES: usize = 8;

/// Signs and verifies with P-256.
pub(crate) struct Floor {
    signer: EcdsaKeyPair,
    random: SystemRandom,
    samples: Vec<Sample>,
}

struct Sample {
    public_key: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

/// CPU time in microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FloorCost {
    /// One verification by a key not seen before.
    pub(crate) verify: f64,
    /// One signature by a key that is ready.
    pub(crate) sign: f64,
}

impl FloorCost {
    /// What no X509-SVID can cost less than: its request is verified, its certificate signed.
    pub(crate) fn both(&self) -> f64 {
        self.verify + self.sign
    }
}

impl Floor {
    /// Makes keys and signatures.
    pub(crate) fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let sample = |number: usize| -> Result<Sample> {
            let key = new_key()?;
            let message = vec![number.to_le_bytes()[0]; MESSAGE_LENGTH];
            let signature = key.sign(&random, &message).map_err(|_| anyhow!("signing"))?.as_ref().to_vec();
            Ok(Sample { public_key: key.public_key().as_ref().to_vec(), message, signature })
        };
        let samples = (0..SAMPLES).map(sample).collect::<Result<_>>()?;
        Ok(Self { signer: new_key()?, random, samples })
    }

    /// Measures both; takes some 40 ms.
    pub(crate) fn measure(&self) -> Result<FloorCost> {
        let verify = self.microseconds(|sample| {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &sample.public_key);
            key.verify(black_box(&sample.message), &sample.signature).map_err(|_| anyhow!("verifying"))
        })?;
        let sign = self.microseconds(|sample| {
            let signature = self.signer.sign(&self.random, black_box(&sample.message));
            black_box(signature).map(|_| ()).map_err(|_| anyhow!("signing"))
        })?;
        Ok(FloorCost { verify, sign })
    }

    fn microseconds(&self, operation: impl Fn(&Sample) -> Result<()>) -> Result<f64> {
        let before = thread_cpu()?;
        for sample in self.samples.iter().cycle().take(PASSES * SAMPLES) {
            operation(sample)?;
        }
        let spent = thread_cpu()?.saturating_sub(before);
        Ok(spent.as_secs_f64() * 1e6 / (PASSES * SAMPLES) as f64)
    }
}

fn new_key() -> Result<EcdsaKeyPair> {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(|_| anyhow!("making a key"))
}
