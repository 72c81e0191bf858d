import java.lang.management.ManagementFactory;
import java.util.Properties;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

/**
 * Counts the records of a topic by their key with Kafka Streams, and prints how many it counted, under how many keys, and the seconds
 * and processor seconds since it met the first of them.
 *
 * StreamsCount BROKERS TOPIC RECORDS FOLDER
 *
 * All settings but the two threads are the defaults: at least once, a store in RocksDB (in FOLDER) with a changelog topic in Kafka, a
 * commit every 30 seconds and at the end.
 */
public class StreamsCount {
    private static final long PATIENCE = 60_000_000_000L;

    private static final LongAdder read = new LongAdder();
    private static volatile long began;
    private static volatile long processor;

    public static void main(String[] arguments) throws InterruptedException {
        String topic = arguments[1];
        long records = Long.parseLong(arguments[2]);
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "streams-count");
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[3]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);

        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(topic, Consumed.with(Serdes.Bytes(), Serdes.ByteArray()))
                .peek((key, value) -> met())
                .groupByKey()
                .count(Materialized.as("counts"));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.start();

        // one that loses records does not wait for them for ever
        long last = 0;
        long moved = System.nanoTime();
        while (last < records && System.nanoTime() - moved < PATIENCE) {
            Thread.sleep(10);
            if (read.sum() > last) {
                last = read.sum();
                moved = System.nanoTime();
            }
        }
        // the record that was met last is counted a moment later
        long[] counted = count(streams);
        for (int tries = 0; counted[0] < last && tries < 100; tries++) {
            Thread.sleep(10);
            counted = count(streams);
        }
        streams.close();
        System.out.printf("%d %d %.3f %.3f%n", counted[0], counted[1],
                (System.nanoTime() - began) / 1e9, (processorTime() - processor) / 1e9);
    }

    private static void met() {
        if (began == 0) {
            synchronized (read) {
                if (began == 0) {
                    processor = processorTime();
                    began = System.nanoTime();
                }
            }
        }
        read.increment();
    }

    private static long processorTime() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime();
    }

    /** The records and keys that the store holds. */
    private static long[] count(KafkaStreams streams) {
        ReadOnlyKeyValueStore<Bytes, Long> store = streams.store(
                StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.keyValueStore()));
        long[] sums = new long[2];
        try (var rows = store.all()) {
            while (rows.hasNext()) {
                sums[0] += rows.next().value;
                sums[1]++;
            }
        }
        return sums;
    }
}
