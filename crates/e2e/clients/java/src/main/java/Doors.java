import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own clients at listeners with TLS and SASL: see ../../../../README.md. */
public final class Doors {
    static final ObjectMapper JSON = new ObjectMapper();
    static final int COUNT = 10;

    static Properties config(JsonNode door) {
        boolean ssl = door.has("ca"), sasl = door.has("mechanism");
        Properties made = new Properties();
        made.put("bootstrap.servers", door.get("bootstrap").asText());
        made.put("security.protocol", (sasl ? "SASL_" : "") + (ssl ? "SSL" : "PLAINTEXT"));
        if (ssl) {
            made.put("ssl.truststore.type", "PEM");
            made.put("ssl.truststore.location", door.get("ca").asText());
        }
        if (door.has("certificate")) {
            made.put("ssl.keystore.type", "PEM");
            made.put("ssl.keystore.location", door.get("certificate").asText());
        }
        if (sasl) {
            String mechanism = door.get("mechanism").asText();
            String module = mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule";
            made.put("sasl.mechanism", mechanism);
            made.put("sasl.jaas.config", "org.apache.kafka.common.security." + module + " required username=\""
                + door.get("user").asText() + "\" password=\"" + door.get("password").asText() + "\";");
        }
        return made;
    }

    static ArrayNode through(JsonNode door) throws Exception {
        ArrayNode values = JSON.createArrayNode();
        String topic = door.get("topic").asText();
        Properties config = config(door);
        config.put("max.block.ms", "10000");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            for (int number = 0; number < COUNT; number++) producer.send(new ProducerRecord<>(topic, 0, null, "java " + number)).get();
        } catch (Exception refused) {
            if (!door.has("refused")) throw refused;
            Throwable cause = refused.getCause() == null ? refused : refused.getCause();
            return values.add(cause.getClass().getSimpleName() + ": " + cause.getMessage());
        }
        if (door.has("seconds")) linger(door, topic);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(config(door), new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = System.nanoTime() + 10_000_000_000L;
            while (values.size() < COUNT && System.nanoTime() < end) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    if (record.value().startsWith("java ")) values.add(record.value());
                }
            }
        }
        return values;
    }

    /** Produces for so long, over many ends of the session: the client logs in again on the connection it has. */
    static void linger(JsonNode door, String topic) throws Exception {
        Properties config = config(door);
        config.put("retries", "0");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(config, new StringSerializer(), new StringSerializer())) {
            long end = System.nanoTime() + door.get("seconds").asLong() * 1_000_000_000L;
            while (System.nanoTime() < end) {
                producer.send(new ProducerRecord<>(topic, 0, null, "lingers")).get();
                Thread.sleep(20);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            JsonNode door = JSON.readTree(line);
            ObjectNode told = JSON.createObjectNode().put("door", door.get("name").asText());
            told.set("values", through(door));
            System.out.println(told);
            System.out.flush();
        }
    }
}
