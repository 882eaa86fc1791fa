//! Every metric of a node, each defined once. Broker metrics have Kafka's names in the usual form of its Prometheus exporter.

use crate::definition::Unit::{Bytes, Count, Milliseconds, Seconds};
use crate::definition::{CounterDef, Definition, GaugeDef, HistogramDef, ValueDef};

macro_rules! catalogue {
    ($($kind:ident $id:ident = $name:literal, $unit:ident, [$($label:literal),*], $help:literal;)*) => {
        $(
            #[doc = $help]
            pub static $id: $kind = $kind::new($name, $unit, &[$($label),*], $help);
        )*

        /// Every metric but those of the process, in the order of the catalogue.
        pub static ALL: &[&Definition] = &[$($id.definition()),*];
    };
}

catalogue! {
    CounterDef MESSAGES_IN = "kafka_server_brokertopicmetrics_messagesin_total", Count, ["topic"], "Records appended by producers.";
    CounterDef BYTES_IN = "kafka_server_brokertopicmetrics_bytesin_total", Bytes, ["topic"], "Bytes of record batches appended by producers.";
    CounterDef BYTES_OUT = "kafka_server_brokertopicmetrics_bytesout_total", Bytes, ["topic"], "Bytes of record batches sent to consumers.";
    CounterDef PRODUCE_REQUESTS = "kafka_server_brokertopicmetrics_totalproducerequests_total", Count, ["topic"], "Partitions named in produce requests.";
    CounterDef FETCH_REQUESTS = "kafka_server_brokertopicmetrics_totalfetchrequests_total", Count, ["topic"], "Partitions named in fetch requests.";
    CounterDef FAILED_PRODUCE_REQUESTS = "kafka_server_brokertopicmetrics_failedproducerequests_total", Count, ["topic"], "Partitions of produce requests that were answered with an error.";
    CounterDef FAILED_FETCH_REQUESTS = "kafka_server_brokertopicmetrics_failedfetchrequests_total", Count, ["topic"], "Partitions of fetch requests that were answered with an error.";
    CounterDef INVALID_BATCHES = "kafka_server_brokertopicmetrics_invalidmessagecrcrecords_total", Count, ["topic"], "Batches refused at the door: a wrong CRC, length or count.";

    CounterDef REQUESTS = "kafka_network_requestmetrics_requests_total", Count, ["request"], "Requests answered, by API.";
    HistogramDef REQUEST_TOTAL_TIME = "kafka_network_requestmetrics_totaltimems", Milliseconds, ["request"], "Time from the whole request read to its answer ready, waiting included.";
    CounterDef REQUEST_BYTES = "kafka_network_requestmetrics_requestbytes_total", Bytes, ["request"], "Bytes of requests, by API.";
    CounterDef RESPONSE_BYTES = "kafka_network_requestmetrics_responsebytes_total", Bytes, ["request"], "Bytes of answers, by API.";

    CounterDef AUTHENTICATIONS = "millstream_authentications_total", Count, ["listener", "outcome"], "Times that clients logged in, or were not let in.";
    CounterDef THROTTLED_REQUESTS = "millstream_throttled_requests_total", Count, ["quota"], "Requests whose client was throttled, by the quota it was above.";
    CounterDef QUOTA_SENSORS_REFUSED = "millstream_quota_sensors_refused_total", Count, [], "Requests not measured against a quota because too many clients were.";

    ValueDef CLIENT_METRIC = "kafka_client_metric", Count, ["client_id", "client_instance_id", "metric"], "What clients push of their own metrics, by their names and attributes (KIP-714).";
    CounterDef CLIENT_METRICS_DROPPED = "millstream_client_metrics_dropped_total", Count, [], "Pushed values that are not told on because a client has too many.";

    GaugeDef CONNECTIONS = "kafka_server_socketservermetrics_connectioncount", Count, ["listener"], "Connections open.";
    CounterDef CONNECTIONS_ACCEPTED = "kafka_server_socketservermetrics_connectioncreation_total", Count, ["listener"], "Connections accepted.";
    CounterDef CONNECTIONS_CLOSED = "kafka_server_socketservermetrics_connectionclose_total", Count, ["listener", "reason"], "Connections closed, by reason.";
    CounterDef CONNECTIONS_DELAYED = "millstream_net_connections_delayed_total", Count, ["listener"], "Times that a connection was accepted late because a limit of connections was reached.";
    CounterDef NETWORK_BUDGET_WAITS = "millstream_net_budget_waits_total", Count, ["listener"], "Large requests that waited for memory (queued.max.request.bytes) before they were read.";
    CounterDef NETWORK_REQUESTS = "kafka_server_socketservermetrics_request_total", Count, ["listener"], "Whole frames read.";
    CounterDef NETWORK_BYTES_IN = "kafka_server_socketservermetrics_incomingbyte_total", Bytes, ["listener"], "Bytes read from sockets.";
    CounterDef NETWORK_BYTES_OUT = "kafka_server_socketservermetrics_outgoingbyte_total", Bytes, ["listener"], "Bytes written to sockets.";
    CounterDef NETWORK_FILE_BYTES = "millstream_net_file_bytes_total", Bytes, ["listener", "way"], "Bytes of files sent: by sendfile, or by read where they were not in the page cache.";

    GaugeDef PARTITION_COUNT = "kafka_server_replicamanager_partitioncount", Count, [], "Partitions on this node.";
    GaugeDef LEADER_COUNT = "kafka_server_replicamanager_leadercount", Count, [], "Partitions that this node leads.";
    GaugeDef UNDER_REPLICATED = "kafka_server_replicamanager_underreplicatedpartitions", Count, [], "Partitions led here whose in-sync set is smaller than their replica set.";
    GaugeDef UNDER_MIN_ISR = "kafka_server_replicamanager_underminisrpartitioncount", Count, [], "Partitions led here with fewer in-sync replicas than min.insync.replicas.";
    GaugeDef OFFLINE_FOLDERS = "kafka_log_logmanager_offlinelogdirectorycount", Count, [], "Data folders that can't be used.";
    GaugeDef OFFLINE_REPLICAS = "kafka_server_replicamanager_offlinereplicacount", Count, [], "Replicas here that can't be served.";

    GaugeDef LOG_SIZE = "kafka_log_log_size", Bytes, ["topic", "partition"], "Bytes of a partition's log on local disk.";
    GaugeDef LOG_START = "kafka_log_log_logstartoffset", Count, ["topic", "partition"], "The first offset of a partition.";
    GaugeDef LOG_END = "kafka_log_log_logendoffset", Count, ["topic", "partition"], "The offset after the last record of a partition.";
    GaugeDef LOG_SEGMENTS = "kafka_log_log_numlogsegments", Count, ["topic", "partition"], "Segments of a partition on local disk.";
    HistogramDef LOG_FLUSH_TIME = "kafka_log_logflushstats_logflushrateandtimems", Milliseconds, [], "Time of one flush of a log to disk.";

    CounterDef LOG_SCRUBBED_BYTES = "millstream_log_scrubbed_bytes_total", Bytes, [], "Bytes of closed segments that were read in search of damage.";
    GaugeDef LOG_DAMAGED_BATCHES = "millstream_log_damaged_batches", Count, [], "Batches that the last look found damaged. They are not served from this disk.";

    CounterDef CLEANER_BYTES_READ = "millstream_log_cleaner_bytes_read_total", Bytes, [], "Bytes of segments that compaction replaced.";
    CounterDef CLEANER_BYTES_WRITTEN = "millstream_log_cleaner_bytes_written_total", Bytes, [], "Bytes of segments that compaction wrote.";
    CounterDef CLEANER_KEYLESS = "millstream_log_cleaner_invalid_records_total", Count, [], "Records that compaction dropped because they have no key.";
    GaugeDef CLEANER_TIME = "kafka_log_logcleaner_max_clean_time_secs", Seconds, [], "Seconds that the last compaction of a log took.";
    GaugeDef CLEANER_BUFFER_PERCENT = "kafka_log_logcleaner_max_buffer_utilization_percent", Count, [], "How much of the memory for keys the last compaction filled; at 100 it needs several rounds.";
    GaugeDef CLEANER_RECOPY_PERCENT = "kafka_log_logcleaner_cleaner_recopy_percent", Count, [], "How much the last compaction left of what it read.";
    GaugeDef CLEANER_DELAY = "kafka_log_logcleaner_max_compaction_delay_secs", Seconds, [], "Seconds that a record is past max.compaction.lag.ms at most.";
    GaugeDef CLEANER_DIRTY_PERCENT = "kafka_log_logcleanermanager_max_dirty_percent", Count, [], "The largest share of a compacted log that is dirty.";
    GaugeDef CLEANER_UNCLEANABLE = "kafka_log_logcleanermanager_uncleanable_partitions_count", Count, [], "Logs whose last compaction failed.";

    GaugeDef ACTIVE_CONTROLLERS = "kafka_controller_kafkacontroller_activecontrollercount", Count, [], "1 where this node is the controller.";
    GaugeDef GLOBAL_TOPICS = "kafka_controller_kafkacontroller_globaltopiccount", Count, [], "Topics of the cluster.";
    GaugeDef GLOBAL_PARTITIONS = "kafka_controller_kafkacontroller_globalpartitioncount", Count, [], "Partitions of the cluster.";
    GaugeDef OFFLINE_PARTITIONS = "kafka_controller_kafkacontroller_offlinepartitionscount", Count, [], "Partitions of the cluster without a leader.";

    GaugeDef GROUPS = "kafka_coordinator_group_groupmetadatamanager_numgroups", Count, ["state"], "Consumer groups coordinated here, by state.";
    CounterDef GROUP_REBALANCES = "kafka_coordinator_group_rebalances_total", Count, [], "Rebalances completed.";
    CounterDef OFFSET_COMMITS = "kafka_coordinator_group_offsetcommits_total", Count, [], "Offsets committed.";
    GaugeDef GROUP_LAG = "millstream_group_lag", Count, ["group", "topic", "partition"], "Records between a group's committed offset and the end it may read.";
    GaugeDef SHARE_PARTITIONS = "millstream_share_partitions", Count, [], "Partitions that are open for a share group here; one that is not used for a while is let go.";
    GaugeDef FETCH_SESSIONS = "kafka_server_fetchsessioncache_numincrementalfetchsessions", Count, [], "Fetch sessions kept.";
    CounterDef FETCH_SESSION_EVICTIONS = "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", Count, [], "Fetch sessions dropped for want of room.";

    GaugeDef TASKS = "millstream_tasks", Count, ["kind", "name", "state"], "Tasks of a deployment here, by state.";
    GaugeDef TASK_LAG = "millstream_task_lag", Count, ["kind", "name", "topic", "partition"], "Records between a task's committed offset and the end it may read.";
    CounterDef TASK_RECORDS_IN = "millstream_task_records_in_total", Count, ["kind", "name"], "Records that tasks of a deployment have read.";
    CounterDef TASK_RECORDS_OUT = "millstream_task_records_out_total", Count, ["kind", "name"], "Records that tasks of a deployment have written.";
    CounterDef TASK_RECORDS_FAILED = "millstream_task_records_failed_total", Count, ["kind", "name", "action"], "Records that an operator failed on, by what the error policy did with them.";
    CounterDef TASK_RESTARTS = "millstream_task_restarts_total", Count, ["kind", "name"], "Times that a task was started again after an error.";
    HistogramDef TASK_BATCH_TIME = "millstream_task_batch_ms", Milliseconds, ["kind", "name"], "Time of one batch through an operator.";
    CounterDef GUEST_CPU = "millstream_guest_cpu_ms_total", Milliseconds, ["name"], "Time on a processor that a function's guests used.";
    GaugeDef GUEST_MEMORY = "millstream_guest_memory_bytes", Bytes, ["name"], "Linear memory of a function's guests.";

    HistogramDef QUERY_TIME = "millstream_query_ms", Milliseconds, ["outcome"], "Time of one query, by outcome.";
    CounterDef QUERY_ROWS = "millstream_query_rows_total", Count, [], "Rows that queries have returned.";
    CounterDef ROWS_QUARANTINED = "millstream_rows_quarantined_total", Count, [], "Rows that do not fit their schema, met by queries.";

    CounterDef TIER_UPLOADED = "kafka_server_brokertopicmetrics_remotecopybytes_total", Bytes, ["topic"], "Bytes copied to the object store.";
    CounterDef TIER_FETCHED = "kafka_server_brokertopicmetrics_remotefetchbytes_total", Bytes, ["topic"], "Bytes read from the object store.";
    CounterDef TIER_UPLOAD_ERRORS = "kafka_server_brokertopicmetrics_remotecopyerrors_total", Count, ["topic"], "Copies to the object store that failed and are tried again.";
    CounterDef TIER_FETCH_ERRORS = "kafka_server_brokertopicmetrics_remotefetcherrors_total", Count, ["topic"], "Reads from the object store that failed.";
    CounterDef TIER_REQUESTS = "millstream_tier_requests_total", Count, ["operation"], "Requests to the object store.";
    GaugeDef TIER_LAG = "millstream_tier_lag_bytes", Bytes, ["topic"], "Bytes of closed segments that wait for their copy.";
    GaugeDef TIER_CACHE = "millstream_tier_cache_bytes", Bytes, [], "Bytes in the local cache of cold data.";

    CounterDef EVENTS_IN = "millstream_bus_events_in_total", Count, ["bus"], "Events accepted by a bus.";
    CounterDef EVENTS_DUPLICATE = "millstream_bus_events_duplicate_total", Count, ["bus"], "Events not taken because their id was seen within the window.";

    CounterDef HTTP_REQUESTS = "millstream_http_requests_total", Count, ["route", "status"], "HTTP requests answered.";
    HistogramDef HTTP_TIME = "millstream_http_request_ms", Milliseconds, ["route"], "Time of one HTTP request.";
    GaugeDef START_TIME = "millstream_start_time_seconds", Seconds, [], "When this node was started, in seconds since 1970.";
}
