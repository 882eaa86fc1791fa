import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.state.Stores;

/**
 * Kafka Streams' word count, exactly once: BOOTSTRAP IN OUT STATE_DIR. With every word its count so far goes to OUT under the word. It runs
 * until its input ends, or until it is killed.
 */
public final class WordCount {
    public static void main(String[] args) throws Exception {
        var text = Serdes.String();
        var builder = new StreamsBuilder();
        var store = Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withKeySerde(text).withValueSerde(Serdes.Long())
            .withCachingDisabled();
        builder.stream(args[1], Consumed.with(Serdes.ByteArray(), text))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with(text, text))
            .count(store)
            .toStream()
            .mapValues(count -> Long.toString(count))
            .to(args[2], Produced.with(text, text));
        Properties config = Client.properties("application.id", "word-count", "bootstrap.servers", args[0], "state.dir", args[3],
            "processing.guarantee", "exactly_once_v2", "commit.interval.ms", "100", "auto.offset.reset", "earliest",
            // So that whoever comes after a kill need not wait long for what its predecessor left.
            "session.timeout.ms", "6000", "heartbeat.interval.ms", "500", "producer.transaction.timeout.ms", "3000",
            "consumer.metadata.max.age.ms", "2000");
        var streams = new KafkaStreams(builder.build(), config);
        streams.start();
        while (System.in.read() >= 0) { }
        streams.close();
    }
}
