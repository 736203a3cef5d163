//! A certificate of the web in two files that somebody else renews: read again now and then.

use crate::federation::ServingCertificateFiles;
use finial_runtime::files::{FileError, read_bounded};
use finial_runtime::logging::chain;
use finial_wire::tls::{WebCertificate, WebCertificateCell, WebCertificateError};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::{error, info};

/// Longest file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;
const SUBSYSTEM: &str = "bundle_endpoint";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServingCertificateError {
    /// A file cannot be read.
    #[error("failed to load certificate")]
    File(#[from] FileError),
    /// The files are not what they should be.
    #[error("failed to load certificate: {certificates:?} with {key:?}")]
    Content {
        /// The file with certificates.
        certificates: String,
        /// The file with the key.
        key: String,
        /// What is wrong.
        source: WebCertificateError,
    },
    /// Reading was broken off.
    #[error("failed to load certificate: reading was broken off")]
    Broken,
}

/// The content of both files.
type Content = (Vec<u8>, Vec<u8>);

/// The files and the certificate that was in them.
pub struct ServingCertificate {
    files: ServingCertificateFiles,
    cell: Arc<WebCertificateCell>,
    /// What was last read, good or bad.
    seen: Mutex<Content>,
}

impl ServingCertificate {
    /// Reads the files; they must be good now.
    pub async fn load(files: ServingCertificateFiles) -> Result<Arc<Self>, ServingCertificateError> {
        let content = read(files.clone()).await?;
        let cell = WebCertificateCell::with(understand(&files, &content)?);
        let interval = finial_runtime::config::GoDuration::from(files.sync_interval).to_string();
        info!(interval, subsystem_name = SUBSYSTEM, "Started watching certificate files");
        Ok(Arc::new(Self { files, cell, seen: Mutex::new(content) }))
    }

    /// Where TLS finds the certificate.
    pub fn cell(&self) -> Arc<WebCertificateCell> {
        Arc::clone(&self.cell)
    }

    /// How often to call [`Self::sync`].
    pub fn sync_interval(&self) -> Duration {
        self.files.sync_interval
    }

    /// Reads the files again. As long as they are not good, the certificate that was good is served.
    pub async fn sync(&self) -> Result<(), Infallible> {
        if let Err(error) = self.reload().await {
            error!(error = %chain(&error), subsystem_name = SUBSYSTEM, "Failed to load certificate");
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), ServingCertificateError> {
        let content = read(self.files.clone()).await?;
        if *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == content {
            return Ok(());
        }
        info!(subsystem_name = SUBSYSTEM, "File change detected, reloading certificate and key...");
        let understood = understand(&self.files, &content);
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = content;
        self.cell.set(understood?);
        info!(subsystem_name = SUBSYSTEM, "Loaded provided certificate with success");
        Ok(())
    }
}

async fn read(files: ServingCertificateFiles) -> Result<Content, ServingCertificateError> {
    let both =
        move || Ok((read_bounded(&files.certificates, FILE_MAX)?, read_bounded(&files.key, FILE_MAX)?));
    tokio::task::spawn_blocking(both).await.unwrap_or(Err(ServingCertificateError::Broken))
}

fn understand(
    files: &ServingCertificateFiles,
    (certificates, key): &Content,
) -> Result<WebCertificate, ServingCertificateError> {
    WebCertificate::from_pem(certificates, key).map_err(|source| ServingCertificateError::Content {
        certificates: files.certificates.display().to_string(),
        key: files.key.display().to_string(),
        source,
    })
}
