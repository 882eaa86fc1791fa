import org.apache.kafka.clients.producer.*; import org.apache.kafka.clients.admin.*;
import org.apache.kafka.common.header.internals.*;
import java.util.*;
public class Produce {
  static class R { long s; R(long s){this.s=s;} int next(int b){ s = s*6364136223846793005L+1442695040888963407L; return (int)((s>>>33)%b);} }
  public static void main(String[] a) throws Exception {
    String boot = a[0], topic = a[1]; 
    Properties p = new Properties(); p.put("bootstrap.servers", boot);
    try (Admin admin = Admin.create(p)) {
      Map<String,String> c = new HashMap<>(); c.put(a.length > 4 ? "internal.segment.bytes" : "segment.bytes", a.length > 4 ? a[4] : "1048576"); c.put("index.interval.bytes", a[2]); c.put("segment.index.bytes", "1000000"); c.put("retention.ms","-1"); c.put("segment.ms", a[3]);
      for (int i = 5; i < a.length; i++) { String[] kv = a[i].split("="); c.put(kv[0], kv[1]); }
      admin.createTopics(List.of(new NewTopic(topic, 1, (short)1).configs(c))).all().get();
    }
    String[] codecs = {"none","gzip","snappy","lz4","zstd"};
    R r = new R(7); long t = 1700000000000L;
    for (int round = 0; round < 10; round++) {
      Properties q = new Properties(); q.put("bootstrap.servers", boot); q.put("compression.type", codecs[round % 5]); q.put("linger.ms", "5"); q.put("batch.size", String.valueOf(1000 + 700 * round)); q.put("enable.idempotence", String.valueOf(round % 2 == 0));
      q.put("key.serializer","org.apache.kafka.common.serialization.ByteArraySerializer"); q.put("value.serializer","org.apache.kafka.common.serialization.ByteArraySerializer");
      try (KafkaProducer<byte[],byte[]> k = new KafkaProducer<>(q)) {
        for (int i = 0; i < Integer.getInteger("records", 1500); i++) {
          t += r.next(50); byte[] v = new byte[r.next(Integer.getInteger("size", 600))]; for (int j = 0; j < v.length; j++) v[j] = (byte) (round % 5 == 0 ? r.next(256) : 97 + r.next(8));
          ProducerRecord<byte[],byte[]> rec = new ProducerRecord<>(topic, 0, t - r.next(300), i % 7 == 0 ? null : ("k" + i).getBytes(), i % 11 == 0 ? null : v, i % 5 == 0 ? List.of(new RecordHeader("h", "x".getBytes()), new RecordHeader("h", null)) : null);
          k.send(rec); if (i % 20 == 19) k.flush();
        }
      }
    }
  }
}
