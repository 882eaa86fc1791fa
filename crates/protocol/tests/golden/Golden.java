// Prints one request of every API and version, as Kafka's own classes encode it: API, version, frame without length in hex.
//
// javac -cp 'LIBS/*' Golden.java && java -cp 'LIBS/*:.' Golden Produce Fetch ... > requests.txt      LIBS is the folder of Kafka's jars
//
// Every field that a version has is set, tagged ones too, to values that follow from a counter: the output is always the same.

import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HexFormat;
import java.util.Locale;
import java.util.TreeSet;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;

public class Golden {
    private int counter = 1;

    public static void main(String[] names) throws Exception {
        for (String name : names) {
            ApiKeys api = null;
            for (ApiKeys key : ApiKeys.values()) {
                if (key.name.equals(name)) api = key;
            }
            if (api == null) throw new IllegalArgumentException(name);
            for (short version = api.oldestVersion(); version <= api.latestVersion(true); version++) {
                System.out.println(name + " " + version + " " + new Golden().request(api, version));
            }
        }
    }

    private String request(ApiKeys api, short version) throws Exception {
        RequestHeaderData header = new RequestHeaderData().setRequestApiKey(api.id).setRequestApiVersion(version)
            .setCorrelationId(7).setClientId("golden");
        Message body = api.messageType.newRequest();
        fill(body, api.messageType.requestSchemas()[version]);
        ByteBuffer head = MessageUtil.toByteBufferAccessor(header, api.requestHeaderVersion(version)).buffer();
        ByteBuffer rest = MessageUtil.toByteBufferAccessor(body, version).buffer();
        ByteBuffer frame = ByteBuffer.allocate(head.remaining() + rest.remaining()).put(head).put(rest);
        return HexFormat.of().formatHex(frame.array());
    }

    private void fill(Object message, Schema schema) throws Exception {
        TreeSet<String> names = new TreeSet<>();
        for (BoundField field : schema.fields()) {
            if (field.def.type instanceof TaggedFields tagged) {
                for (Field inner : tagged.fields().values()) set(message, inner);
            } else {
                set(message, field.def);
            }
        }
    }

    private void set(Object message, Field field) throws Exception {
        String wanted = ("set" + field.name.replace("_", "")).toLowerCase(Locale.ROOT);
        for (Method method : message.getClass().getMethods()) {
            if (method.getName().toLowerCase(Locale.ROOT).equals(wanted)) {
                method.invoke(message, value(method.getParameterTypes()[0], method.getGenericParameterTypes()[0], field.type));
                return;
            }
        }
        throw new IllegalStateException(message.getClass() + " has no " + field.name);
    }

    private Object value(Class<?> kind, Type generic, org.apache.kafka.common.protocol.types.Type type) throws Exception {
        int next = counter++;
        if (kind == boolean.class) return true;
        if (kind == byte.class) return (byte) (next % 100 + 1);
        if (kind == short.class) return (short) next;
        if (kind == int.class) return next * 1000;
        if (kind == long.class) return next * 1_000_000_000L;
        if (kind == double.class) return next * 0.5;
        if (kind == String.class) return "text-" + next;
        if (kind == Uuid.class) return new Uuid(next, next * 31L);
        if (kind == byte[].class) return new byte[] {(byte) next, 0, -1};
        if (kind == ByteBuffer.class) return ByteBuffer.wrap(new byte[] {(byte) next, 1});
        if (kind.getSimpleName().equals("BaseRecords")) {
            return MemoryRecords.withRecords(Compression.NONE, new SimpleRecord(1_700_000_000_000L, "k".getBytes(), "v".getBytes()));
        }
        if (Collection.class.isAssignableFrom(kind)) return collection(kind, generic, type);
        Object inner = kind.getDeclaredConstructor().newInstance();
        fill(inner, (Schema) type);
        return inner;
    }

    @SuppressWarnings("unchecked")
    private Object collection(Class<?> kind, Type generic, org.apache.kafka.common.protocol.types.Type type) throws Exception {
        Type list = generic instanceof ParameterizedType ? generic : kind.getGenericSuperclass();
        Class<?> element = (Class<?>) ((ParameterizedType) list).getActualTypeArguments()[0];
        Collection<Object> all = kind.isInterface() ? new ArrayList<>() : (Collection<Object>) kind.getDeclaredConstructor().newInstance();
        for (int count = 0; count < 2; count++) {
            Class<?> primitive = element == Integer.class ? int.class : element == Long.class ? long.class
                : element == Short.class ? short.class : element == Byte.class ? byte.class : element;
            all.add(value(primitive, element, type.arrayElementType().orElseThrow()));
        }
        return all;
    }
}
