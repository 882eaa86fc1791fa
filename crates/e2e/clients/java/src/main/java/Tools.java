import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.StreamSupport;
import org.apache.kafka.common.utils.Exit;

/**
 * Apache Kafka's own tools, one after another in one process: each line of the input is a call,
 * {"class": ..., "args": [...], "input": ...}; each line of the output says how it ended, {"status": 0, "output": ...}.
 */
public final class Tools {
    static final ObjectMapper JSON = new ObjectMapper();
    /** What a tool prints, to both of its outputs. */
    static final ByteArrayOutputStream PRINTED = new ByteArrayOutputStream();
    /** What is left for the process' end. */
    static final List<Runnable> HOOKS = new ArrayList<>();
    /** With what the tool that runs has ended; null until then. */
    static Integer status;

    /** Thrown in the place of the process' end. */
    static final class Ended extends RuntimeException {
        Ended() {
            super("the tool has ended", null, false, false);
        }
    }

    static void end(int code, String why) {
        if (status == null) status = code;
        throw new Ended();
    }

    static void call(JsonNode call) throws Exception {
        String[] args = StreamSupport.stream(call.get("args").spliterator(), false).map(JsonNode::asText).toArray(String[]::new);
        System.setIn(new ByteArrayInputStream(call.path("input").asText().getBytes(StandardCharsets.UTF_8)));
        try {
            Class.forName(call.get("class").asText()).getMethod("main", String[].class).invoke(null, (Object) args);
        } catch (InvocationTargetException thrown) {
            if (!(thrown.getCause() instanceof Ended)) throw thrown;
        } finally {
            HOOKS.forEach(Runnable::run);
        }
    }

    public static void main(String[] none) throws Exception {
        PrintStream answers = System.out;
        BufferedReader calls = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream printed = new PrintStream(PRINTED, true, StandardCharsets.UTF_8);
        System.setOut(printed);
        System.setErr(printed);
        Exit.setExitProcedure(Tools::end);
        Exit.setHaltProcedure(Tools::end);
        Exit.setShutdownHookAdder((name, hook) -> HOOKS.add(hook));
        for (String line; (line = calls.readLine()) != null;) {
            status = null;
            HOOKS.clear();
            PRINTED.reset();
            try {
                call(JSON.readTree(line));
            } catch (Exception thrown) {
                thrown.printStackTrace(printed);
                status = 1;
            }
            answers.println(JSON.writeValueAsString(Map.of("status", status == null ? 0 : status, "output", PRINTED.toString(StandardCharsets.UTF_8))));
        }
    }
}
