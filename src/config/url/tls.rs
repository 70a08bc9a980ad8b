//! TLS: what URLs, `broker_use_ssl` and the `…_tls_…` settings say, as one.

use std::path::PathBuf;

use super::UrlError;

/// How a TLS connection is made. Chain and host name are verified unless `verify` is false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM file of the authorities to trust; `None` is the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of the client's certificate.
    pub cert_file: Option<PathBuf>,
    /// PEM file of the client's key; given exactly when the certificate is.
    pub key_file: Option<PathBuf>,
    /// The name that the certificate must carry; `None` is the host of the URL.
    pub server_name: Option<String>,
    /// False only where the settings say so in full.
    pub verify: bool,
}

/// The settings of one side, broker or store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::config) struct TlsSettings {
    /// TLS is on whatever the scheme says (`broker_use_ssl`).
    pub enabled: bool,
    pub ca_file: Option<PathBuf>,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub server_name: Option<String>,
    /// `…_tls_dangerously_skip_verification`.
    pub skip_verification: bool,
    /// `broker_use_ssl` asks for no verification.
    pub unverified: bool,
}

impl TlsSettings {
    pub(super) fn is_given(&self) -> bool {
        *self != Self::default()
    }
}

/// The TLS parameters of a URL's query.
#[derive(Default)]
pub(super) struct TlsQuery {
    ca_file: Option<PathBuf>,
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    unverified: bool,
    given: bool,
}

impl TlsQuery {
    /// Takes a parameter; false when it is none of these.
    pub(super) fn take(&mut self, key: &str, value: &str) -> Result<bool, UrlError> {
        match key {
            "ssl_ca_certs" => self.ca_file = Some(value.into()),
            "ssl_certfile" => self.cert_file = Some(value.into()),
            "ssl_keyfile" => self.key_file = Some(value.into()),
            "ssl_cert_reqs" => match verification(value) {
                Some(verified) => self.unverified |= !verified,
                None => {
                    return Err(UrlError::new(
                        "has an ssl_cert_reqs that is none of required, optional, none",
                    ));
                }
            },
            "ssl_check_hostname" => match value.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => {}
                "false" | "0" | "no" => self.unverified = true,
                _ => {
                    return Err(UrlError::new(
                        "has an ssl_check_hostname that is neither true nor false",
                    ));
                }
            },
            _ => return Ok(false),
        }
        self.given = true;
        Ok(true)
    }

    pub(super) fn is_given(&self) -> bool {
        self.given
    }

    /// These parameters, and the settings where they say nothing.
    pub(super) fn over(self, settings: &TlsSettings) -> Result<Tls, UrlError> {
        if (self.unverified || settings.unverified) && !settings.skip_verification {
            return Err(UrlError::new("asks for TLS without verification").help(
                "give the authority in …_tls_ca_file, or accept the risk with …_tls_dangerously_skip_verification = true",
            ));
        }
        let tls = Tls {
            ca_file: self.ca_file.or_else(|| settings.ca_file.clone()),
            cert_file: self.cert_file.or_else(|| settings.cert_file.clone()),
            key_file: self.key_file.or_else(|| settings.key_file.clone()),
            server_name: settings.server_name.clone(),
            verify: !settings.skip_verification,
        };
        if tls.cert_file.is_some() != tls.key_file.is_some() {
            return Err(UrlError::new(
                "a client certificate needs both its certificate file and its key file",
            ));
        }
        Ok(tls)
    }
}

/// Whether a value of `ssl_cert_reqs` asks for verification; `None` for an unknown one.
pub(in crate::config) fn verification(value: &str) -> Option<bool> {
    let word = value.to_ascii_lowercase();
    match word.strip_prefix("cert_").unwrap_or(&word) {
        "required" | "optional" => Some(true),
        "none" => Some(false),
        _ => None,
    }
}
