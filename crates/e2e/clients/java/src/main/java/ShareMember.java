import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a share group, until its standard input ends: BOOTSTRAP TOPIC GROUP implicit|explicit|holding [OPTION=VALUE...], options of the group that
 * are set first. An explicit member does with a record what its value says: `reject...`, `release-once...`, `release...`; all others it
 * accepts. A holding one stops with the first whose value begins with `hold`.
 */
public final class ShareMember {
    static final ObjectMapper JSON = new ObjectMapper();

    static synchronized void write(ObjectNode node) {
        System.out.println(node);
        System.out.flush();
    }

    static void setOptions(String bootstrap, String group, List<String> options) throws Exception {
        if (options.isEmpty()) return;
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            List<AlterConfigOp> changes = new ArrayList<>();
            for (String option : options) {
                String[] pair = option.split("=", 2);
                changes.add(new AlterConfigOp(new ConfigEntry(pair[0], pair[1]), AlterConfigOp.OpType.SET));
            }
            admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), changes)).all().get();
        }
    }

    static AcknowledgeType verdict(ConsumerRecord<String, String> record) {
        String value = record.value();
        boolean isFirst = record.deliveryCount().orElse((short) 1) == 1;
        if (value.startsWith("reject")) return AcknowledgeType.REJECT;
        if (value.startsWith("release-once")) return isFirst ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT;
        if (value.startsWith("release")) return AcknowledgeType.RELEASE;
        return AcknowledgeType.ACCEPT;
    }

    /** Whether it stops with what it has. */
    static boolean take(KafkaShareConsumer<String, String> consumer, String mode, ConsumerRecord<String, String> record) {
        short deliveries = record.deliveryCount().orElse((short) 0);
        write(JSON.createObjectNode().put("partition", record.partition()).put("offset", record.offset()).put("value", record.value()).put("deliveries", deliveries));
        if (mode.equals("holding") && record.value().startsWith("hold")) return true;
        if (!mode.equals("implicit")) consumer.acknowledge(record, verdict(record));
        return false;
    }

    public static void main(String[] words) throws Exception {
        List<String> given = List.of(words);
        String mode = words[3];
        setOptions(words[0], words[2], given.subList(4, given.size()));
        Properties config = new Properties();
        config.putAll(Map.of("bootstrap.servers", words[0], "group.id", words[2], "share.acknowledgement.mode", mode.equals("implicit") ? mode : "explicit"));
        try (var consumer = new KafkaShareConsumer<>(config, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(Set.of(words[1]));
            write(JSON.createObjectNode().put("subscribed", words[1]));
            AtomicBoolean ends = new AtomicBoolean();
            Thread watcher = new Thread(() -> {
                try {
                    while (System.in.read() >= 0) { }
                } catch (java.io.IOException gone) {
                    // Nobody is there any more.
                }
                ends.set(true);
            });
            watcher.setDaemon(true);
            watcher.start();
            while (!ends.get()) {
                boolean stops = false;
                var records = consumer.poll(Duration.ofMillis(200));
                for (var record : records) stops |= take(consumer, mode, record);
                if (stops) Thread.sleep(600_000);
                consumer.commitSync().forEach((partition, problem) -> problem.ifPresent(error ->
                    write(JSON.createObjectNode().put("refused", error.toString()))));
                if (records.count() > 0) write(JSON.createObjectNode().put("settled", records.count()));
            }
        }
    }
}
