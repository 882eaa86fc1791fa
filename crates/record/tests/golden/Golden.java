import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.*;
import org.apache.kafka.common.header.internals.*;
import org.apache.kafka.common.header.Header;
import java.nio.*; import java.nio.file.*; import java.util.*;
public class Golden {
  static void write(String name, MemoryRecords r) throws Exception {
    ByteBuffer b = r.buffer().duplicate(); byte[] a = new byte[b.remaining()]; b.get(a);
    Files.write(Paths.get("out", name + ".bin"), a); System.out.println(name + " " + a.length);
  }
  static byte[] b(String s) { return s == null ? null : s.getBytes(); }
  static void fill(MemoryRecordsBuilder m) {
    m.append(1700000000000L, b("key"), b("value"), new Header[0]);
    m.append(1700000000005L, null, b("no key"), new Header[0]);
    m.append(1699999999990L, b("no value"), null, new Header[]{ new RecordHeader("h", b("1")), new RecordHeader("h", b("2")), new RecordHeader("null", null) });
    m.append(1700000000001L, new byte[0], new byte[0], new Header[]{ new RecordHeader("", new byte[0]) });
    StringBuilder s = new StringBuilder(); for (int i = 0; i < 9000; i++) s.append("line ").append(i % 97).append('\n');
    m.append(1700000000002L, b("long"), b(s.toString()), new Header[0]);
  }
  public static void main(String[] x) throws Exception {
    String[] names = {"none","gzip","snappy","lz4","zstd"};
    Compression[] cs = { Compression.NONE, Compression.gzip().build(), Compression.snappy().build(), Compression.lz4().build(), Compression.zstd().build() };
    for (int i = 0; i < 5; i++) {
      MemoryRecordsBuilder m = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 20), (byte) 2, cs[i], TimestampType.CREATE_TIME, 100L, -1L, -1L, (short) -1, -1, false, false, 7, 1 << 20);
      fill(m); write("codec-" + names[i], m.build());
    }
    MemoryRecordsBuilder m = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 16), (byte) 2, cs[0], TimestampType.LOG_APPEND_TIME, 5L, 1700000001234L, -1L, (short) -1, -1, false, false, 0, 1 << 16);
    m.append(1L, b("a"), b("b")); m.append(2L, b("c"), b("d")); write("log-append-time", m.build());
    m = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 16), (byte) 2, cs[0], TimestampType.CREATE_TIME, 0L, -1L, 4711L, (short) 3, 2147483646, true, false, -1, 1 << 16);
    m.append(10L, b("a"), b("b")); m.append(11L, b("c"), b("d")); m.append(9L, b("e"), b("f")); write("transactional", m.build());
    write("control-commit", MemoryRecords.withEndTransactionMarker(9L, 1700000000000L, 1, 4711L, (short) 3, new EndTransactionMarker(ControlRecordType.COMMIT, 5)));
    m = new MemoryRecordsBuilder(ByteBuffer.allocate(1 << 16), (byte) 2, cs[0], TimestampType.CREATE_TIME, 0L, -1L, -1L, (short) -1, -1, false, false, -1, 1 << 16);
    m.append(-1L, b("no time"), b("x")); write("no-timestamp", m.build());
    // What this side has written is read by Kafka: every batch's CRC and records.
    for (String f : x) {
      byte[] a = Files.readAllBytes(Paths.get(f)); int n = 0; long sum = 0;
      for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(a)).batches()) {
        batch.ensureValid();
        for (org.apache.kafka.common.record.internal.Record r : batch) { n++; sum += r.valueSize(); r.ensureValid(); }
        System.out.println("read " + f + " " + batch.compressionType() + " " + n + " " + sum);
      }
    }
  }
}
