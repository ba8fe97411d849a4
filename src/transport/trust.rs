//! Which certificates are trusted.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::Settings;

type Certificates = Vec<CertificateDer<'static>>;

/// What the files had in them when the client started. A forked child gets its parent's: it may not reach them any more.
pub struct Roots {
    /// From `ca_file`.
    extra: Certificates,
    /// From `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    named: Certificates,
}

/// Makes the TLS configuration at the first connection (reading the platform's store can take a while) and
/// keeps it: it also holds the sessions that later connections resume.
pub(super) struct Trust {
    roots: Arc<Roots>,
    ssl_cert_file: Option<PathBuf>,
    ssl_cert_dir: Option<PathBuf>,
    /// Don't ask the operating system.
    bundled_only: bool,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    /// Reads the files at once, so that a bad `ca_file` shows when the client starts. `tls`: they will be needed.
    pub(super) fn new(settings: &Settings, tls: bool) -> Result<Self, String> {
        let roots = match &settings.known_roots {
            Some(known) => Arc::clone(known),
            None => {
                let extra = settings.ca_file.as_deref().map(read_ca_file).transpose()?;
                let (file, dir) = (&settings.ssl_cert_file, &settings.ssl_cert_dir);
                Arc::new(Roots {
                    extra: extra.unwrap_or_default(),
                    named: if tls { named(file, dir) } else { Vec::new() },
                })
            }
        };
        Ok(Self {
            roots,
            ssl_cert_file: settings.ssl_cert_file.clone(),
            ssl_cert_dir: settings.ssl_cert_dir.clone(),
            // Security.framework may abort a forked child.
            bundled_only: settings.forked && cfg!(target_vendor = "apple"),
            config: OnceLock::new(),
        })
    }

    pub(super) fn roots(&self) -> &Arc<Roots> {
        &self.roots
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
        store.add_parsable_certificates(self.roots.extra.iter().cloned());
        Ok(builder.with_root_certificates(store).with_no_client_auth())
    }

    /// The platform's trust store with `ca_file`, unless the platform has none.
    fn platform(&self, provider: &Arc<CryptoProvider>) -> Option<Verifier> {
        if self.bundled_only {
            return None;
        }
        let extra = &self.roots.extra;
        if !extra.is_empty() {
            // With further roots an empty store passes unseen; it shows without them.
            Verifier::new(Arc::clone(provider)).ok()?;
        }
        Verifier::new_with_extra_roots(extra.iter().cloned(), Arc::clone(provider)).ok()
    }

    /// The roots that the environment names, which replace the platform's, as they do for OpenSSL.
    fn named_roots(&self) -> Result<Option<Certificates>, String> {
        if self.ssl_cert_file.is_none() && self.ssl_cert_dir.is_none() {
            return Ok(None);
        }
        let mut roots = self.roots.named.clone();
        if roots.is_empty() {
            roots = named(&self.ssl_cert_file, &self.ssl_cert_dir);
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

/// The readable certificates of a file and of the files in some directories.
fn named(file: &Option<PathBuf>, dirs: &Option<PathBuf>) -> Certificates {
    let listed = dirs
        .iter()
        .flat_map(std::env::split_paths)
        .flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten())
        .map(|entry| entry.path());
    file.iter()
        .cloned()
        .chain(listed)
        .filter_map(|path| CertificateDer::pem_file_iter(path).ok())
        .flat_map(|found| found.filter_map(Result::ok))
        .collect()
}

fn read_ca_file(path: &Path) -> Result<Certificates, String> {
    ca_roots(path).map_err(|fault| format!("ca_file: {}: {fault}", path.display()))
}

/// Everything must be in order.
fn ca_roots(path: &Path) -> Result<Certificates, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let roots = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Certificates, _>>()
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
