"""A producer (librdkafka, idempotent, acks=all) that goes on until standard input ends: see ../README.md."""
import sys
import time

from confluent_kafka import Producer

from lines import until_input_ends, write

PAUSE_SECONDS = 0.005


def steady(bootstrap, topic):
    ended = until_input_ends()
    state = {"acked": 0, "slowest_ms": 0.0, "errors": []}
    acked = []

    def failed(error):
        state["errors"].append(str(error))

    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 0,
                         "error_cb": failed, "log_level": 0})

    def delivered(number, begun):
        def note(error, _):
            if error:
                failed(f"record {number}: {error}")
                return
            acked.append(number)
            state["acked"] += 1
            state["slowest_ms"] = max(state["slowest_ms"], (time.monotonic() - begun) * 1000)
        return note

    number = 0
    while not ended.is_set():
        before = state["acked"]
        try:
            producer.produce(topic, str(number).encode(), partition=0, on_delivery=delivered(number, time.monotonic()))
            number += 1
        except BufferError:
            # Nothing is acknowledged at the moment: what is on its way comes first.
            pass
        producer.poll(PAUSE_SECONDS)
        if state["acked"] != before:
            write(acked=state["acked"])
    producer.flush(60)
    write(done=acked, sent=number, slowest_ms=state["slowest_ms"], errors=state["errors"])


if __name__ == "__main__":
    steady(*sys.argv[1:])
