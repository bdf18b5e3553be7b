//! Enrollment: a one-time code of the cloud is traded for the gateway's long-lived credential.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::legacy::Legacy;
use crate::private_file;

/// Name of the credential in the store's folder.
const FILE: &str = "credential.json";
/// How long the cloud may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What makes a program this gateway; shown to nobody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Base address of the cloud, without a trailing `/`.
    pub url: String,
    /// Id of the gateway in the cloud.
    pub gateway_id: Uuid,
    /// The secret.
    pub credential: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("gateway_id", &self.gateway_id).finish_non_exhaustive()
    }
}

/// Why there is no credential.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The code is none, or was used, or is too old.
    #[error("the cloud does not know this code, or it was used or has expired; ask an admin for a new one")]
    Code,
    /// The cloud does not answer as one.
    #[error("the cloud at {url} cannot be reached: {cause}; check address and network, then enroll again")]
    Unreachable {
        /// Where it was sought.
        url: String,
        /// What went wrong.
        cause: String,
    },
    /// It cannot be kept.
    #[error("the credential cannot be kept in {}: {cause}; make store.dir writable, then enroll again with a new code", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// What the cloud gives for a code.
#[derive(Deserialize)]
struct Enrolled {
    gateway_id: Uuid,
    credential: String,
    #[serde(flatten)]
    legacy: Legacy,
}

/// Trades `code` at the cloud with this base address. Gives also what the gateway had there before.
///
/// # Errors
/// For a wrong code, and when the cloud does not answer.
pub async fn trade(http: &reqwest::Client, url: &str, code: &str) -> Result<(Credential, Legacy), EnrollError> {
    let url = url.trim_end_matches('/').to_owned();
    let unreachable = |cause: String| EnrollError::Unreachable { url: url.clone(), cause };
    let request = http.post(format!("{url}/api/v1/gateways/enroll")).json(&json!({"code": code})).timeout(TIMEOUT);
    let answer = request.send().await.map_err(|error| unreachable(told(&error)))?;
    match answer.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::UNPROCESSABLE_ENTITY => return Err(EnrollError::Code),
        status => return Err(unreachable(format!("it answers {status}"))),
    }
    let Enrolled { gateway_id, credential, legacy } = answer.json().await.map_err(|error| unreachable(told(&error)))?;
    Ok((Credential { url, gateway_id, credential }, legacy))
}

/// An error of a request with its causes, and without the address.
pub fn told(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".to_owned() } else { causes(error) }
}

/// What lies behind an error of a request, whose own words say no more than that there is one.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut words = String::new();
    let mut cause: Option<&dyn std::error::Error> = error.source();
    while let Some(this) = cause {
        let this_words = this.to_string();
        if !words.ends_with(&this_words) {
            words = if words.is_empty() { this_words } else { format!("{words}: {this_words}") };
        }
        cause = this.source();
    }
    if words.is_empty() { "the request failed".to_owned() } else { words }
}

impl Credential {
    /// The credential in the store's folder, if there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn load(dir: &Path) -> Result<Option<Credential>, EnrollError> {
        let path = dir.join(FILE);
        let file = |cause| EnrollError::File { path: path.clone(), cause };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| file(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(file(error)),
        }
    }

    /// Keeps it in the store's folder, for the owner's eyes only; a power cut leaves the old one or
    /// the new.
    ///
    /// # Errors
    /// When the folder is not writable.
    pub fn save(&self, dir: &Path) -> Result<(), EnrollError> {
        let file = |cause| EnrollError::File { path: dir.join(FILE), cause };
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| file(error.into()))?;
        private_file::save(dir, FILE, &bytes).map_err(file)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_credential_comes_back_and_is_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("store");
        assert_eq!(Credential::load(&dir).unwrap(), None);
        let first = Credential { url: "https://a".into(), gateway_id: Uuid::from_u128(1), credential: "hush".into() };
        let second = Credential { credential: "hush 2".into(), ..first.clone() };
        for credential in [first, second] {
            credential.save(&dir).unwrap();
            assert_eq!(Credential::load(&dir).unwrap(), Some(credential.clone()));
            assert!(!format!("{credential:?}").contains("hush"));
        }
        assert_eq!(fs::metadata(dir.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
        fs::write(dir.join(FILE), "{").unwrap();
        assert!(Credential::load(&dir).unwrap_err().to_string().contains("credential.json"));
    }
}
