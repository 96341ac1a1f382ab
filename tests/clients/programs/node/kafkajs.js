// kafkajs: idempotent. What has come since the last request goes into the next one; one is in flight.
const { Kafka, logLevel } = require('kafkajs')
const Cluster = require('kafkajs/src/cluster')
const { createLogger } = require('kafkajs/src/loggers')
const logCreator = require('kafkajs/src/loggers/console')
const socketFactory = require('kafkajs/src/network/socketFactory')

const REQUEST_TIMEOUT_MS = 1500
const RETRY = { initialRetryTime: 50, maxRetryTime: 500, retries: 100 }

function client(bootstrap) {
  return new Kafka({
    brokers: bootstrap.split(','),
    logLevel: logLevel.ERROR,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: RETRY,
  })
}

async function produce(bootstrap, topic, rate) {
  const producer = client(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  let over = false
  process.stdin.on('end', () => { over = true }).resume()
  const start = Date.now()
  let sent = 0
  while (!over) {
    const due = Math.min(Math.floor(((Date.now() - start) / 1000) * rate), sent + 500)
    if (due <= sent) {
      await new Promise(resolve => setTimeout(resolve, 1000 / rate))
      continue
    }
    const values = Array.from({ length: due - sent }, (_, index) => sent + index)
    sent = due
    const messages = values.map(value => ({ value: String(value), partition: 0 }))
    try {
      const [answer] = await producer.send({ topic, acks: -1, timeout: REQUEST_TIMEOUT_MS, messages })
      const base = Number(answer.baseOffset)
      values.forEach((value, index) => console.log(`acked ${value} ${base + index}`))
    } catch (error) {
      values.forEach(value => console.log(`failed ${value} ${String(error.message).replaceAll('\n', ' ')}`))
    }
  }
  await producer.disconnect()
}

// kafkajs's consumer needs a group; its cluster, which that consumer reads with, does not.
async function consume(bootstrap, topic, count) {
  const cluster = new Cluster({
    logger: createLogger({ level: logLevel.ERROR, logCreator }),
    socketFactory: socketFactory(),
    brokers: bootstrap.split(','),
    connectionTimeout: REQUEST_TIMEOUT_MS,
    metadataMaxAge: 300000,
    retry: RETRY,
  })
  await cluster.connect()
  await cluster.addTargetTopic(topic)
  const [{ partitions: [{ offset: beginning }] }] =
    await cluster.fetchTopicsOffset([{ topic, partitions: [{ partition: 0 }], fromBeginning: true }])
  const [{ leader }] = cluster.findTopicPartitionMetadata(topic)
  const broker = await cluster.findBroker({ nodeId: leader })
  for (let next = BigInt(beginning), read = 0; read < count;) {
    const partitions = [{ partition: 0, fetchOffset: String(next), maxBytes: 1048576 }]
    const { responses } = await broker.fetch({
      replicaId: -1, isolationLevel: 1, maxWaitTime: 500, topics: [{ topic, partitions }],
    })
    for (const { offset, value, isControlRecord } of responses[0].partitions[0].messages) {
      if (BigInt(offset) < next) continue
      next = BigInt(offset) + 1n
      if (!isControlRecord && read++ < count) console.log(`${offset} ${value}`)
    }
  }
  await cluster.disconnect()
}

const [verb, bootstrap, topic, number] = process.argv.slice(2)
const run = { produce, consume }[verb]
run(bootstrap, topic, Number(number)).then(() => process.exit(0), error => {
  console.error(error)
  process.exit(1)
})
