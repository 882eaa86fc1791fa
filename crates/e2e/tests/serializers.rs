//! confluent-kafka's Avro and JSON Schema serializers with our schema registry, and SQL over what they wrote.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millstream_e2e::{Node, run_script};
use serde_json::{Value, json};

/// One kind of schema: a first version, one that may follow it, and one that may not.
struct Versions {
    kind: &'static str,
    first: Value,
    wider: Value,
    refused: Value,
}

/// Each of Avro's types that JSON can write down.
fn avro() -> Versions {
    let home = json!({"type": "record", "name": "Home", "fields": [{"name": "city", "type": "string"}]});
    let fields = vec![
        json!({"name": "name", "type": "string"}),
        json!({"name": "age", "type": "int"}),
        json!({"name": "score", "type": "double"}),
        json!({"name": "visits", "type": "long"}),
        json!({"name": "active", "type": "boolean"}),
        json!({"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["GUEST", "MEMBER"]}}),
        json!({"name": "tags", "type": {"type": "array", "items": "string"}}),
        json!({"name": "limits", "type": {"type": "map", "values": "long"}}),
        json!({"name": "home", "type": ["null", home], "default": null}),
    ];
    let record = |fields: &[Value]| json!({"type": "record", "name": "Person", "fields": fields});
    let with = |field: Value| record(&[&fields[..], &[field]].concat());
    Versions {
        kind: "avro",
        first: record(&fields),
        wider: with(json!({"name": "nick", "type": "string", "default": "none"})),
        refused: with(json!({"name": "shoe", "type": "int"})),
    }
}

fn json_schema() -> Versions {
    let schema = |more: Value, required: Value| {
        let mut properties = json!({
            "name": {"type": "string"}, "age": {"type": "integer"}, "score": {"type": "number"}, "visits": {"type": "integer"},
            "active": {"type": "boolean"}, "kind": {"enum": ["GUEST", "MEMBER"], "type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "limits": {"type": "object", "additionalProperties": {"type": "integer"}},
            "home": {"type": ["object", "null"], "properties": {"city": {"type": "string"}}},
        });
        properties.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "title": "Person", "type": "object",
            "properties": properties, "required": required, "additionalProperties": false})
    };
    Versions {
        kind: "json",
        first: schema(json!({}), json!(["name"])),
        wider: schema(json!({"nick": {"type": "string", "default": "none"}}), json!(["name"])),
        refused: schema(json!({"shoe": {"type": "integer"}}), json!(["name", "shoe"])),
    }
}

fn people() -> Vec<Value> {
    vec![
        json!({"name": "Ada", "age": 36, "score": 0.25, "visits": 9_007_199_254_740_993_i64, "active": true, "kind": "MEMBER",
            "tags": ["a", "\u{e9}"], "limits": {"day": 5}, "home": {"city": "London"}}),
        json!({"name": "", "age": -1, "score": -1e300, "visits": 0, "active": false, "kind": "GUEST", "tags": [], "limits": {},
            "home": null}),
    ]
}

/// The schema id that a value is framed with: a zero byte and four of the id.
fn framed(line: &Value) -> u32 {
    let bytes = STANDARD.decode(line["bytes"].as_str().unwrap_or_else(|| panic!("not written: {line}"))).unwrap();
    assert_eq!(bytes[0], 0);
    u32::from_be_bytes(bytes[1..5].try_into().unwrap())
}

struct Registry<'a> {
    node: &'a Node,
    kind: &'static str,
    url: String,
}

impl Registry<'_> {
    fn write(&self, topic: &str, schema: &Value, options: &Value, values: &[Value]) -> Vec<Value> {
        let file = self.node.folder().join("schema");
        std::fs::write(&file, schema.to_string()).unwrap();
        let (file, options) = (file.to_str().unwrap(), options.to_string());
        run_script("serializers.py", &["write", self.kind, &self.node.kafka, &self.url, topic, file, &options], values)
    }

    /// Read by a process that knows nothing but the registry.
    fn read(&self, topic: &str, count: usize, schema: Option<&Value>) -> Vec<Value> {
        let count = count.to_string();
        let mut args = vec!["read", self.kind, &self.node.kafka, &self.url, topic, &count];
        let file = self.node.folder().join("reader");
        if let Some(schema) = schema {
            std::fs::write(&file, schema.to_string()).unwrap();
            args.push(file.to_str().unwrap());
        }
        run_script("serializers.py", &args, &[]).into_iter().map(|line| line["value"].clone()).collect()
    }
}

fn round_trips(versions: &Versions) {
    let node = Node::start(&[]);
    let registry = Registry { node: &node, kind: versions.kind, url: format!("http://{}", node.http) };
    let topic = "people";
    node.ok(&["topic", "create", topic]);
    let written = registers_by_itself_and_evolves(versions, &registry, topic);
    let written = asks_for_what_is_there(versions, &registry, topic, written);
    sees_the_fields(&node, versions.kind, &written);
}

