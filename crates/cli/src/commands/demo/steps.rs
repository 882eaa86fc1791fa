//! The steps of the demo, each through the same HTTP API that the command line uses.

use super::data::{FUNCTION, File, SCHEMAS};
use super::questions::QUESTIONS;
use super::show::Show;
use crate::error::Error;
use crate::http::{Client, rows};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Partitions of the flights' topics.
const PARTITIONS: i32 = 4;
/// How long the data may take to come through.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at how far it is.
const LOOK: Duration = Duration::from_millis(100);

/// The topic and the key of what a file is about, and its columns that are numbers however many digits they are written with.
fn source(about: &str) -> (&str, &'static str, &'static [&'static str]) {
    match about {
        "airlines" => (about, "carrier", &[]),
        "airports" => (about, "faa", &["lat", "lon"]),
        "weather" => {
            (about, "origin", &["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"])
        }
        _ => ("departures", "tailnum", &[]),
    }
}

/// The demo against one node.
pub struct Mission {
    /// The node.
    pub client: Client,
    /// Where files go.
    pub folder: PathBuf,
    /// What comes in.
    pub files: Vec<File>,
}

impl Mission {
    /// All steps, told as they are done.
    pub async fn run(&self, show: &mut Show) -> Result<(), Error> {
        self.topics(show).await?;
        self.work(show).await?;
        self.flow(show).await?;
        self.offload(show).await?;
        self.ask(show).await
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Error> {
        self.client.call(Method::POST, path, &body).await
    }

    /// Topics and schemas: a topic with a schema is a table.
    async fn topics(&self, show: &mut Show) -> Result<(), Error> {
        // The data is of 2013, older than any retention by default.
        let kept = json!({"retention.ms": "-1"});
        let cold = json!({"retention.ms": "-1", "remote.storage.enable": "true", "segment.bytes": "4194304"});
        for (name, configs) in
            [("departures", &kept), ("flights", &cold), ("cancelled", &kept), ("alerts", &kept), ("long_delays", &kept)]
        {
            self.post("/v1/topics", json!({"name": name, "partitions": PARTITIONS, "configs": configs})).await?;
        }
        for name in ["airlines", "airports", "weather"] {
            self.post("/v1/topics", json!({"name": name, "partitions": 1, "configs": kept})).await?;
        }
        for (topic, schema) in SCHEMAS {
            self.post(&format!("/subjects/{topic}-value/versions"), json!({"schemaType": "JSON", "schema": schema}))
                .await?;
        }
        show.step("Topics and schemas", "8 topics; flights keeps its closed segments in an object store; 5 schemas registered, so 5 topics are tables");
        Ok(())
    }

    /// Everything that works on the data, before the data comes.
    async fn work(&self, show: &mut Show) -> Result<(), Error> {
        let request = self
            .client
            .request(Method::PUT, "/v1/components")
            .header("content-type", "application/wasm")
            .body(FUNCTION);
        let uploaded: Value =
            self.client.send(request).await?.json().await.map_err(|error| Error::Node(error.to_string()))?;
        let spec = json!({
            "component": uploaded["hash"], "inputs": ["departures"], "outputs": ["flights", "cancelled"],
            "on_error": "dead-letter", "dead_letter_topic": "departures-rejected",
        });
        self.post("/v1/functions", json!({"name": "enrich", "spec": spec})).await?;
        show.step(
            "A Wasm function",
            &format!(
                "{} bytes of Rust: checks each departure, adds route and delay class, sends cancelled ones elsewhere",
                FUNCTION.len()
            ),
        );
        let sql = "CREATE STREAM long_delays AS SELECT carrier, flight, route, dep_delay, time_hour FROM flights WHERE dep_delay > 120";
        self.post("/v1/streams", json!({"sql": sql})).await?;
        show.step("A continuous query", sql);
        let rule = json!({"input": {"topic": "flights"}, "pattern": {"dep_delay": [{"numeric": [">", 600]}]}, "target": {"topic": "alerts"}});
        self.post("/v1/rules", json!({"name": "very-late", "spec": rule})).await?;
        show.step("A rule", "departures more than ten hours late go to the topic alerts");
        let url = format!("file://{}", self.folder.join("lake").display());
        let settings =
            json!({"url": url, "format": "parquet", "path": "{topic}", "roll_records": 100_000, "roll_ms": 2_000});
        self.post(
            "/v1/connectors",
            json!({"name": "lake", "type": "object-store", "topics": ["cancelled"], "settings": settings}),
        )
        .await?;
        show.step("A sink", &format!("cancelled flights as Parquet in {url}"));
        Ok(())
    }

    /// The data comes in, and all of it comes through.
    async fn flow(&self, show: &mut Show) -> Result<(), Error> {
        for file in &self.files {
            let path = self.folder.join(file.name());
            file.write(&path)?;
            let (topic, key, numbers) = source(file.about);
            let types: BTreeMap<&str, &str> = numbers.iter().map(|column| (*column, "number")).collect();
            let settings = json!({"path": path, "null_values": ["", "NA"], "key": key, "types": types});
            let connector = json!({"name": file.about, "type": "file", "topics": [topic], "settings": settings});
            self.post("/v1/connectors", connector).await?;
        }
        for file in &self.files {
            self.until("every row is in the log", &[source(file.about).0], file.rows).await?;
        }
        let of_file = |about: &str| self.files.iter().find(|file| file.about == about).map_or(0, |file| file.rows);
        let departures = of_file("flights");
        let detail = format!(
            "{departures} departures, {} hours of weather, {} airlines and {} airports, read from zstd-compressed CSV",
            of_file("weather"),
            of_file("airlines"),
            of_file("airports")
        );
        show.step("A source", &detail);
        self.committed("function-enrich").await?;
        let detail = format!(
            "{} flights, {} cancelled, {} rejected",
            self.count("flights").await?,
            self.count("cancelled").await?,
            self.count("departures-rejected").await?
        );
        show.step("Through the function", &detail);
        for follower in ["stream-long_delays", "rule-very-late"] {
            self.committed(follower).await?;
        }
        self.idle("connectors").await?;
        let detail = format!(
            "{} long delays, {} alerts, Parquet files of cancelled flights: {}",
            self.count("long_delays").await?,
            self.count("alerts").await?,
            self.parquet_files()
        );
        show.step("Through the query, the rule and the sink", &detail);
        Ok(())
    }

    fn parquet_files(&self) -> usize {
        std::fs::read_dir(self.folder.join("lake/cancelled")).map_or(0, |entries| entries.flatten().count())
    }

    /// Waits until topics together hold `count` records.
    async fn until(&self, what: &str, topics: &[&str], count: i64) -> Result<(), Error> {
        let mut waited = Duration::ZERO;
        loop {
            let listed = rows(self.client.get("/v1/topics").await?);
            let of_ours =
                listed.iter().filter(|topic| topic["name"].as_str().is_some_and(|name| topics.contains(&name)));
            let records: i64 = of_ours.filter_map(|topic| topic["records"].as_i64()).sum();
            if records >= count {
                return Ok(());
            }
            self.check_deployments().await?;
            if waited >= PATIENCE {
                return Err(Error::Node(format!(
                    "waited {PATIENCE:?} in vain until {what}: {records} of {count} records"
                )));
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
    }

    /// Records of a topic that readers see: the ends of transactions are none.
    async fn count(&self, topic: &str) -> Result<i64, Error> {
        let query = format!("SELECT count(*) AS n FROM \"{topic}\"");
        let request = self.client.request(Method::POST, "/v1/sql").json(&json!({"query": query, "format": "json"}));
        let answer = self.client.send(request).await?.text().await.map_err(|error| Error::Node(error.to_string()))?;
        let row: Option<Value> = serde_json::from_str(answer.trim()).ok();
        let count = row.and_then(|row| row["n"].as_i64());
        count.ok_or_else(|| Error::Node(format!("{query} was answered with {answer:?}")))
    }

    /// Waits until all input of a deployment is committed, and with it what came of that.
    async fn committed(&self, deployment: &str) -> Result<(), Error> {
        let group = format!("millstream-{deployment}");
        let mut waited = Duration::ZERO;
        loop {
            let listed = rows(self.client.get("/v1/groups").await?);
            let lag = listed.iter().find(|one| one["group"] == group.as_str()).and_then(|one| one["lag"].as_i64());
            if lag == Some(0) {
                return Ok(());
            }
            self.check_deployments().await?;
            if waited >= PATIENCE {
                let lag = lag.map_or_else(|| "an unknown number of".to_owned(), |lag| lag.to_string());
                return Err(Error::Node(format!(
                    "waited {PATIENCE:?} in vain for {deployment}: {lag} records are left"
                )));
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
    }

    /// Waits until nothing of a kind is behind.
    async fn idle(&self, kind: &str) -> Result<(), Error> {
        let mut waited = Duration::ZERO;
        loop {
            let listed = rows(self.client.get(&format!("/v1/{kind}")).await?);
            if listed.iter().all(|one| one["lag"].as_i64() == Some(0)) {
                return Ok(());
            }
            self.check_deployments().await?;
            if waited >= PATIENCE {
                return Err(Error::Node(format!(
                    "waited {PATIENCE:?} in vain until {kind} are not behind: {}",
                    json!(listed)
                )));
            }
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
    }

    /// Ends the wait at once when something has failed.
    async fn check_deployments(&self) -> Result<(), Error> {
        for kind in ["functions", "streams", "connectors", "rules"] {
            for one in rows(self.client.get(&format!("/v1/{kind}")).await?) {
                if one["state"] == "failed" {
                    return Err(Error::Node(format!("{} of {kind} failed: {}", one["name"], one["error"])));
                }
            }
        }
        Ok(())
    }

    /// Closed segments go to the object store, and the local copies go.
    async fn offload(&self, show: &mut Show) -> Result<(), Error> {
        let done = self.post("/v1/tier/offload", json!({"topic": "flights", "drop_local": true})).await?;
        let status = rows(self.client.get("/v1/tier").await?);
        let sum = |field: &str| status.iter().filter_map(|row| row[field].as_u64()).sum::<u64>();
        let detail = format!(
            "{} segments copied now; flights: {:.1} MiB cold in {} segments, {:.1} MiB hot",
            done["segments"],
            mebibytes(sum("bytes_cold")),
            sum("segments_cold"),
            mebibytes(sum("bytes_hot"))
        );
        show.step("Cold storage", &detail);
        Ok(())
    }

    async fn ask(&self, show: &mut Show) -> Result<(), Error> {
        show.step("SQL over hot and cold", "the same topics, as tables; flights is read from the object store");
        let before = self.reads_of_the_store().await?;
        for question in QUESTIONS {
            let request =
                self.client.request(Method::POST, "/v1/sql").json(&json!({"query": question.sql, "format": "table"}));
            let table =
                self.client.send(request).await?.text().await.map_err(|error| Error::Node(error.to_string()))?;
            show.answer(question.words, question.sql, &table);
        }
        let reads = self.reads_of_the_store().await? - before;
        println!(
            "\n    For these answers the object store was read {reads} times; the local logs of flights hold {} bytes.",
            self.local_bytes("flights")?
        );
        Ok(())
    }

    /// How often the object store was asked for an object or a part of one.
    async fn reads_of_the_store(&self) -> Result<i64, Error> {
        let request = self.client.request(Method::GET, "/metrics");
        let metrics = self.client.send(request).await?.text().await.map_err(|error| Error::Node(error.to_string()))?;
        let series = "millstream_tier_requests_total{operation=\"get\"} ";
        let count = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        count.ok_or_else(|| Error::Node(format!("/metrics has no {series}")))
    }

    /// Bytes of a topic's logs in the data folder, as the file system has them.
    fn local_bytes(&self, topic: &str) -> Result<u64, Error> {
        let mut bytes = 0;
        for partition in 0..PARTITIONS {
            let folder = self.folder.join(format!("data/{topic}-{partition}"));
            let refused = |error: std::io::Error| Error::file("read", &folder, &error);
            for entry in std::fs::read_dir(&folder).map_err(refused)? {
                let entry = entry.map_err(refused)?;
                if entry.path().extension().is_some_and(|extension| extension == "log") {
                    bytes += entry.metadata().map_err(refused)?.len();
                }
            }
        }
        Ok(bytes)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
