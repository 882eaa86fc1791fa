import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own clients: see ../../../../README.md. */
public final class Client {
    static final ObjectMapper JSON = new ObjectMapper();

    static Properties properties(String... pairs) {
        Properties properties = new Properties();
        for (int at = 0; at < pairs.length; at += 2) properties.put(pairs[at], pairs[at + 1]);
        return properties;
    }

    static synchronized void write(ObjectNode node) {
        System.out.println(node);
        System.out.flush();
    }

    static byte[] bytes(JsonNode node) throws Exception {
        return node.isNull() ? null : node.binaryValue();
    }

    static ObjectNode line(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode node = JSON.createObjectNode();
        node.put("partition", record.partition()).put("offset", record.offset()).put("key", record.key()).put("value", record.value());
        ArrayNode headers = node.putArray("headers");
        record.headers().forEach(header -> headers.addArray().add(header.key()).add(header.value()));
        return node.put("timestamp", record.timestamp());
    }

    /** TOPIC CODEC or TOPIC COUNT arguments, in their order. */
    static Map<String, String> pairs(List<String> words) {
        Map<String, String> pairs = new LinkedHashMap<>();
        for (int at = 0; at < words.size(); at += 2) pairs.put(words.get(at), words.get(at + 1));
        return pairs;
    }

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, String codec) {
        Properties config = properties("bootstrap.servers", bootstrap, "compression.type", codec, "acks", "all", "linger.ms", "20",
            "max.request.size", "4000000");
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static void produce(String bootstrap, List<String> words) throws Exception {
        Map<String, KafkaProducer<byte[], byte[]>> topics = new LinkedHashMap<>();
        pairs(words).forEach((topic, codec) -> topics.put(topic, producer(bootstrap, codec)));
        try {
            List<Future<?>> sends = new ArrayList<>();
            var lines = new BufferedReader(new InputStreamReader(System.in));
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                JsonNode in = JSON.readTree(line);
                // A record that names no topic goes to the first.
                String topic = in.has("topic") ? in.get("topic").asText() : words.get(0);
                var record = new ProducerRecord<>(topic, in.get("partition").asInt(), in.get("timestamp").asLong(), bytes(in.get("key")), bytes(in.get("value")));
                for (JsonNode header : in.get("headers")) record.headers().add(new RecordHeader(header.get(0).asText(), bytes(header.get(1))));
                sends.add(topics.get(topic).send(record));
            }
            topics.values().forEach(KafkaProducer::flush);
            for (Future<?> send : sends) send.get();
        } finally {
            topics.values().forEach(KafkaProducer::close);
        }
    }

    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String... more) {
        Properties config = properties("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest", "enable.auto.commit", "false",
            "max.partition.fetch.bytes", "4000000");
        config.putAll(properties(more));
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void consume(String bootstrap, List<String> words) {
        Map<String, Integer> left = new LinkedHashMap<>();
        pairs(words).forEach((topic, count) -> left.put(topic, Integer.valueOf(count)));
        int all = left.values().stream().mapToInt(Integer::intValue).sum();
        try (var consumer = consumer(bootstrap)) {
            List<TopicPartition> partitions = left.keySet().stream().flatMap(topic -> consumer.partitionsFor(topic).stream())
                .map(info -> new TopicPartition(info.topic(), info.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            long deadline = System.nanoTime() + 30_000_000_000L;
            while (all > 0) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    if (left.get(record.topic()) == 0) continue;
                    left.merge(record.topic(), -1, Integer::sum);
                    all--;
                    ObjectNode node = line(record);
                    if (left.size() > 1) node.put("topic", record.topic());
                    write(node);
                }
                if (System.nanoTime() > deadline) throw new IllegalStateException("in 30 s these did not come: " + left);
            }
        }
    }

    static void group(String bootstrap, String topic, String name, String protocol) throws Exception {
        // Of the consumer protocol the server sets the times and assigns.
        String[] classic = {"group.id", name, "session.timeout.ms", "6000", "heartbeat.interval.ms", "500",
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor"};
        String[] server = {"group.id", name, "group.protocol", protocol};
        try (var consumer = consumer(bootstrap, protocol.equals("classic") ? classic : server)) {
            TreeSet<Integer> held = new TreeSet<>();
            var listener = new ConsumerRebalanceListener() {
                public void onPartitionsRevoked(Collection<TopicPartition> revoked) {
                    revoked.forEach(one -> held.remove(one.partition()));
                    changed();
                }

                public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
                    assigned.forEach(one -> held.add(one.partition()));
                    changed();
                }

                void changed() {
                    ObjectNode node = JSON.createObjectNode();
                    ArrayNode now = node.putArray("assigned");
                    held.forEach(now::add);
                    write(node);
                }
            };
            if (topic.startsWith("^")) consumer.subscribe(new SubscriptionPattern(topic.substring(1)), listener);
            else consumer.subscribe(List.of(topic), listener);
            while (!inputEnded) {
                var records = consumer.poll(Duration.ofMillis(200));
                records.forEach(record -> write(line(record)));
                if (!records.isEmpty()) consumer.commitSync();
            }
        }
    }

    static volatile boolean inputEnded;


    static void watchInput() {
        Thread watcher = new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (java.io.IOException closed) {
                // An input that can't be read has ended.
            }
            inputEnded = true;
        });
        watcher.setDaemon(true);
        watcher.start();
    }

    static void admin(String bootstrap, String topic) throws Exception {
        try (Admin admin = Admin.create(properties("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, 3, (short) 1))).all().get();
            write(JSON.createObjectNode().put("partitions", count(admin, topic)));
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            var set = new AlterConfigOp(new ConfigEntry("retention.ms", "60000"), AlterConfigOp.OpType.SET);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
            String retention = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value();
            write(JSON.createObjectNode().put("retention", retention));
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
            write(JSON.createObjectNode().put("partitions", count(admin, topic)));
            admin.deleteTopics(List.of(topic)).all().get();
            write(JSON.createObjectNode().put("gone", !admin.listTopics().names().get().contains(topic)));
        }
    }

    static int count(Admin admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "produce" -> produce(args[1], Arrays.asList(args).subList(2, args.length));
            case "consume" -> consume(args[1], Arrays.asList(args).subList(2, args.length));
            case "group" -> {
                watchInput();
                group(args[1], args[2], args[3], args.length > 4 ? args[4] : "classic");
            }
            case "admin" -> admin(args[1], args[2]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }
}
