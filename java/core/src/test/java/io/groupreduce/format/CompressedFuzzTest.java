package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ContainerNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.groupreduce.Fuzz;
import io.groupreduce.internal.packed.PackedFixture;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.DType;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Damaged compressed files in a correct safetensors frame, so that the damage reaches what reads the parts. Each is refused
 * with one of this library's exceptions, or opens and decodes from its first row to its last.
 */
class CompressedFuzzTest {
    private static final int ROUNDS = 250;
    private static final int MOST_BYTES = 100_000;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Values for any place in the metadata, as JSON. */
    private static final List<String> VALUES = List.of(
            "0",
            "1",
            "-1",
            "2",
            "40",
            "41",
            "254",
            "255",
            "256",
            "46340",
            "46341",
            "2147483647",
            "2147483648",
            "4294967297",
            "9223372036854775807",
            "18446744073709551617",
            "1.5",
            "1e300",
            "true",
            "false",
            "null",
            "\"\"",
            "\"3\"",
            "\"F64\"",
            "\"other\"",
            "\"lm_head.weight\"",
            "[]",
            "{}",
            "[61,41]",
            "[[3]]",
            "{\"lm_head.weight\":{}}",
            "[3,5,2,41,0,41,4,5,41]",
            "\"zero\"",
            "\"8x3\"",
            "\"dense:8x41,zero\"",
            "[\"3:3x5\"]",
            "9".repeat(900));

    /** Text for any place in the metadata. */
    private static final List<String> SNIPPETS = List.of(
            "[".repeat(5000),
            "{\"a\":".repeat(3000),
            "1".repeat(5000),
            ",",
            "\"",
            "NaN",
            "x",
            ".",
            "1x1,",
            "dense:8x41,",
            "/bf16",
            "/32",
            "\u0000",
            "\ud800",
            "}");

    private static final List<String> SUFFIXES =
            List.of("", ".groups", ".codes", ".scales", ".bias", ".left.0", ".rows", ".right");

    @TempDir
    private Path directory;

    private CompressedFixture valid;
    private CompressedFixture packed;

    @BeforeEach
    void valid() {
        valid = CompressedFixture.of(directory);
        CompressedMatrix matrix = PackedFixture.of(1, CompressedFixture.ROWS, CompressedFixture.COLUMNS, 5, 0, 3)
                .matrix(CompressedFixture.NAME);
        packed = CompressedFixture.of(
                directory, matrix.withBias(CompressedFixture.matrix().bias()));
    }

    private void fuzz(BiConsumer<Random, CompressedFixture> mutation) {
        Fuzz.run(ROUNDS, random -> {
            CompressedFixture undamaged = random.nextBoolean() ? valid : packed;
            CompressedFixture fixture = new CompressedFixture();
            fixture.metadata = undamaged.metadata;
            fixture.tensors.putAll(undamaged.tensors);
            mutation.accept(random, fixture);
            open(fixture);
        });
    }

    /** Reads everything a caller could. */
    private void open(CompressedFixture fixture) {
        Path path = fixture.write(directory.resolve("fuzzed.safetensors"));
        try (CompressedFile file = CompressedFile.open(path)) {
            for (CompressedMatrix matrix : file.matrices().values()) {
                float[] row = new float[matrix.columns()];
                for (int i = 0; i < matrix.rows(); i++) {
                    matrix.decodeRows(i, 1, row, 0);
                }
                assertTrue(matrix.bytes() > 0);
                assertTrue(matrix.bias() == null || matrix.bias().length == matrix.rows());
                assertTrue(matrix.parameters() >= 0);
            }
            file.tied().forEach((name, stored) -> assertTrue(file.require(name) == file.require(stored)));
        }
    }

    @Test
    void theUnchangedFilesOpen() {
        open(valid);
        open(packed);
    }

    @Test
    void metadataOfOtherValues() {
        fuzz((random, fixture) -> {
            try {
                JsonNode root = JSON.readTree(fixture.metadata);
                for (int n = 1 + random.nextInt(3); n > 0; n--) {
                    List<ContainerNode<?>> containers = new ArrayList<>();
                    collect(root, containers);
                    mutate(random, containers.get(random.nextInt(containers.size())));
                }
                fixture.metadata = JSON.writeValueAsString(root);
            } catch (JsonProcessingException e) {
                throw new IllegalStateException(e);
            }
        });
    }

    private static void collect(JsonNode node, List<ContainerNode<?>> containers) {
        if (node instanceof ContainerNode) {
            containers.add((ContainerNode<?>) node);
        }
        node.forEach(child -> collect(child, containers));
    }

