// Copyright (C) 2026 the gst-plugin-reduct authors
// SPDX-License-Identifier: MPL-2.0

//! Verification of a server's certificate, and error texts for one that is not trusted.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use once_cell::sync::OnceCell;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, InvalidMessage, OtherError,
    RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier as SystemVerifier;
use x509_cert::der::oid::db::rfc5280::ID_KP_SERVER_AUTH;
use x509_cert::der::{Decode, Reader, SliceReader};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, SubjectAltName};
use x509_cert::{Certificate, Version};

use crate::names::SettingNames;

/// Largest file of certificates, in bytes: the system's own bundle has a quarter of a megabyte.
const MAX_FILE: u64 = 16 << 20;
/// Names of a certificate that a message repeats.
const MAX_NAMES: usize = 5;
/// Text of the TLS library where the names of a certificate are not those that its issuers may issue.
const NAME_CONSTRAINT: &str = "NameConstraintViolation";
/// Characters of a name that a message repeats.
const MAX_NAME: usize = 100;

/// The certificates of a PEM file that are trusted besides the system's.
#[derive(Debug)]
pub struct GivenCertificates {
    file: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
    /// The same as issuers, without those with name constraints.
    issuers: RootCertStore,
}

impl GivenCertificates {
    /// Reads a file. Blocks.
    ///
    /// # Errors
    ///
    /// A text that names the file, if it cannot be read or has no certificate.
    pub fn read(file: &Path, names: &SettingNames) -> Result<Self, String> {
        let about =
            |text: &dyn fmt::Display| format!("CA certificate '{}': {text}", file.display());
        let pem = read_limited(file).map_err(|err| about(&err))?;
        let certificates = certificates(&pem)
            .map_err(|err| about(&format_args!("not a valid PEM file: {err}")))?;
        if certificates.is_empty() {
            return Err(about(&format_args!(
                "no certificate is in the file. {} is a PEM file, with the lines BEGIN \
                     CERTIFICATE and END CERTIFICATE",
                names.ca_cert
            )));
        }
        let mut issuers = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            let added = issuers.add(certificate.clone());
            added.map_err(|err| {
                let count = certificates.len();
                let number = index + 1;
                about(&format_args!(
                    "certificate {number} of {count} is not valid: {err}"
                ))
            })?;
        }
        issuers.roots.retain(|root| root.name_constraints.is_none());
        Ok(Self {
            file: file.to_owned(),
            certificates,
            issuers,
        })
    }
}

/// Parses the certificates of a PEM file, also with the older labels that OpenSSL takes: one with trust settings
/// has them behind the certificate.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, pem::Error> {
    let mut text = String::from_utf8_lossy(pem).replace('\u{feff}', "");
    for label in ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"] {
        for edge in ["BEGIN", "END"] {
            let of = |label| format!("-----{edge} {label}-----");
            text = text.replace(&of(label), &of("CERTIFICATE"));
        }
    }
    let certificates = CertificateDer::pem_slice_iter(text.as_bytes());
    certificates
        .map(|certificate| Ok(alone(certificate?)))
        .collect()
}

/// Returns a certificate without the bytes after it.
fn alone(certificate: CertificateDer<'static>) -> CertificateDer<'static> {
    let mut reader = SliceReader::new(&certificate).ok();
    let first = reader.as_mut().and_then(|reader| reader.tlv_bytes().ok());
    first.map_or_else(|| certificate.clone(), |first| first.to_vec().into())
}

fn read_limited(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let text = format!("no certificate file: larger than {} MB", MAX_FILE >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(bytes)
}

/// Settings of TLS with the certificates that are trusted. Reads the system's if they are sure to be
/// needed, which blocks.
///
/// # Errors
///
/// A text, if no certificates can be trusted.
pub fn client_config(
    given: Option<GivenCertificates>,
    is_needed: bool,
    names: SettingNames,
) -> Result<ClientConfig, String> {
    let provider = CryptoProvider::get_default().cloned();
    let provider = provider.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()));
    let verifier = Verifier {
        given,
        names,
        provider: provider.clone(),
        system: OnceCell::new(),
    };
    if is_needed {
        verifier.system().map_err(|err| err.to_string())?;
    }
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|err| err.to_string())?
        .dangerous() // `Verifier` also accepts the given certificates.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// A verifier that accepts a certificate that chains to one of the system or of the given file, and one that is in
/// that file itself: a self-signed one may be a CA, and a leaf may be pinned without its issuer. Name and dates have
/// to be right in any case, as with `curl --cacert`.
#[derive(Debug)]
struct Verifier {
    given: Option<GivenCertificates>,
    names: SettingNames,
    provider: Arc<CryptoProvider>,
    /// Trusts the system's certificates and the given ones as issuers.
    system: OnceCell<SystemVerifier>,
}

