"""aiokafka: idempotent."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from told import REQUEST_TIMEOUT_MS, acked, end_of_stdin, failed, say


async def produce(bootstrap, topic, rate):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap.split(","),
        enable_idempotence=True,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
    )
    await producer.start()
    over = end_of_stdin()
    pending = set()

    async def hear(value, sent):
        try:
            acked(value, (await sent).offset)
        except Exception as error:
            failed(value, repr(error))

    value = 0
    while not over.is_set():
        # One after another: what waits for metadata side by side goes on in any order.
        sent = await producer.send(topic, str(value).encode(), partition=0)
        task = asyncio.create_task(hear(value, sent))
        pending.add(task)
        task.add_done_callback(pending.discard)
        value += 1
        await asyncio.sleep(1 / rate)
    await asyncio.gather(*pending)
    await producer.stop()


async def consume(bootstrap, topic, count):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap.split(","), enable_auto_commit=False)
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    await consumer.start()
    await consumer.seek_to_beginning(partition)
    for _ in range(count):
        message = await consumer.getone()
        say(f"{message.offset} {message.value.decode()}")
    await consumer.stop()


if __name__ == "__main__":
    asyncio.run({"produce": produce, "consume": consume}[sys.argv[1]](sys.argv[2], sys.argv[3], int(sys.argv[4])))
