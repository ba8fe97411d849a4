//! Which certificates are trusted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

type Roots = Vec<CertificateDer<'static>>;

/// Makes the TLS configuration at the first connection (reading a trust store can take a while) and
/// keeps it: it also holds the sessions that later connections resume.
pub(super) struct Trust {
    /// From `ca_file`.
    extra: Roots,
    ssl_cert_file: Option<PathBuf>,
    ssl_cert_dir: Option<PathBuf>,
    /// Don't ask the operating system.
    bundled_only: bool,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    pub(super) fn new(
        extra: Roots,
        ssl_cert_file: Option<PathBuf>,
        ssl_cert_dir: Option<PathBuf>,
        bundled_only: bool,
    ) -> Self {
        Self {
            extra,
            ssl_cert_file,
            ssl_cert_dir,
            bundled_only,
            config: OnceLock::new(),
        }
    }

    pub(super) fn ca_roots(&self) -> &[CertificateDer<'static>] {
        &self.extra
    }

    /// The configuration. A failure is not kept: the file may be there next time.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, String> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let built = Arc::new(self.build()?);
        Ok(Arc::clone(self.config.get_or_init(|| built)))
    }

    /// ring is named, because the process's default provider is the host's to choose.
    fn build(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let named = self.named_roots()?;
        if named.is_none()
            && let Some(verifier) = self.platform(&provider)
        {
            // "dangerous" only in that rustls can't know this verifier.
            return Ok(builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(verifier))
                .with_no_client_auth());
        }
        let mut store = RootCertStore::empty();
        match named {
            Some(roots) => {
                store.add_parsable_certificates(roots);
            }
            None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        }
        store.add_parsable_certificates(self.extra.iter().cloned());
        Ok(builder.with_root_certificates(store).with_no_client_auth())
    }

    /// The platform's trust store with `ca_file`, unless the platform has none.
    fn platform(&self, provider: &Arc<CryptoProvider>) -> Option<Verifier> {
        if self.bundled_only {
            return None;
        }
        if !self.extra.is_empty() {
            // With further roots an empty store passes unseen; it shows without them.
            Verifier::new(Arc::clone(provider)).ok()?;
        }
        Verifier::new_with_extra_roots(self.extra.iter().cloned(), Arc::clone(provider)).ok()
    }

    /// The roots that the environment names, which replace the platform's, as they do for OpenSSL.
    fn named_roots(&self) -> Result<Option<Roots>, String> {
        if self.ssl_cert_file.is_none() && self.ssl_cert_dir.is_none() {
            return Ok(None);
        }
        let mut roots = Roots::new();
        if let Some(file) = &self.ssl_cert_file {
            roots.extend(certificates(file));
        }
        for dir in self.ssl_cert_dir.iter().flat_map(std::env::split_paths) {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                roots.extend(certificates(&entry.path()));
            }
        }
        if roots.is_empty() {
            // Trusting more than was asked for is no way out.
            return Err("no certificate in SSL_CERT_FILE or SSL_CERT_DIR".to_owned());
        }
        Ok(Some(roots))
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

/// The readable certificates of a PEM file.
fn certificates(path: &Path) -> Roots {
    match CertificateDer::pem_file_iter(path) {
        Ok(found) => found.filter_map(Result::ok).collect(),
        Err(_) => Roots::new(),
    }
}

/// The roots in `ca_file`, read at once, so that a bad one shows when the client starts.
pub(super) fn read_ca_file(path: &Path) -> Result<Roots, String> {
    ca_roots(path).map_err(|fault| format!("ca_file: {}: {fault}", path.display()))
}

/// As [`certificates`], but everything must be in order.
fn ca_roots(path: &Path) -> Result<Roots, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let roots = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Roots, _>>()
        .map_err(|error| error.to_string())?;
    if roots.is_empty() {
        return Err("no certificate in it (PEM is expected)".to_owned());
    }
    let mut store = RootCertStore::empty();
    for root in &roots {
        store.add(root.clone()).map_err(|error| error.to_string())?;
    }
    Ok(roots)
}
