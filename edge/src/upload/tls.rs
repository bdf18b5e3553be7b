//! TLS by rustls, trusting the system's authorities and those of `cloud.ca`, at
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

use crate::clock::has_passed;

/// How long a connection may take, TLS included.
pub(super) const CONNECT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept: over a few intervals of a metered link.
pub(super) const IDLE: Duration = Duration::from_secs(300);

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

/// A client for single requests to the cloud at `url`, which trusts as [`config`] says.
///
/// # Errors
/// When `ca` cannot be read.
pub fn client(
    url: &str,
    ca: Option<&Path>,
    clock: impl Fn() -> UtcMs + Send + Sync + 'static,
) -> Result<reqwest::Client, TlsError> {
    let mut config = config(url, ca, clock)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    builder.build().map_err(|error| TlsError::Unusable(error.to_string()))
}

/// Trusts, for the cloud at `url`, the system's authorities and those in `ca`, and checks certificates
/// at the time that `clock` tells.
///
/// # Errors
/// When `ca` cannot be read.
pub fn config(
    url: &str,
    ca: Option<&Path>,
    clock: impl Fn() -> UtcMs + Send + Sync + 'static,
) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    // A machine without authorities still reaches a cloud with one of its own.
    if url.starts_with("https:") {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(path) = ca {
        let unusable = |cause: String| TlsError::Authorities { path: path.to_owned(), cause };
        for certificate in read(path).map_err(|error| unusable(error.to_string()))? {
            roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_details(provider, Arc::new(At(clock)))
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::Unusable(error.to_string()))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}

fn read(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let text = fs::read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    if found.is_empty() { Err(io::Error::new(io::ErrorKind::InvalidData, "no certificate in it")) } else { Ok(found) }
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

/// The time at which certificates are checked: the latest of what is known, be it the trusted time
/// or else the machine's, the newest stored reading's, and that of the program's making.
pub fn time(trusted: Option<UtcMs>, machine: UtcMs, newest_stored: UtcMs) -> UtcMs {
    trusted.unwrap_or(machine).max(newest_stored).max(has_passed())
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivatePkcs8KeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::socket;
    use super::*;

    /// A server whose certificate holds through 2026, and the PEM of its authority.
    async fn server() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = authority.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(authority, key);
        let own_key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (own.not_before, own.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2027, 1, 1));
        let certificate = own.signed_by(&own_key, &issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivatePkcs8KeyDer::from(own_key.serialize_der());
        let config =
            config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key.into()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 1_024];
                // The client has gone when this fails.
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
            }
        });
        (url, pem)
    }

    #[tokio::test]
    async fn a_certificate_must_be_of_a_known_authority_and_hold_at_the_time() {
        let (url, pem) = server().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        fs::write(&path, pem).unwrap();
        // The uploads' own client trusts the same, and what it carries over TLS is counted.
        let post = async |ca: Option<&Path>, time: &str| {
            let (time, meter): (UtcMs, _) = (time.parse().unwrap(), Arc::default());
            let http = socket::client(config(&url, ca, move || time).unwrap(), Arc::clone(&meter));
            let request = hyper::Request::post(&url).body(http_body_util::Full::from(vec![0; 500])).unwrap();
            let status = http.request(request).await.map(|answer| answer.status().as_u16()).ok();
            (status, meter.read())
        };
        let get = async |ca: Option<&Path>, time: &str| {
            let time: UtcMs = time.parse().unwrap();
            client(&url, ca, move || time).unwrap().get(&url).send().await.map(|answer| answer.status().as_u16()).ok()
        };
        assert_eq!(get(Some(&path), "2026-11-24T00:00:00Z").await, Some(204));
        let (status, carried) = post(Some(&path), "2026-11-24T00:00:00Z").await;
        assert_eq!(status, Some(204));
        assert!(carried.sent > 1_000 && carried.received > 1_000, "with its certificates: {carried:?}");
        let (status, refused) = post(None, "2026-11-24T00:00:00Z").await;
        assert!(status.is_none() && refused.received > 500, "what leads to nothing is carried too: {refused:?}");
        assert_eq!(get(None, "2026-11-24T00:00:00Z").await, None, "a stranger's authority");
        assert_eq!(get(Some(&path), "1970-01-01T00:00:00Z").await, None, "not yet");
        assert_eq!(get(Some(&path), "2027-11-24T00:00:00Z").await, None, "not any more");
    }

    #[test]
    fn a_file_without_authorities_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for text in [None, Some(""), Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            if let Some(text) = text {
                fs::write(&path, text).unwrap();
            }
            let error = client("https://cloud.example", Some(&path), || UtcMs(0)).unwrap_err().to_string();
            assert!(error.contains("ca.pem") && error.contains("give a PEM file"), "{error}");
        }
    }

    #[test]
    fn certificates_are_checked_at_the_latest_time_that_is_known() {
        let (never, built) = (UtcMs(0), has_passed());
        let [first, second, third] = [1, 2, 3].map(|days| UtcMs(built.0 + days * 86_400_000));
        for (trusted, machine, stored, expected) in [
            (None, never, never, built),
            (None, never, first, first),
            (None, second, first, second),
            (Some(second), third, first, second),
            (Some(first), never, third, third),
        ] {
            assert_eq!(time(trusted, machine, stored), expected, "{trusted:?}, {machine:?}, {stored:?}");
        }
    }
}
