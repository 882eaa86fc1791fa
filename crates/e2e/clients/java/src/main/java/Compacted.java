import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * The same records at the same offsets for every broker, in a topic that is compacted: keys that come again, tombstones, transactions that end
 * well and that don't, every codec.
 *
 * write BOOTSTRAP TOPIC SEED TIME    makes the topic, fills it, and prints where its last segment begins
 * read BOOTSTRAP TOPIC ISOLATION     prints what a consumer is given, one record a line
 */
public final class Compacted {
    static final int ROUNDS = 60;
    static final int KEYS = 40;
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    static final String GROUP = "compacted-readers";

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, String codec, String id) {
        Properties config = Client.properties("bootstrap.servers", bootstrap, "compression.type", codec, "linger.ms", "1000", "batch.size", "1000000");
        if (id != null) config.put("transactional.id", id);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static long end(Admin admin, TopicPartition partition) throws Exception {
        return admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get().offset();
    }

    /** A marker is written after its transaction's end is answered: what comes next must come after it. */
    static void await(Admin admin, TopicPartition partition, long wanted) throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        while (end(admin, partition) < wanted) {
            if (System.nanoTime() > deadline) throw new IllegalStateException("offset " + wanted + " does not come");
            Thread.sleep(5);
        }
    }

    /** One batch of some records. */
    static int send(KafkaProducer<byte[], byte[]> producer, TopicPartition partition, Random random, long time) {
        int count = 1 + random.nextInt(8);
        for (int at = 0; at < count; at++) {
            byte[] key = ("key " + random.nextInt(KEYS)).getBytes();
            byte[] value = random.nextInt(6) == 0 ? null : new byte[random.nextInt(600)];
            if (value != null) random.nextBytes(value);
            producer.send(new ProducerRecord<>(partition.topic(), partition.partition(), time + random.nextInt(50), key, value));
        }
        producer.flush();
        return count;
    }

    static void write(String bootstrap, String topic, long seed, long time) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        Random random = new Random(seed);
        long next = 0;
        try (Admin admin = Admin.create(Client.properties("bootstrap.servers", bootstrap))) {
            Map<String, String> configs = Map.of("cleanup.policy", "compact", "segment.ms", "5000", "min.cleanable.dirty.ratio", "0.01",
                "index.interval.bytes", "2000");
            admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1).configs(configs))).all().get();
            for (String codec : CODECS) {
                try (var plain = producer(bootstrap, codec, null); var transactional = producer(bootstrap, codec, topic + "-" + codec)) {
                    transactional.initTransactions();
                    for (int round = 0; round < ROUNDS / CODECS.size(); round++, time += 700) {
                        next += send(plain, partition, random, time);
                        // The last one of each codec is aborted, so that its producer's last batch is one of those.
                        boolean aborts = random.nextInt(3) == 0 || round + 1 == ROUNDS / CODECS.size();
                        transactional.beginTransaction();
                        next += send(transactional, partition, random, time);
                        if (random.nextBoolean()) next += send(plain, partition, random, time);
                        next += send(transactional, partition, random, time);
                        if (aborts) transactional.abortTransaction(); else transactional.commitTransaction();
                        await(admin, partition, ++next);
                    }
                }
            }
            try (var last = producer(bootstrap, "none", null)) {
                // Later than any segment takes: it begins another, which is not compacted.
                last.send(new ProducerRecord<>(topic, 0, Long.valueOf(System.currentTimeMillis() + 1_800_000), "last".getBytes(), (byte[]) null)).get();
            }
            if (end(admin, partition) != next + 1) throw new IllegalStateException("the topic ends at " + end(admin, partition));
        }
        try (var consumer = consumer(bootstrap, "read_committed")) {
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(next)));
        }
        System.out.println(next);
    }

    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String isolation) {
        Properties config = Client.properties("bootstrap.servers", bootstrap, "group.id", GROUP, "enable.auto.commit", "false", "isolation.level", isolation);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static void read(String bootstrap, String topic, String isolation) {
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var consumer = consumer(bootstrap, isolation)) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            while (consumer.position(partition) < end) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                    int value = record.value() == null ? -1 : java.util.Arrays.hashCode(record.value());
                    // The last record has the time at which it was sent.
                    Object time = new String(record.key()).equals("last") ? "now" : record.timestamp();
                    System.out.println(record.offset() + " " + time + " " + new String(record.key()) + " " + value);
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "write" -> write(args[1], args[2], Long.parseLong(args[3]), Long.parseLong(args[4]));
            case "read" -> read(args[1], args[2], args[3]);
            default -> throw new IllegalArgumentException(args[0]);
        }
    }
}
