//! TLS of a listener: its key and certificates from PEM files, read again when the files change.
//!
//! The files are read at start, where a broken one is an error, and every few seconds after it, where a broken one is told of and the last
//! good ones stay. What a connection was opened with, it keeps.

use crate::Error;
use crate::subject::subject;
use arc_swap::ArcSwap;
use bytes::Bytes;
use millstream_runtime::{Disk, Runtime};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// Whether clients have to show a certificate (`ssl.client.auth`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    None,
    /// One is asked for, and a client without one is let in as nobody.
    Requested,
    /// A client without one is not let in.
    Required,
}

/// Where a listener's TLS comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The private key and the chain of certificates, in PEM (`ssl.keystore.location`).
    pub keystore: PathBuf,
    /// The certificates of those who sign clients' certificates, in PEM (`ssl.truststore.location`).
    pub truststore: Option<PathBuf>,
    /// Whether clients have to show one.
    pub client_auth: ClientAuth,
}

/// What the files held.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Contents {
    keystore: Bytes,
    truststore: Option<Bytes>,
}

/// TLS of one listener.
#[derive(Debug)]
pub struct Tls {
    listener: String,
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files and follows their changes, looking every `interval`, until the runtime's tasks are stopped.
    ///
    /// # Errors
    /// [`Error::Certificate`] names the file that can't be used, and what is expected of it.
    pub async fn open(
        runtime: &Runtime,
        listener: &str,
        files: TlsFiles,
        interval: Duration,
    ) -> Result<Arc<Self>, Error> {
        let contents = read(&*runtime.disk, listener, &files).await?;
        let config = ArcSwap::new(configure(listener, &files, &contents)?);
        let tls = Arc::new(Self { listener: listener.to_owned(), files, config });
        let (following, clock, disk) = (tls.clone(), runtime.clock.clone(), runtime.disk.clone());
        runtime.tasks.spawn_until_stopped("certificates", async move {
            let mut seen = Ok(contents);
            loop {
                clock.sleep(interval).await;
                following.look(&*disk, &mut seen).await;
            }
        });
        Ok(tls)
    }

    /// Takes the files as they are now, where that is not how they were `seen`.
    async fn look(&self, disk: &dyn Disk, seen: &mut Result<Contents, String>) {
        let listener = &self.listener;
        let found = read(disk, listener, &self.files).await;
        let found = found.map_err(|error| error.to_string());
        if found == *seen {
            return;
        }
        let configure = |contents| configure(listener, &self.files, contents).map_err(|error| error.to_string());
        match found.as_ref().map_err(Clone::clone).and_then(configure) {
            Ok(config) => {
                self.config.store(config);
                tracing::info!(%listener, "its certificates were read again; new connections use them");
            }
            Err(error) => {
                tracing::error!(%listener, %error, "its certificates changed and can't be used; the last good ones stay")
            }
        }
        *seen = found;
    }

    /// What makes connections of streams.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.load_full())
    }
}

/// The principal of a peer that showed this chain of certificates.
pub(crate) fn principal(chain: Option<&[CertificateDer<'_>]>) -> Option<String> {
    Some(format!("User:{}", subject(chain?.first()?)?))
}

/// Why a peer and this listener did not agree on TLS, and what to look at.
pub(crate) fn failed(error: &std::io::Error) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let hint = match tls {
        Some(rustls::Error::InvalidMessage(_)) => {
            "; what came is no TLS: give the client security.protocol=SSL or SASL_SSL, or the address of a listener without TLS"
        }
        Some(rustls::Error::NoCertificatesPresented) => {
            "; ssl.client.auth=required: give the client a certificate of its own (ssl.keystore.location)"
        }
        Some(rustls::Error::InvalidCertificate(_)) => {
            "; the client's certificate has to be signed by one in ssl.truststore.location, and be valid now"
        }
        Some(rustls::Error::AlertReceived(_)) => {
            "; the client ended it: does its ssl.truststore.location know who signed this listener's certificate, and does that name this host?"
        }
        Some(_) | None => "",
    };
    Error::Handshake(format!("{error}{hint}"))
}

async fn read(disk: &dyn Disk, listener: &str, files: &TlsFiles) -> Result<Contents, Error> {
    let keystore = read_one(disk, listener, &files.keystore).await?;
    let truststore = match &files.truststore {
        Some(path) => Some(read_one(disk, listener, path).await?),
        None => None,
    };
    Ok(Contents { keystore, truststore })
}

async fn read_one(disk: &dyn Disk, listener: &str, path: &Path) -> Result<Bytes, Error> {
    let unreadable = |error: std::io::Error| unusable(listener, path, format!("it can't be read: {error}"));
    disk.read(path).await.map_err(unreadable)
}

fn unusable(listener: &str, path: &Path, reason: String) -> Error {
    Error::Certificate { listener: listener.to_owned(), path: path.display().to_string(), reason }
}

fn configure(listener: &str, files: &TlsFiles, contents: &Contents) -> Result<Arc<ServerConfig>, Error> {
    let refused = |reason| unusable(listener, &files.keystore, reason);
    let (chain, key) = (chain(&contents.keystore).map_err(refused)?, key(&contents.keystore).map_err(refused)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verifier(listener, files, contents)?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(error.to_string()))?;
    let config = builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).map_err(|error| {
        refused(format!(
            "its key and its first certificate are no pair ({error}); expected the server's own certificate first"
        ))
    })?;
    Ok(Arc::new(config))
}

fn verifier(listener: &str, files: &TlsFiles, contents: &Contents) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let (Some(path), Some(pem)) = (&files.truststore, &contents.truststore) else {
        return match files.client_auth {
            ClientAuth::None => Ok(WebPkiClientVerifier::no_client_auth()),
            ClientAuth::Requested | ClientAuth::Required => Err(unusable(
                listener,
                Path::new(""),
                "ssl.client.auth asks clients for certificates, and there is nothing to check them by; set ssl.truststore.location".to_owned(),
            )),
        };
    };
    let refused = |reason| unusable(listener, path, reason);
    let mut roots = RootCertStore::empty();
    for certificate in chain(pem).map_err(refused)? {
        roots.add(certificate).map_err(|error| refused(format!("a certificate in it can't be used: {error}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match files.client_auth {
        ClientAuth::None => return Ok(WebPkiClientVerifier::no_client_auth()),
        ClientAuth::Requested => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    builder.build().map_err(|error| refused(error.to_string()))
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(chain) if chain.is_empty() => {
            Err("it holds no certificate; expected PEM with a section BEGIN CERTIFICATE".to_owned())
        }
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("it is not PEM: {error}")),
    }
}

fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        PemError::NoItemsFound if pem.windows(21).any(|window| window == b"ENCRYPTED PRIVATE KEY") => {
            "its private key is encrypted; store it plainly (openssl pkcs8 -in KEY -nocrypt) in a file that only the node may read".to_owned()
        }
        PemError::NoItemsFound => {
            "it holds no private key; expected PEM with a section BEGIN PRIVATE KEY beside the certificates".to_owned()
        }
        error => format!("its private key is not PEM: {error}"),
    })
}
