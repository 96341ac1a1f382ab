"""kafka-python: idempotent."""

import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from told import REQUEST_TIMEOUT_MS, acked, failed, paced, say


def produce(bootstrap, topic, rate):
    producer = KafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        enable_idempotence=True,
        acks="all",
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        reconnect_backoff_max_ms=500,
    )
    for value in paced(rate):
        future = producer.send(topic, str(value).encode(), partition=0)
        future.add_callback(lambda sent, value=value: acked(value, sent.offset))
        future.add_errback(lambda error, value=value: failed(value, error))
    producer.flush(60)
    producer.close()


def consume(bootstrap, topic, count):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap.split(","), enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    for read, message in enumerate(consumer, start=1):
        say(f"{message.offset} {message.value.decode()}")
        if read == count:
            break
    consumer.close()


if __name__ == "__main__":
    {"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4]))
