import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What transactional.py's copy does, by Kafka's own clients, which let the broker add partitions and bump epochs where it can:
 * BOOTSTRAP IN OUT GROUP ID COUNT.
 */
public final class Transactions {
    static final int RECORDS = 10;

    static KafkaProducer<byte[], byte[]> producer(String bootstrap, String id) {
        Properties config = Client.properties("bootstrap.servers", bootstrap, "transactional.id", id, "linger.ms", "5");
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(String bootstrap, String group) {
        Properties config = Client.properties("bootstrap.servers", bootstrap, "group.id", group, "enable.auto.commit", "false",
            "auto.offset.reset", "earliest", "isolation.level", "read_committed", "max.poll.records", "" + RECORDS);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** From where the group is: what was aborted is read again. */
    static void rewind(KafkaConsumer<byte[], byte[]> consumer, TopicPartition source) {
        OffsetAndMetadata at = consumer.committed(java.util.Set.of(source)).get(source);
        consumer.seek(source, at == null ? 0 : at.offset());
    }

    public static void main(String[] args) throws Exception {
        TopicPartition source = new TopicPartition(args[1], 0);
        int committed = 0;
        int aborted = 0;
        try (var producer = producer(args[0], args[4]); var consumer = consumer(args[0], args[3])) {
            producer.initTransactions();
            consumer.assign(List.of(source));
            while (committed * RECORDS < Integer.parseInt(args[5])) {
                rewind(consumer, source);
                producer.beginTransaction();
                for (int seen = 0; seen < RECORDS;) {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(1))) {
                        if (seen++ < RECORDS) producer.send(new ProducerRecord<>(args[2], 0, record.key(), record.value()));
                    }
                }
                long next = (committed + 1L) * RECORDS;
                producer.sendOffsetsToTransaction(Map.of(source, new OffsetAndMetadata(next)), consumer.groupMetadata());
                if ((committed + aborted) % 3 == 2) {
                    producer.flush();
                    producer.abortTransaction();
                    aborted++;
                } else {
                    producer.commitTransaction();
                    committed++;
                }
            }
        }
        Client.write(Client.JSON.createObjectNode().put("committed", committed).put("aborted", aborted));
    }
}
