//! Says why no TLS connection could be made, as far as the owner of the endpoint can mend it.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

/// Returns the sentence for the customer.
pub(super) fn sentence(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(wrong) => of_certificate(wrong),
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the endpoint speaks neither TLS 1.2 nor TLS 1.3",
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the endpoint wants a client certificate"
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the endpoint does not speak TLS"
        }
        _ => "no TLS connection could be made to the endpoint",
    }
}

fn of_certificate(wrong: &CertificateError) -> &'static str {
    match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the endpoint's certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the endpoint's certificate is not valid yet"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the endpoint's certificate is for another name"
        }
        CertificateError::UnknownIssuer => {
            "the endpoint's certificate is from no trusted authority, or an intermediate \
             certificate is missing"
        }
        _ => "the endpoint's certificate is not valid",
    }
}