    private static void mutate(Random random, ContainerNode<?> container) throws JsonProcessingException {
        JsonNode value = JSON.readTree(VALUES.get(random.nextInt(VALUES.size())));
        int at = random.nextInt(container.size() + 1);
        boolean remove = random.nextInt(4) == 0;
        if (container instanceof ArrayNode) {
            ArrayNode array = (ArrayNode) container;
            if (remove) {
                array.remove(at);
            } else if (at < array.size() && random.nextBoolean()) {
                array.set(at, value);
            } else {
                array.insert(at, value);
            }
            return;
        }
        ObjectNode object = (ObjectNode) container;
        List<String> names = new ArrayList<>();
        object.fieldNames().forEachRemaining(names::add);
        String name = at < names.size() ? names.get(at) : "other";
        if (remove) {
            object.remove(name);
        } else {
            object.set(name, value);
        }
    }

    @Test
    void metadataOfOtherText() {
        fuzz((random, fixture) -> {
            StringBuilder text = new StringBuilder(fixture.metadata);
            int at = random.nextInt(text.length());
            int to = Math.min(text.length(), at + random.nextInt(30));
            switch (random.nextInt(4)) {
                case 0 -> text.insert(at, SNIPPETS.get(random.nextInt(SNIPPETS.size())));
                case 1 -> text.replace(at, to, VALUES.get(random.nextInt(VALUES.size())));
                case 2 -> text.delete(at, to);
                default -> text.insert(random.nextInt(text.length()), text.substring(at, to));
            }
            // The frame must stay valid, and half of a surrogate pair cannot be written into it.
            fixture.metadata = text.toString().replace('\ud800', '?');
        });
    }

    @Test
    void tensorsOfOtherTypesShapesAndNames() {
        fuzz((random, fixture) -> {
            for (int n = 1 + random.nextInt(2); n > 0; n--) {
                List<String> names = new ArrayList<>(fixture.tensors.keySet());
                Tensor tensor = fixture.tensors.get(names.get(random.nextInt(names.size())));
                String other = CompressedFixture.NAME + SUFFIXES.get(random.nextInt(SUFFIXES.size()));
                switch (random.nextInt(5)) {
                    case 0 -> fixture.tensors.remove(tensor.name());
                    case 1 -> put(fixture, other, tensor.type(), tensor.shape(), tensor);
                    case 2 -> {
                        DType type = DType.values()[random.nextInt(DType.values().length)];
                        put(fixture, tensor.name(), type, tensor.shape(), tensor);
                    }
                    default -> put(fixture, tensor.name(), tensor.type(), shape(random, tensor.shape()), tensor);
                }
            }
        });
    }

    private static long[] shape(Random random, long[] shape) {
        long[] changed = random.nextInt(4) == 0 ? Arrays.copyOf(shape, random.nextInt(4)) : shape;
        if (changed.length > 0) {
            int side = random.nextInt(changed.length);
            changed[side] =
                    random.nextBoolean() ? random.nextInt(300) : Math.max(0, changed[side] + random.nextInt(3) - 1);
        }
        return changed;
    }

    /** Gives the tensor as many bytes as its type and shape need, from another one and then zeros. */
    private static void put(CompressedFixture fixture, String name, DType type, long[] shape, Tensor content) {
        long bytes = Tensor.storedBytes(type, shape);
        if (bytes >= 0 && bytes <= MOST_BYTES) {
            byte[] data = content.data().toArray(ValueLayout.JAVA_BYTE);
            fixture.put(name, type, Arrays.copyOf(data, (int) bytes), shape);
        }
    }

    @Test
    void tensorsOfOtherContent() {
        fuzz((random, fixture) -> {
            List<String> names = new ArrayList<>(fixture.tensors.keySet());
            names.remove("other");
            // Group numbers are a few bytes among thousands.
            Tensor groups = fixture.part("groups");
            Tensor tensor = groups != null && random.nextBoolean()
                    ? groups
                    : fixture.tensors.get(names.get(random.nextInt(names.size())));
            byte[] data = tensor.data().toArray(ValueLayout.JAVA_BYTE);
            for (int n = 1 + random.nextInt(4); n > 0; n--) {
                byte value = random.nextBoolean() ? (byte) random.nextInt(10) : (byte) random.nextInt(256);
                data[random.nextInt(data.length)] = value;
            }
            fixture.put(tensor.name(), tensor.type(), data, tensor.shape());
        });
    }
}
