"""A producer (librdkafka, idempotent, acks=all) under which a node is killed again and again: see ../README.md."""
import json
import sys

from confluent_kafka import Producer

from lines import until_input_ends, write

# So many are on their way at most: enough that something always is, and few enough that a restart finds little to repeat.
OUTSTANDING_MAX = 200
BURST = 10
PAUSE_SECONDS = 0.004


def crashing(bootstrap, topic, partitions):
    ended = until_input_ends()
    acked, errors = [], []
    # A node that is being restarted is asked for often; nothing ever times out.
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 0,
                         "message.timeout.ms": 0, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
                         "retry.backoff.ms": 20, "log_level": 0})

    def delivered(error, message):
        if error:
            errors.append(str(error))
        else:
            acked.append([json.loads(message.value())["id"], message.partition(), message.offset()])

    number, told = 0, 0
    while not ended.is_set():
        for _ in range(BURST):
            if number - len(acked) - len(errors) < OUTSTANDING_MAX:
                value = {"id": number, "user": f"u{number % 17}", "kind": "crash", "amount": 480 + number % 100}
                producer.produce(topic, json.dumps(value), partition=number % partitions, on_delivery=delivered)
                number += 1
        producer.poll(PAUSE_SECONDS)
        if len(acked) > told:
            told = len(acked)
            write(acked=told)
    producer.flush(120)
    write(done=acked, sent=number, errors=errors)


if __name__ == "__main__":
    crashing(sys.argv[1], sys.argv[2], int(sys.argv[3]))
