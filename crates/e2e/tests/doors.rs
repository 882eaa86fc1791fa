//! Listeners with TLS and SASL: three families of real clients go through every door, who has no key is told so, and nobody else notices.

#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

use millstream_e2e::{
    Node, binary, clients_folder, eventually, kafka_tool, kafka_tool_with_input, run_program, run_script,
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LISTENERS: &str = "listeners=PLAINTEXT://127.0.0.1:0,SSL://127.0.0.1:0,MTLS://127.0.0.1:0,PW://127.0.0.1:0,\
                         SCRAM://127.0.0.1:0,SHORT://127.0.0.1:0";
const PROTOCOLS: &str =
    "listener.security.protocol.map=MTLS:SSL,PW:SASL_PLAINTEXT,SCRAM:SASL_SSL,SHORT:SASL_SSL,PLAINTEXT:PLAINTEXT";

/// The paths of what the test made.
struct Keys {
    folder: tempfile::TempDir,
}

impl Keys {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        write("ca.pem", &params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        for name in ["server", "client"] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer).unwrap();
            write(&format!("{name}.pem"), &(key.serialize_pem() + &certificate.pem()));
        }
        write("users", "alice:one\n");
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn start(keys: &Keys) -> Node {
    Node::start(&[
        LISTENERS,
        PROTOCOLS,
        &format!("ssl.keystore.location={}", keys.path("server.pem")),
        &format!("listener.name.mtls.ssl.truststore.location={}", keys.path("ca.pem")),
        "listener.name.mtls.ssl.client.auth=required",
        "listener.name.pw.sasl.enabled.mechanisms=PLAIN",
        "listener.name.short.connections.max.reauth.ms=1500",
        &format!("sasl.users.file={}", keys.path("users")),
    ])
}

/// Every door with a key that fits: alice is in the node's own file, bob was made by kafka-configs.
fn doors(node: &Node, keys: &Keys) -> Vec<Value> {
    let [_, ssl, mtls, password, scram, short] = &node.listeners[..] else { panic!("{:?}", node.listeners) };
    let ca = keys.path("ca.pem");
    vec![
        json!({"name": "SSL", "bootstrap": ssl, "ca": ca}),
        json!({"name": "mTLS", "bootstrap": mtls, "ca": ca, "certificate": keys.path("client.pem")}),
        json!({"name": "PLAIN", "bootstrap": password, "mechanism": "PLAIN", "user": "alice", "password": "one"}),
        json!({"name": "SCRAM-256", "bootstrap": scram, "ca": ca, "mechanism": "SCRAM-SHA-256", "user": "alice", "password": "one"}),
        json!({"name": "SCRAM-512", "bootstrap": short, "ca": ca, "mechanism": "SCRAM-SHA-512", "user": "bob", "password": "two"}),
    ]
}

fn through(family: &str, doors: &[Value]) -> Vec<Value> {
    let input: String = doors.iter().map(|door| format!("{door}\n")).collect();
    let lines = |output: String| output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    match family {
        "librdkafka" => run_script("doors.py", &[], doors),
        "franz-go" => lines(run_program(Command::new(clients_folder().join("go/client")).arg("doors"), &input)),
        _ => lines(kafka_tool_with_input("Doors", &[], &input)),
    }
}

fn each_family_goes_through_each_door(node: &Node, keys: &Keys) {
    std::thread::scope(|scope| {
        for family in ["librdkafka", "franz-go", "java"] {
            scope.spawn(move || {
                let mut doors = doors(node, keys);
                for door in &mut doors {
                    door["topic"] = json!(format!("{family}-{}", door["name"].as_str().unwrap()));
                    node.ok(&["topic", "create", door["topic"].as_str().unwrap()]);
                }
                if family == "java" {
                    // Longer than two sessions.
                    doors[4]["seconds"] = json!(4);
                }
                let expected: Vec<String> = (0..10).map(|number| format!("{family} {number}")).collect();
                for (door, told) in doors.iter().zip(through(family, &doors)) {
                    assert_eq!(told, json!({"door": door["name"], "values": expected}), "{family}");
                }
            });
        }
    });
}

fn who_has_no_key_is_told(node: &Node, keys: &Keys) {
    let [plaintext, ssl, mtls, password, scram, _] = &node.listeners[..] else { panic!("{:?}", node.listeners) };
    let ca = keys.path("ca.pem");
    let refused = [
        json!({"bootstrap": password, "mechanism": "PLAIN", "user": "alice", "password": "two"}),
        json!({"bootstrap": scram, "ca": ca, "mechanism": "SCRAM-SHA-256", "user": "alice", "password": "two"}),
        json!({"bootstrap": scram, "ca": ca, "mechanism": "SCRAM-SHA-512", "user": "nobody", "password": "two"}),
        json!({"bootstrap": password, "mechanism": "SCRAM-SHA-256", "user": "alice", "password": "one"}),
        json!({"bootstrap": plaintext, "mechanism": "PLAIN", "user": "alice", "password": "one"}),
        json!({"bootstrap": mtls, "ca": ca}),
    ];
    let refused = refused.map(|mut door| {
        for (name, value) in [("name", json!("refused")), ("topic", json!("refused")), ("refused", json!(true))] {
            door[name] = value;
        }
        door
    });
    let words = |family: &str| -> Vec<String> {
        let told = through(family, &refused);
        told.iter().map(|told| told["values"][0].as_str().unwrap().to_owned()).collect()
    };
    let java = words("java");
    let invalid = "Authentication failed during authentication due to invalid credentials with SASL mechanism";
    assert_eq!(java[0], "SaslAuthenticationException: Authentication failed: Invalid username or password");
    assert_eq!(java[1], format!("SaslAuthenticationException: {invalid} SCRAM-SHA-256"));
    assert_eq!(java[2], format!("SaslAuthenticationException: {invalid} SCRAM-SHA-512"));
    assert!(java[3].starts_with("UnsupportedSaslMechanismException: "), "{}", java[3]);
    assert!(java[4].starts_with("IllegalSaslStateException: "), "{}", java[4]);
    assert!(java[5].starts_with("SslAuthenticationException: "), "{}", java[5]);
    let go = words("franz-go");
    assert!(go[..3].iter().all(|told| told.contains("SASL_AUTHENTICATION_FAILED")), "{go:?}");
    assert!(go[3].contains("UNSUPPORTED_SASL_MECHANISM") && go[4].contains("ILLEGAL_SASL_STATE"), "{go:?}");
    let librdkafka: Vec<String> = {
        let told = through("librdkafka", &refused[..2]);
        told.iter().map(|told| told["values"][0].to_string()).collect()
    };
    assert!(
        librdkafka[0].contains("Invalid username or password") && librdkafka[1].contains(invalid),
        "{librdkafka:?}"
    );
    peers_of_another_protocol_are_closed(plaintext, ssl);
    the_log_says_why(node);
}

/// TLS to a plain listener, and a Kafka request to one with TLS.
fn peers_of_another_protocol_are_closed(plaintext: &str, ssl: &str) {
    for (address, bytes) in
        [(plaintext, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..]), (ssl, &[0, 0, 0, 9, 0, 18, 0, 0, 0, 0, 0, 1, 0])]
    {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 16, "closed, after an alert at most: {answer:?}");
    }
}

