//! TLS: answers whole, certificates of clients, files that change, and peers that speak something else.

use crate::echo;
use crate::harness::{LETS_IN, Node, frame, read_frame, until};
use bytes::Bytes;
use millstream_net::{Answer, ClientAuth, Error, Part, Tls, TlsFiles};
use millstream_runtime::{FileRange, OpenMode, Runtime};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_millis(1);

/// Somebody who signs certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate and its key, in one PEM.
    fn sign(&self, name: &str) -> String {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Millstream");
        params.distinguished_name.push(DnType::CommonName, name);
        params.signed_by(&key, &self.issuer).unwrap().pem() + &key.serialize_pem()
    }
}

fn files(folder: &Path, client_auth: ClientAuth) -> TlsFiles {
    let truststore = (client_auth != ClientAuth::None).then(|| folder.join("clients.pem"));
    TlsFiles { keystore: folder.join("server.pem"), truststore, client_auth }
}

struct Secure {
    node: Node,
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Secure {
    async fn start(client_auth: ClientAuth, answer: impl Fn(Bytes) -> Answer + Send + Sync + 'static) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        fs::write(folder.path().join("server.pem"), authority.sign("first")).unwrap();
        fs::write(folder.path().join("clients.pem"), &authority.pem).unwrap();
        let files = files(folder.path(), client_auth);
        let tls = Tls::open(&Runtime::real(), "TEST", files, INTERVAL).await.unwrap();
        let node = Node::start_with(
            |config| config.tls = Some(tls),
            move |_, content| {
                let answer = answer(content);
                Box::pin(async move { answer })
            },
        )
        .await;
        Self { node, folder, authority }
    }

    /// A client that trusts the authority, and has a certificate of `own`.
    async fn connect(&self, own: Option<&str>) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots);
        let config = match own {
            None => config.with_no_client_auth(),
            Some(pem) => {
                let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect();
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap()
            }
        };
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, self.node.connect().await).await
    }

    /// The certificate that a new connection is shown.
    async fn shown(&self) -> Vec<u8> {
        let client = self.connect(None).await.unwrap();
        client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }
}

async fn asks(client: &mut TlsStream<TcpStream>, content: &[u8]) -> io::Result<Vec<u8>> {
    client.write_all(&frame(content)).await?;
    read_frame(client).await
}

#[tokio::test]
async fn frames_and_answers_of_every_size_come_whole() {
    let secure = Secure::start(ClientAuth::None, echo).await;
    let mut client = secure.connect(None).await.unwrap();
    for len in [0, 1, 100, 16_000, 70_000, 3 << 20] {
        let content: Vec<u8> = (0..len).map(|at: usize| (at * 31) as u8).collect();
        assert!(asks(&mut client, &content).await.unwrap() == content, "{len} bytes");
    }
    assert_eq!(*secure.node.state.principal.lock().unwrap(), "User:ANONYMOUS");
}

#[tokio::test]
async fn ranges_of_files_come_between_bytes_as_they_are_in_the_file() {
    const LEN: usize = 1 << 20;
    let content: Bytes = (0..LEN).map(|at| (at / 3) as u8).collect::<Vec<u8>>().into();
    let (folder, disk) = (tempfile::tempdir().unwrap(), Runtime::real().disk);
    let file = disk.open(&folder.path().join("log"), OpenMode::CreateNew).await.unwrap();
    file.append(std::slice::from_ref(&content)).await.unwrap();
    let range = |position, len| Part::File(FileRange { file: file.clone(), position, len });
    let parts = [(7, LEN - 7), (0, 1), (99_999, 65_536), (5, 131_072)];
    let sum: usize = parts.iter().map(|(_, len)| len + 4).sum();
    let mut answer = vec![Part::Bytes(i32::try_from(sum).unwrap().to_be_bytes().to_vec().into())];
    let mut expected = Vec::new();
    for (position, len) in parts {
        answer.extend([Part::Bytes(Bytes::from_static(b"head")), range(position as u64, len)]);
        expected.extend([&b"head"[..], &content[position..position + len]].concat());
    }
    let secure = Secure::start(ClientAuth::None, move |_| Answer::Reply(answer.clone())).await;
    let mut client = secure.connect(None).await.unwrap();
    for _ in 0..3 {
        assert!(asks(&mut client, b"all of it").await.unwrap() == expected);
    }
}

#[tokio::test]
async fn a_clients_certificate_says_who_it_is() {
    let secure = Secure::start(ClientAuth::Required, echo).await;
    let own = secure.authority.sign("a client");
    assert_eq!(asks(&mut secure.connect(Some(&own)).await.unwrap(), b"hello").await.unwrap(), b"hello");
    assert_eq!(*secure.node.state.principal.lock().unwrap(), "User:CN=a client,O=Millstream");
    let strange = Authority::new().sign("a stranger");
    for own in [None, Some(strange.as_str())] {
        // TLS 1.3 tells a client that it is refused after the client's last word.
        let refused = match secure.connect(own).await {
            Ok(mut client) => asks(&mut client, b"hello").await.err(),
            Err(error) => Some(error),
        };
        assert!(refused.is_some(), "{own:?}");
    }
    until(|| secure.node.metric("connectionclose_total{listener=\"TEST\",reason=\"tls\"}") == Some(2)).await;
    let optional = Secure::start(ClientAuth::Requested, echo).await;
    assert_eq!(asks(&mut optional.connect(None).await.unwrap(), b"hello").await.unwrap(), b"hello");
    assert_eq!(*optional.node.state.principal.lock().unwrap(), "User:ANONYMOUS");
}