impl Verifier {
    fn system(&self) -> Result<&SystemVerifier, rustls::Error> {
        self.system.get_or_try_init(|| {
            let given = self.given.iter().flat_map(|given| &given.certificates);
            SystemVerifier::new_with_extra_roots(given.cloned(), self.provider.clone())
        })
    }

    /// Checks a certificate that the system does not accept against the given ones.
    fn check_given(
        &self,
        certificate: &CertificateDer<'_>,
        leaf: Option<&Certificate>,
        host: &ServerName<'_>,
        now: UnixTime,
        error: CertificateError,
    ) -> Result<(), CertificateError> {
        let (Some(given), Some(leaf)) = (&self.given, leaf) else {
            return Err(error);
        };
        let parsed = ParsedCertificate::try_from(certificate).map_err(certificate_error)?;
        if given.certificates.iter().any(|given| given == certificate) {
            check_dates(leaf, now)?;
        } else if is_without_names(leaf) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            // Without intermediates, as these might limit the names of what they issue.
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &given.issuers,
                &[],
                now,
                algorithms,
            )
            .map_err(|_| error)?;
        } else {
            return Err(error);
        }
        match verify_server_name(&parsed, host) {
            Err(_) if is_without_names(leaf) && has_common_name(leaf, host) => Ok(()),
            checked => checked.map_err(certificate_error),
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.system()?
                .verify_server_cert(certificate, intermediates, host, ocsp_response, now);
        let error = match verified {
            Err(rustls::Error::InvalidCertificate(error)) => error,
            verified => return verified,
        };
        let leaf = Certificate::from_der(certificate).ok();
        match self.check_given(certificate, leaf.as_ref(), host, now, error) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => {
                let given = self.given.as_ref();
                let refusal = Refusal(refusal(&error, leaf.as_ref(), host, given, &self.names));
                let error = CertificateError::Other(OtherError(Arc::new(refusal)));
                Err(rustls::Error::InvalidCertificate(error))
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The reason why a certificate is refused, for the user.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// Text for a server that answers without TLS.
pub const NO_TLS: &str = "it does not speak TLS there";

/// Returns the fault of a TLS connection as part of a sentence about the server.
pub fn tls_problem(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => other.0.to_string(),
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => NO_TLS.into(),
        rustls::Error::AlertReceived(alert) => format!("it refused the TLS handshake: {alert:?}"),
        other => other.to_string(),
    }
}

fn certificate_error(error: rustls::Error) -> CertificateError {
    match error {
        rustls::Error::InvalidCertificate(error) => error,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    }
}

fn check_dates(leaf: &Certificate, now: UnixTime) -> Result<(), CertificateError> {
    let validity = leaf.tbs_certificate().validity();
    let not_before = UnixTime::since_unix_epoch(validity.not_before.to_unix_duration());
    let not_after = UnixTime::since_unix_epoch(validity.not_after.to_unix_duration());
    if now < not_before {
        let time = now;
        return Err(CertificateError::NotValidYetContext { time, not_before });
    }
    if now > not_after {
        let time = now;
        return Err(CertificateError::ExpiredContext { time, not_after });
    }
    Ok(())
}

/// Returns whether there is no subjectAltName, so that the common name is that of the host, as it was before
/// RFC 2818. `openssl req -x509 -subj /CN=host` makes such certificates, and curl accepts them.
fn is_without_names(leaf: &Certificate) -> bool {
    let names = leaf.tbs_certificate().get_extension::<SubjectAltName>();
    matches!(names, Ok(None))
}

fn has_common_name(leaf: &Certificate, host: &ServerName<'_>) -> bool {
    let name = leaf.tbs_certificate().subject().common_name();
    let Ok(Some(name)) = name else {
        return false;
    };
    name.value().eq_ignore_ascii_case(&host.to_str())
}

/// Returns the fault of a server's certificate and the remedy, as part of a sentence about the server.
fn refusal(
    error: &CertificateError,
    leaf: Option<&Certificate>,
    host: &ServerName<'_>,
    given: Option<&GivenCertificates>,
    setting: &SettingNames,
) -> String {
    let SettingNames { url, ca_cert, .. } = setting;
    let leaf = leaf.map(Certificate::tbs_certificate);
    let file = given.map(|given| format!("{ca_cert} '{}'", given.file.display()));
    let note = file.as_ref().map(|file| format!(" ({file})"));
    let note = note.unwrap_or_default();
    let is_self_signed = leaf.is_some_and(|leaf| leaf.issuer() == leaf.subject());
    let issuer = leaf.map_or_else(
        || "an issuer that cannot be read".into(),
        |leaf| format!("'{}'", shown(&leaf.issuer().to_string())),
    );
    match error {
        CertificateError::ExpiredContext { not_after, .. } => {
            let of_leaf = leaf.is_none_or(|leaf| {
                leaf.validity().not_after.to_unix_duration().as_secs() == not_after.as_secs()
            });
            let which = match of_leaf {
                true => "its certificate",
                false => "the certificate of an issuer of its certificate",
            };
            format!(
                "{which} expired on {} (or the clock of this machine is wrong). Renew it{note}",
                date(*not_after)
            )
        }
        CertificateError::NotValidYetContext { not_before, .. } => format!(
            "its certificate is not valid yet, but from {} on (or the clock of this machine is \
             wrong){note}",
            date(*not_before)
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let host = host.to_str();
            format!(
                "its certificate is not valid for {host}, {}. Use a name in {url} that it has, or a \
                 certificate with the subjectAltName {host}{note}",
                names(leaf)
            )
        }
        _ if leaf.is_some_and(|leaf| leaf.version() != Version::V3) => {
            "its certificate is of an old version of X.509, and only version 3 is supported. Make \
             a new one, with a subjectAltName"
                .to_owned()
                + &note
        }
        _ if is_self_signed => {
            let why = match &file {
                Some(file) => format!("and is not the one in {file}"),
                None => format!("and {ca_cert} is not set"),
            };
            format!(
                "its certificate is self-signed by {issuer}, {why}. Set {ca_cert} to a PEM file with \
                 the server's certificate to trust it"
            )
        }
        CertificateError::UnknownIssuer => {
            let place = match &file {
                Some(file) => format!("neither {file} nor the system has a certificate of it"),
                None => "the system has no certificate of it".into(),
            };
            format!(
                "its certificate is from an unknown issuer, {issuer}: {place}. Set {ca_cert} to a PEM \
                 file with the issuer's certificate or with the server's own"
            )
        }
        CertificateError::BadSignature => format!(
            "its certificate, from the issuer {issuer}, or one of its chain is not signed by the \
             certificate in {} that has the name of its issuer",
            file.as_deref().unwrap_or("the system")
        ),
        _ if leaf.is_some_and(is_for_others) => {
            format!("its certificate is not meant for servers (extended key usage){note}")
        }
        CertificateError::Other(OtherError(why)) => match why.to_string() {
            why if why == NAME_CONSTRAINT => format!(
                "its certificate is from the issuer {issuer}, and an issuer in its chain may not issue \
                 certificates for its names (name constraints){note}"
            ),
            why => format!("its certificate is not valid: {why}{note}"),
        },
        other => format!("its certificate is not valid: {other}{note}"),
    }
}

/// Returns whether a certificate is limited to other uses than that of a server.
fn is_for_others(leaf: &x509_cert::TbsCertificate) -> bool {
    let usage = leaf.get_extension::<ExtendedKeyUsage>();
    usage.is_ok_and(|usage| usage.is_some_and(|(_, usage)| !usage.0.contains(&ID_KP_SERVER_AUTH)))
}

/// Returns the names that a certificate is valid for, as a part of a sentence.
fn names(leaf: Option<&x509_cert::TbsCertificate>) -> String {
    let names = leaf.map(|leaf| leaf.get_extension::<SubjectAltName>());
    let Some(Ok(Some((_, SubjectAltName(names))))) = names else {
        let name = leaf.and_then(|leaf| leaf.subject().common_name().ok().flatten());
        return name.map_or_else(
            || "and has no subjectAltName with any name".into(),
            |name| {
                format!(
                    "and has no subjectAltName, only the common name '{}'",
                    shown(&name.value())
                )
            },
        );
    };
    let shown: Vec<_> = names.iter().filter_map(general_name).collect();
    match shown.len() {
        0 => "and has no name of a host".into(),
        1..=MAX_NAMES => format!("only for {}", shown.join(", ")),
        count => {
            let first = shown[..MAX_NAMES].join(", ");
            format!("only for {first} and {} others", count - MAX_NAMES)
        }
    }
}

fn general_name(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(shown(name.as_str())),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let any = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            any.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Returns a text of a certificate, made safe for a message.
fn shown(text: &str) -> String {
    let text = text.chars().filter(|c| !c.is_control());
    text.take(MAX_NAME).collect()
}

fn date(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).ok();
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.map_or_else(
        || "a date out of range".into(),
        |time| time.to_rfc3339_opts(SecondsFormat::Secs, true),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| date(UnixTime::since_unix_epoch(Duration::from_secs(seconds)));
        assert_eq!(at(1_609_459_200), "2021-01-01T00:00:00Z");
        assert_eq!(at(u64::MAX), "a date out of range");
    }

    #[test]
    fn names_are_shown_on_a_line_of_limited_length() {
        assert_eq!(shown("CN=a\nb\u{7}"), "CN=ab");
        assert_eq!(shown(&"\u{e9}".repeat(1000)).chars().count(), MAX_NAME);
    }

    #[test]
    fn problems_of_tls_are_told_in_words() {
        let error = rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType);
        assert_eq!(tls_problem(&error), NO_TLS);
        let refusal = Refusal("its certificate is odd".into());
        let error = CertificateError::Other(OtherError(Arc::new(refusal)));
        let error = rustls::Error::InvalidCertificate(error);
        assert_eq!(tls_problem(&error), "its certificate is odd");
    }
}
