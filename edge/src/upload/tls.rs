//! The HTTP client: TLS by rustls, trusting the system's authorities and those of `cloud.ca`, at
//! a time that does not go back with a clock that was lost.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use riverwatts_shared::time::UtcMs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};

/// How long a connection may take, TLS included.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: over a few intervals of a metered link.
const IDLE: Duration = Duration::from_secs(300);
/// Unix time at which the program was built.
const BUILT_S: &str = env!("RIVERWATTS_BUILT_S");

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// `cloud.ca` cannot be used.
    #[error("cloud.ca {} cannot be used: {cause}; give a PEM file of authorities", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// TLS cannot be set up.
    #[error("no HTTPS on this machine: {0}")]
    Unusable(String),
}

/// A client that trusts the system's authorities and those in `ca`, and checks certificates at the
/// time that `clock` tells.
///
/// # Errors
/// When `ca` cannot be read.
pub fn client(
    ca: Option<&Path>,
    clock: impl Fn() -> UtcMs + Send + Sync + 'static,
) -> Result<reqwest::Client, TlsError> {
    let mut roots = RootCertStore::empty();
    // A machine without authorities still reaches a cloud with one of its own.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let unusable = |cause: String| TlsError::Authorities { path: path.to_owned(), cause };
        for certificate in read(path).map_err(|error| unusable(error.to_string()))? {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable(error.to_string());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_details(provider, Arc::new(At(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let mut config = versions.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    builder.build().map_err(|error| unusable(&error))
}

fn read(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = fs::read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if found.is_empty() { Err(io::Error::new(io::ErrorKind::InvalidData, "no certificate in it")) } else { Ok(found) }
}

/// The latest of a time and that of the build.
pub fn not_before_build(time: UtcMs) -> UtcMs {
    let built_s: i64 = BUILT_S.parse().expect("written by the build script");
    time.max(UtcMs(built_s * 1_000))
}

/// Certificates are checked at this time.
struct At<F>(F);

impl<F> std::fmt::Debug for At<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("At")
    }
}

impl<F: Fn() -> UtcMs + Send + Sync> TimeProvider for At<F> {
    fn current_time(&self) -> Option<UnixTime> {
        let ms = (self.0)().0.max(0).unsigned_abs();
        Some(UnixTime::since_unix_epoch(Duration::from_millis(ms)))
    }
}