/// The serializer registers what it may; returns what was written.
fn registers_by_itself_and_evolves(versions: &Versions, registry: &Registry<'_>, topic: &str) -> Vec<Value> {
    let node = registry.node;
    let automatic = json!({"auto.register.schemas": true});

    // The first version is registered by the serializer, once.
    let written = registry.write(topic, &versions.first, &automatic, &people());
    let first = framed(&written[0]);
    assert_eq!(framed(&written[1]), first);
    assert_eq!(registry.read(topic, 2, None), people());

    // One that may follow is the next version; both kinds of values are read, each by its own schema.
    let mut later = people().remove(0);
    later["nick"] = json!("Countess");
    let wider = framed(&registry.write(topic, &versions.wider, &automatic, std::slice::from_ref(&later))[0]);
    assert_ne!(wider, first);
    let mut all = people();
    all.push(later);
    assert_eq!(registry.read(topic, 3, None), all);
    let listed = node.ok(&["schema", "list", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(
        (&listed["subject"], &listed["version"], &listed["id"]),
        (&json!("people-value"), &json!(2), &json!(wider))
    );

    // One that may not is refused as the registry refuses, in words that name what is wrong, and nothing is written.
    let mut with_shoe = people().remove(0);
    with_shoe["shoe"] = json!(38);
    let refusal = registry.write(topic, &versions.refused, &automatic, &[with_shoe]).remove(0);
    assert_eq!((&refusal["status"], &refusal["code"]), (&json!(409), &json!(409)), "{refusal}");
    assert!(refusal["message"].as_str().unwrap().contains("shoe"), "{refusal}");
    assert_eq!(node.ok(&["topic", "consume", topic]).lines().count(), 3);

    all
}

/// Serializers that may not register, and readers with schemas of their own; returns what is written by then.
fn asks_for_what_is_there(
    versions: &Versions,
    registry: &Registry<'_>,
    topic: &str,
    mut all: Vec<Value>,
) -> Vec<Value> {
    let later = all[2].clone();
    let [first, wider] = ["1", "2"].map(|version| {
        let shown = registry.node.ok(&["schema", "show", "people-value", "--version", version, "-o", "json"]);
        u32::try_from(serde_json::from_str::<Value>(&shown).unwrap()["id"].as_u64().unwrap()).unwrap()
    });
    // A producer with an old schema that asks for the latest writes the latest; one that may not register finds what is there.
    let latest = json!({"auto.register.schemas": false, "use.latest.version": true});
    assert_eq!(framed(&registry.write(topic, &versions.first, &latest, std::slice::from_ref(&later))[0]), wider);
    let known = json!({"auto.register.schemas": false});
    assert_eq!(framed(&registry.write(topic, &versions.first, &known, &people()[..1])[0]), first);
    let unknown = registry.write("strangers", &versions.first, &known, &people()[..1]).remove(0);
    assert_eq!((&unknown["status"], &unknown["code"]), (&json!(404), &json!(40401)), "{unknown}");
    all.extend([later, people().remove(0)]);

    if versions.kind == "avro" {
        // Avro resolves: an old value gets the new field's default, and an old reader does not see the new field.
        let filled = |value: &Value| {
            let mut value = value.clone();
            value.as_object_mut().unwrap().entry("nick").or_insert(json!("none"));
            value
        };
        let widened: Vec<Value> = all.iter().map(filled).collect();
        assert_eq!(registry.read(topic, 5, Some(&versions.wider)), widened);
        let narrowed = registry.read(topic, 5, Some(&versions.first));
        assert!(narrowed.iter().all(|value| value.get("nick").is_none() && value["tags"].is_array()), "{narrowed:?}");
    } else {
        assert_eq!(registry.read(topic, 5, Some(&versions.wider)), all);
    }
    all
}

fn sees_the_fields(node: &Node, kind: &str, written: &[Value]) {
    let query =
        "SELECT name, age, score, visits, active, kind, tags, home['city'] AS city, nick FROM people ORDER BY _offset";
    let rows: Vec<Value> =
        node.ok(&["sql", "-o", "json", "-c", query]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), written.len());
    for (row, value) in rows.iter().zip(written) {
        for field in ["name", "age", "score", "visits", "active", "kind", "tags"] {
            assert_eq!(row[field], value[field], "{kind} {field}: {row}");
        }
        assert_eq!(row.get("city").unwrap_or(&Value::Null), &value["home"]["city"], "{kind}: {row}");
    }
    assert_eq!(rows[2]["nick"], "Countess", "{kind}");
    let total = node.ok(&["sql", "-o", "json", "-c", "SELECT sum(age) AS ages FROM people WHERE kind = 'MEMBER'"]);
    let members = written.iter().filter(|value| value["kind"] == "MEMBER");
    let expected: i64 = members.map(|value| value["age"].as_i64().unwrap()).sum();
    assert_eq!(serde_json::from_str::<Value>(&total).unwrap()["ages"], expected);
    let misfits = node.ok(&["sql", "-o", "json", "-c", "SELECT count(*) AS n FROM \"people$quarantine\""]);
    assert_eq!(serde_json::from_str::<Value>(&misfits).unwrap()["n"], 0);
}

#[test]
fn avro_round_trips_through_the_registry_and_is_a_table() {
    round_trips(&avro());
}

#[test]
fn json_schema_round_trips_through_the_registry_and_is_a_table() {
    round_trips(&json_schema());
}
