import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Counts a topic's records and sums up hashes of them, so that two topics can be compared whatever the order of their records.
 *
 *   java -cp 'LIBS/*' Digest.java BOOTSTRAP TOPIC
 *
 * Prints: records, the sum over their bytes, the sum over their meaning. Both sums take in partition, key and timestamp; the first the
 * value's bytes, the second the value's fields with numbers as doubles (two programs may print one double differently).
 */
public final class Digest {
    static final int HASH_BYTES = 16;
    static final BigInteger MODULUS = BigInteger.ONE.shiftLeft(8 * HASH_BYTES);
    static final ObjectMapper MAPPER = new ObjectMapper();

    final MessageDigest sha;
    BigInteger sum = BigInteger.ZERO;

    Digest() throws Exception {
        sha = MessageDigest.getInstance("SHA-256");
    }

    void add(ConsumerRecord<byte[], byte[]> record, byte[] value) {
        sha.update(ByteBuffer.allocate(12).putInt(record.partition()).putLong(record.timestamp()).array());
        part(record.key());
        part(value);
        byte[] hash = sha.digest();
        sum = sum.add(new BigInteger(1, java.util.Arrays.copyOf(hash, HASH_BYTES))).mod(MODULUS);
    }

    void part(byte[] bytes) {
        sha.update(ByteBuffer.allocate(4).putInt(bytes == null ? -1 : bytes.length).array());
        if (bytes != null) sha.update(bytes);
    }

    static byte[] meaning(byte[] value) throws Exception {
        StringBuilder text = new StringBuilder();
        for (Map.Entry<String, JsonNode> field : MAPPER.readTree(value).properties()) {
            JsonNode content = field.getValue();
            text.append(field.getKey()).append('=').append(content.isNumber() ? Double.toHexString(content.asDouble()) : content.toString()).append('\n');
        }
        return text.toString().getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }

    public static void main(String[] args) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", args[0], "max.poll.records", "20000");
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions =
                consumer.partitionsFor(args[1]).stream().map(info -> new TopicPartition(args[1], info.partition())).toList();
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            Digest bytes = new Digest(), meaning = new Digest();
            long records = 0, deadline = System.nanoTime() + Duration.ofMinutes(5).toNanos();
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                if (System.nanoTime() > deadline) throw new IllegalStateException("not read in five minutes");
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    bytes.add(record, record.value());
                    meaning.add(record, meaning(record.value()));
                    records++;
                }
            }
            System.out.printf("%d %032x %032x%n", records, bytes.sum, meaning.sum);
        }
    }
}
