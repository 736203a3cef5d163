//! The cost of the bare cryptography, on this machine and in this moment.

use crate::gauge::thread_cpu;
use anyhow::{Result, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, UnparsedPublicKey,
};
use std::hint::black_box;
use std::sync::mpsc;

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
        let verify = self.microseconds(|sample| self.verify(sample))?;
        let sign = self.microseconds(|sample| self.sign(sample))?;
        Ok(FloorCost { verify, sign })
    }

    /// Both for one caller at a time who waits for the answer, in a thread that sleeps in between: what waking up
    /// and cold caches cost any server that is asked for one thing at a time. Microseconds of the thread.
    pub(crate) fn measure_woken(&self) -> Result<f64> {
        let calls = PASSES * SAMPLES;
        std::thread::scope(|scope| {
            let (ask, asked) = mpsc::channel();
            let (answer, answered) = mpsc::channel();
            let server = scope.spawn(move || {
                let before = thread_cpu()?;
                for sample in asked {
                    self.verify(sample)?;
                    self.sign(sample)?;
                    answer.send(())?;
                }
                anyhow::Ok(thread_cpu()?.saturating_sub(before))
            });
            for sample in self.samples.iter().cycle().take(calls) {
                ask.send(sample).map_err(|_| anyhow!("a thread of the floor has ended"))?;
                answered.recv()?;
            }
            drop(ask);
            let spent = server.join().map_err(|_| anyhow!("a thread of the floor has panicked"))??;
            Ok(spent.as_secs_f64() * 1e6 / calls as f64)
        })
    }

    fn verify(&self, sample: &Sample) -> Result<()> {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &sample.public_key);
        key.verify(black_box(&sample.message), &sample.signature).map_err(|_| anyhow!("verifying"))
    }

    fn sign(&self, sample: &Sample) -> Result<()> {
        let signature = self.signer.sign(&self.random, black_box(&sample.message));
        black_box(signature).map(|_| ()).map_err(|_| anyhow!("signing"))
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
