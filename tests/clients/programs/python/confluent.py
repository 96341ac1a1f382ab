"""confluent-kafka (librdkafka): idempotent."""

import sys

from confluent_kafka import Consumer, OFFSET_BEGINNING, Producer, TopicPartition

from told import REQUEST_TIMEOUT_MS, acked, failed, paced, say


def produce(bootstrap, topic, rate):
    producer = Producer({
        "bootstrap.servers": bootstrap,
        "enable.idempotence": True,
        "socket.timeout.ms": REQUEST_TIMEOUT_MS,
        "request.timeout.ms": REQUEST_TIMEOUT_MS,
        "reconnect.backoff.max.ms": 500,
    })

    def told(value):
        def tell(error, message):
            failed(value, error) if error else acked(value, message.offset())
        return tell

    for value in paced(rate):
        producer.produce(topic, str(value).encode(), partition=0, on_delivery=told(value))
        producer.poll(0)
    producer.flush(60)


def consume(bootstrap, topic, count):
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    read = 0
    while read < count:
        for message in consumer.consume(min(count - read, 1000), timeout=1.0):
            if message.error():
                sys.exit(str(message.error()))
            say(f"{message.offset()} {message.value().decode()}")
            read += 1


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
