import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.SplittableRandom;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.requests.ProduceResponse;
import org.apache.kafka.common.requests.RequestHeader;

/**
 * Sends batches that are the same to the byte whoever takes them, which no producer does: each is made by Kafka's own code from a seed, a
 * time and its number alone, and goes as a request of its own. See ../../../../README.md.
 */
public final class Batches implements AutoCloseable {
    /** The last version that names topics by their names and knows no transactions of the second kind. */
    static final short PRODUCE_VERSION = 11;
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    static final long FILL_TIMESTAMP = 1_700_000_000_000L;
    /** Ids that no broker gave out: brokers take an idempotent batch of any id. */
    static final long FIRST_PRODUCER = 4_000_000L;
    static final int PRODUCERS = 3;
    static final int FILL_RECORD_BYTES = 8 << 10;
    static final int FILL_BATCH_RECORDS = 64;

    final Socket socket;
    final DataInputStream in;
    final DataOutputStream out;
    int correlation;

    Batches(String bootstrap) throws IOException {
        int colon = bootstrap.lastIndexOf(':');
        socket = new Socket(bootstrap.substring(0, colon), Integer.parseInt(bootstrap.substring(colon + 1)));
        socket.setTcpNoDelay(true);
        in = new DataInputStream(socket.getInputStream());
        out = new DataOutputStream(socket.getOutputStream());
    }

    @Override
    public void close() throws IOException {
        socket.close();
    }

    /** Sends one batch and returns its answer. */
    ProduceResponse.PartitionResponse send(String topic, MemoryRecords records) throws IOException {
        var partition = new ProduceRequestData.PartitionProduceData().setIndex(0).setRecords(records);
        var topics = new ProduceRequestData.TopicProduceDataCollection();
        topics.add(new ProduceRequestData.TopicProduceData().setName(topic).setPartitionData(List.of(partition)));
        var request = new ProduceRequest(new ProduceRequestData().setAcks((short) -1).setTimeoutMs(30_000).setTopicData(topics), PRODUCE_VERSION);
        var header = new RequestHeader(ApiKeys.PRODUCE, PRODUCE_VERSION, "batches", correlation++);
        ByteBuffer frame = request.serializeWithHeader(header);
        out.writeInt(frame.remaining());
        out.write(frame.array(), frame.arrayOffset() + frame.position(), frame.remaining());
        out.flush();
        byte[] answer = new byte[in.readInt()];
        in.readFully(answer);
        var response = (ProduceResponse) AbstractResponse.parseResponse(ByteBuffer.wrap(answer), header);
        var said = response.data().responses().iterator().next().partitionResponses().get(0);
        if (said.errorCode() != Errors.NONE.code()) {
            throw new IllegalStateException(Errors.forCode(said.errorCode()) + " " + said.errorMessage());
        }
        return new ProduceResponse.PartitionResponse(Errors.NONE, said.baseOffset(), said.logAppendTimeMs(), said.logStartOffset());
    }

    /** Batch number `number` of a seed: the codecs in turn, idempotent and plain, times out of order, null keys and values, headers. */
    static MemoryRecords batch(long seed, long time, int number, Map<Long, Integer> sequences) {
        Random random = new Random(seed * 1_000_003 + number);
        boolean idempotent = number / CODECS.size() % 2 == 0;
        long producer = idempotent ? FIRST_PRODUCER + number % PRODUCERS : RecordBatch.NO_PRODUCER_ID;
        int count = 1 + random.nextInt(40);
        int sequence = idempotent ? sequences.getOrDefault(producer, 0) : RecordBatch.NO_SEQUENCE;
        if (idempotent) sequences.put(producer, sequence + count);
        Compression codec = Compression.of(CODECS.get(number % CODECS.size())).build();
        short epoch = idempotent ? (short) 2 : RecordBatch.NO_PRODUCER_EPOCH;
        var builder = MemoryRecords.builder(ByteBuffer.allocate(1 << 16), RecordBatch.CURRENT_MAGIC_VALUE, codec, TimestampType.CREATE_TIME, 0L,
            RecordBatch.NO_TIMESTAMP, producer, epoch, sequence);
        for (int at = 0; at < count; at++) {
            byte[] value = new byte[random.nextInt(2_000)];
            boolean compressible = random.nextBoolean();
            for (int place = 0; place < value.length; place++) value[place] = (byte) (compressible ? 'a' + random.nextInt(8) : random.nextInt(256));
            long timestamp = time + number * 700L + random.nextInt(2_000);
            Header[] headers = at % 5 > 0 ? new Header[0] : new Header[] {new RecordHeader("h", new byte[] {7}), new RecordHeader("h", null)};
            builder.append(timestamp, at % 7 == 0 ? null : ("key " + at).getBytes(), at % 11 == 10 ? null : value, headers);
        }
        return builder.build();
    }

    /** Sends the batches `from..to` of a seed and its first timestamp; those before `from` only count for the producers' sequences. */
    void sendAll(String topic, long seed, long time, int from, int to) throws IOException {
        Map<Long, Integer> sequences = new HashMap<>();
        for (int number = 0; number < to; number++) {
            MemoryRecords records = batch(seed, time, number, sequences);
            if (number < from) continue;
            var said = send(topic, records);
            var sent = records.batches().iterator().next();
            System.out.printf("{\"batch\":%d,\"offset\":%d,\"records\":%d,\"bytes\":%d}%n", number, said.baseOffset, sent.lastOffset() + 1, sent.sizeInBytes());
        }
    }

    /** Random values, of which nothing can be compressed; a record's key is its offset in a topic that was empty. */
    void fill(String topic, long bytes, long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        byte[] value = new byte[FILL_RECORD_BYTES];
        ByteBuffer buffer = ByteBuffer.allocate(FILL_BATCH_RECORDS * (FILL_RECORD_BYTES + 100));
        long offset = 0;
        for (long sent = 0; sent < bytes; ) {
            buffer.clear();
            var builder = MemoryRecords.builder(buffer, Compression.NONE, TimestampType.CREATE_TIME, 0L);
            for (int at = 0; at < FILL_BATCH_RECORDS; at++, offset++) {
                random.nextBytes(value);
                builder.append(FILL_TIMESTAMP + offset, Long.toString(offset).getBytes(), value);
            }
            MemoryRecords records = builder.build();
            sent += records.sizeInBytes();
            send(topic, records);
        }
        System.out.printf("{\"records\":%d}%n", offset);
    }

    static void create(String bootstrap, List<String> topics, String[] configs) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        Map<String, String> wanted = new HashMap<>();
        for (String config : configs) wanted.put(config.substring(0, config.indexOf('=')), config.substring(config.indexOf('=') + 1));
        try (Admin admin = Admin.create(properties)) {
            admin.createTopics(topics.stream().map(topic -> new NewTopic(topic, 1, (short) 1).configs(wanted)).toList()).all().get();
        }
    }

    public static void main(String[] args) throws Exception {
        String bootstrap = args[1];
        String topic = args[2];
        if (args[0].equals("create")) {
            create(bootstrap, List.of(topic.split(",")), Arrays.copyOfRange(args, 3, args.length));
            return;
        }
        try (Batches batches = new Batches(bootstrap)) {
            long seed = Long.parseLong(args[3]);
            switch (args[0]) {
                case "send" -> batches.sendAll(topic, seed, Long.parseLong(args[4]), Integer.parseInt(args[5]), Integer.parseInt(args[6]));
                case "fill" -> batches.fill(topic, Long.parseLong(args[4]), seed);
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
    }
}
