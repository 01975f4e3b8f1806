import java.time.Duration;
import java.util.Arrays;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.PunctuationType;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Forwards each key once within 8 days, exactly-once: what one would write in Kafka Streams instead of a lane of `dedupe`.
 *
 * Arguments: broker, application id, source topic, first output, second output, state folder, `memory` or `rocksdb`. The second
 * output gets the first 64 bytes of the records whose key ends with 0 or 5. It writes no receipts and sets nothing aside.
 */
public class Dedup {
    static final long HORIZON = Duration.ofDays(8).toMillis();
    static final String STORE = "seen";
    static final Serde<byte[]> BYTES = Serdes.ByteArray();

    public static void main(String[] words) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, words[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, words[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, words[5]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
        settings.put("auto.offset.reset", "earliest");
        boolean inMemory = words[6].equals("memory");
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(inMemory ? keys() : windows());
        KStream<byte[], byte[]> fresh = builder.stream(words[2], Consumed.with(BYTES, BYTES))
                .process(() -> inMemory ? new ByKey() : new ByWindow(), STORE);
        fresh.to(words[3], Produced.with(BYTES, BYTES));
        fresh.filter((key, value) -> key[key.length - 1] == '0' || key[key.length - 1] == '5')
                .mapValues(value -> Arrays.copyOf(value, 64))
                .to(words[4], Produced.with(BYTES, BYTES));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(5))));
        streams.start();
    }

    static StoreBuilder<?> keys() {
        return Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(STORE), BYTES, Serdes.Long());
    }

    static StoreBuilder<?> windows() {
        Duration horizon = Duration.ofMillis(HORIZON);
        return Stores.windowStoreBuilder(Stores.persistentWindowStore(STORE, horizon, horizon, false), BYTES, Serdes.Long());
    }

    /** A store of keys; an hourly sweep removes those that are past the horizon. */
    static class ByKey implements Processor<byte[], byte[], byte[], byte[]> {
        ProcessorContext<byte[], byte[]> context;
        KeyValueStore<byte[], Long> seen;

        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            seen = given.getStateStore(STORE);
            given.schedule(Duration.ofHours(1), PunctuationType.WALL_CLOCK_TIME, this::sweep);
        }

        void sweep(long now) {
            try (var all = seen.all()) {
                while (all.hasNext()) {
                    var one = all.next();
                    if (one.value < now - HORIZON) seen.delete(one.key);
                }
            }
        }

        public void process(Record<byte[], byte[]> record) {
            if (seen.putIfAbsent(record.key(), record.timestamp()) == null) context.forward(record);
        }
    }

    /** A window store drops what is past the horizon by itself. */
    static class ByWindow implements Processor<byte[], byte[], byte[], byte[]> {
        ProcessorContext<byte[], byte[]> context;
        WindowStore<byte[], Long> seen;

        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            seen = given.getStateStore(STORE);
        }

        public void process(Record<byte[], byte[]> record) {
            long at = record.timestamp();
            try (var known = seen.fetch(record.key(), at - HORIZON, at + HORIZON)) {
                if (known.hasNext()) return;
            }
            seen.put(record.key(), at, at);
            context.forward(record);
        }
    }
}