fn the_log_says_why(node: &Node) {
    for said in [
        "the client is not let in: Authentication failed: Invalid username or password",
        "the client is not let in: no such user, or the proof does not fit the password",
        "the SASL mechanism \"SCRAM-SHA-256\" is not in sasl.enabled.mechanisms",
        "the peer speaks TLS, and this listener does not",
        "what came is no TLS: give the client security.protocol=SSL or SASL_SSL",
        "ssl.client.auth=required: give the client a certificate",
    ] {
        eventually(said, Duration::from_secs(10), || node.log().contains(said).then_some(()));
    }
    assert!(!node.log().contains("panicked"), "{}", node.log());
    assert!(node.metric("millstream_authentications_total{listener=\"SCRAM\",outcome=\"failed\"}") >= 4);
}

fn a_broken_certificate_is_named(keys: &Keys) {
    let serve = |file: &str| {
        let settings = ["listeners=SSL://127.0.0.1:0".to_owned(), format!("ssl.keystore.location={file}")];
        let data = keys.path("data");
        let mut command = Command::new(binary());
        command.args(["serve", "--data-dir", &data, "--http", "127.0.0.1:0"]);
        settings.iter().for_each(|setting| {
            command.args(["--set", setting]);
        });
        let output = command.output().unwrap();
        assert!(!output.status.success() && !Path::new(&data).exists(), "nothing is touched");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let broken = keys.path("users");
    let error = serve(&broken);
    assert!(error.contains("listener SSL") && error.contains(&broken), "{error}");
    assert!(error.contains("expected PEM with a section BEGIN CERTIFICATE"), "{error}");
    assert!(serve("/nowhere.pem").contains("/nowhere.pem: it can't be read"));
}

#[test]
fn every_door_opens_to_its_key_and_to_nothing_else() {
    let keys = Keys::make();
    let node = start(&keys);
    let configs = "kafka.admin.ConfigCommand";
    let at = ["--bootstrap-server", &node.kafka, "--entity-type", "users", "--entity-name", "bob"];
    let password = "SCRAM-SHA-512=[iterations=8192,password=two]";
    let done = kafka_tool(configs, &[&at[..], &["--alter", "--add-config", password]].concat());
    assert!(done.contains("Completed updating config for user bob."), "{done}");
    each_family_goes_through_each_door(&node, &keys);
    let told = kafka_tool(configs, &[&at[..], &["--describe"]].concat());
    assert!(told.contains("SCRAM-SHA-512=iterations=8192"), "{told}");
    assert_eq!(node.metric("millstream_authentications_total{listener=\"SHORT\",outcome=\"failed\"}"), 0);
    who_has_no_key_is_told(&node, &keys);
    a_broken_certificate_is_named(&keys);
}
