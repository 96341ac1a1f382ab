import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** The Java clients of Apache Kafka: an idempotent producer, a consumer that assigns, an admin client that describes. */
public class Client {
    private static final int REQUEST_TIMEOUT_MS = 1500;
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "produce" -> produce(arguments[1], arguments[2], Integer.parseInt(arguments[3]));
            case "consume" -> consume(arguments[1], arguments[2], Integer.parseInt(arguments[3]));
            case "describe" -> describe(arguments[1], arguments[2]);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }

    private static void produce(String bootstrap, String topic, int rate) throws Exception {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("request.timeout.ms", REQUEST_TIMEOUT_MS);
        properties.put("delivery.timeout.ms", 60_000);
        properties.put("reconnect.backoff.max.ms", 500);
        AtomicBoolean over = endOfStdin();
        try (var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int value = 0; !over.get(); value++) {
                String text = Integer.toString(value);
                producer.send(new ProducerRecord<>(topic, 0, null, text), (sent, error) -> {
                    if (error == null) {
                        OUT.println("acked " + text + " " + sent.offset());
                    } else {
                        OUT.println("failed " + text + " " + error.toString().replace('\n', ' '));
                    }
                });
                Thread.sleep(Math.max(1, 1000 / rate));
            }
        }
    }

    private static void consume(String bootstrap, String topic, int count) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("enable.auto.commit", false);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            for (int read = 0; read < count; ) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    if (read++ < count) {
                        OUT.println(record.offset() + " " + record.value());
                    }
                }
            }
        }
    }

    /** {@code kind} is bootstrap.servers or bootstrap.controllers. */
    private static void describe(String bootstrap, String kind) throws Exception {
        try (Admin admin = Admin.create(Map.of(kind, bootstrap))) {
            var cluster = admin.describeCluster();
            OUT.println("cluster " + cluster.clusterId().get());
            OUT.println("controller " + cluster.controller().get().id());
            var nodes = cluster.nodes().get().stream().map(node -> node.id()).sorted().toList();
            OUT.println("nodes " + nodes);
            var features = admin.describeFeatures().featureMetadata().get();
            OUT.println("supported " + features.supportedFeatures());
            OUT.println("finalized " + features.finalizedFeatures());
            var quorum = admin.describeMetadataQuorum().quorumInfo().get();
            OUT.println("leader " + quorum.leaderId() + " " + quorum.leaderEpoch());
            OUT.println("voters " + quorum.voters().stream().map(voter -> voter.replicaId()).sorted().toList());
        }
    }

    private static AtomicBoolean endOfStdin() {
        AtomicBoolean over = new AtomicBoolean();
        Thread reader = new Thread(() -> {
            try {
                System.in.readAllBytes();
            } catch (java.io.IOException error) {
                // Gone is ended, too.
            }
            over.set(true);
        });
        reader.setDaemon(true);
        reader.start();
        return over;
    }
}