#[tokio::test]
async fn peers_that_speak_something_else_are_closed_and_others_are_not() {
    let secure = Secure::start(ClientAuth::None, echo).await;
    let mut good = secure.connect(None).await.unwrap();
    for what in [&frame(b"plain")[..], b"GET / HTTP/1.1\r\n\r\n", &[0xff; 600]] {
        let mut plain = secure.node.connect().await;
        plain.write_all(what).await.unwrap();
        let mut alert = Vec::new();
        let _ = plain.read_to_end(&mut alert).await;
        assert!(alert.len() < 16, "an alert at most: {alert:?}");
    }
    until(|| secure.node.metric("connectionclose_total{listener=\"TEST\",reason=\"tls\"}") == Some(3)).await;
    let mut silent = secure.node.connect().await;
    silent.write_all(&[0x16]).await.unwrap();
    drop(silent);
    assert_eq!(asks(&mut good, b"fine").await.unwrap(), b"fine");
}

#[tokio::test]
async fn a_tls_client_at_a_plain_listener_is_closed_and_others_are_not() {
    let node = Node::start(|_, content| Box::pin(async { echo(content) })).await;
    let mut good = node.connect().await;
    let mut client = node.connect().await;
    // The head of a ClientHello.
    client.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).await.unwrap();
    assert_eq!(client.read(&mut [0; 16]).await.unwrap_or(0), 0);
    until(|| node.metric("connectionclose_total{listener=\"TEST\",reason=\"tls\"}") == Some(1)).await;
    good.write_all(&frame(b"fine")).await.unwrap();
    assert_eq!(read_frame(&mut good).await.unwrap(), b"fine");
}

#[tokio::test]
async fn certificates_that_change_are_used_and_broken_ones_are_not() {
    let secure = Secure::start(ClientAuth::None, echo).await;
    let mut before = secure.connect(None).await.unwrap();
    let first = secure.shown().await;
    let path = secure.folder.path().join("server.pem");
    for broken in ["", "-----BEGIN CERTIFICATE-----\nnonsense", &secure.authority.pem] {
        fs::write(&path, broken).unwrap();
        // Handshakes take longer than the interval.
        for _ in 0..20 {
            assert_eq!(secure.shown().await, first, "the last good one stays");
        }
    }
    fs::write(&path, secure.authority.sign("second")).unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while secure.shown().await == first {
        assert!(tokio::time::Instant::now() < deadline, "the new one is used within 20 s");
    }
    assert_eq!(asks(&mut before, b"still here").await.unwrap(), b"still here");
}

#[tokio::test]
async fn files_that_can_not_be_used_are_named_with_what_is_expected() {
    let (folder, authority, runtime) = (tempfile::tempdir().unwrap(), Authority::new(), Runtime::real());
    let path = folder.path().join("server.pem");
    let good = authority.sign("good");
    let (certificate, key) = good.split_at(good.find("-----BEGIN PRIVATE").unwrap());
    let other = authority.sign("other");
    let other = &other[other.find("-----BEGIN PRIVATE").unwrap()..];
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let table = [
        (String::new(), "holds no certificate; expected PEM"),
        (certificate.to_owned(), "holds no private key"),
        (key.to_owned(), "holds no certificate"),
        (certificate.to_owned() + other, "are no pair"),
        (certificate.to_owned() + &encrypted, "is encrypted"),
        (good.replace('M', "\u{1}"), "is not PEM"),
    ];
    for (content, expected) in table {
        fs::write(&path, &content).unwrap();
        let files = files(folder.path(), ClientAuth::None);
        let error = Tls::open(&runtime, "OUT", files, INTERVAL).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("listener OUT") && error.contains("server.pem"), "{error}");
    }
    fs::write(&path, &good).unwrap();
    let trusting = files(folder.path(), ClientAuth::Required);
    let error = Tls::open(&runtime, "OUT", trusting.clone(), INTERVAL).await.unwrap_err();
    assert!(matches!(&error, Error::Certificate { path, .. } if path.ends_with("clients.pem")), "{error}");
    let error = Tls::open(&runtime, "OUT", TlsFiles { truststore: None, ..trusting }, INTERVAL).await.unwrap_err();
    assert!(error.to_string().contains("set ssl.truststore.location"), "{error}");
}

#[tokio::test]
async fn a_peer_that_is_not_known_yet_may_only_send_little() {
    let node = Node::start_with(
        |config| config.authenticates = Some(100),
        |_, content| {
            Box::pin(async move {
                if content.starts_with(b"no") {
                    Answer::Last(vec![Part::Bytes(frame(b"told").into())], "refused".into())
                } else {
                    echo(content)
                }
            })
        },
    )
    .await;
    let mut client = node.connect().await;
    client.write_all(&[frame(LETS_IN), frame(&[7; 5_000])].concat()).await.unwrap();
    assert_eq!(read_frame(&mut client).await.unwrap(), LETS_IN);
    assert_eq!(read_frame(&mut client).await.unwrap(), [7; 5_000]);
    let mut unknown = node.connect().await;
    unknown.write_all(&frame(&[7; 101])).await.unwrap();
    assert_eq!(unknown.read(&mut [0; 16]).await.unwrap_or(0), 0);
    let mut refused = node.connect().await;
    refused.write_all(&frame(b"no")).await.unwrap();
    assert_eq!(read_frame(&mut refused).await.unwrap(), b"told");
    assert_eq!(refused.read(&mut [0; 16]).await.unwrap_or(0), 0);
}
