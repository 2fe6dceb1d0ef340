package io.groupreduce.format;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.DType;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The families of {@code families.txt}: every matrix gets the role that it has in its model, whatever its name. */
class FamiliesTest {
    private static final int ROWS = 64;
    private static final int COLUMNS = 16;

    /** The largest table of its model, which nobody would look for. */
    private static final String PER_LAYER = "per_layer";

    @TempDir
    private Path directory;

    private int seed;

    /** One line of the table. */
    private record Family(
            String name,
            String config,
            List<String> embeddings,
            List<String> outputs,
            List<String> biases,
            List<String> others,
            String meets) {
        static Family of(String line) {
            String[] cells = line.split(" \\| ");
            return new Family(
                    cells[0], cells[1], words(cells[2]), words(cells[3]), words(cells[4]), words(cells[5]), cells[6]);
        }

        private static List<String> words(String cell) {
            return cell.equals("-") ? List.of() : Arrays.asList(cell.split(" "));
        }

        @Override
        public String toString() {
            return name;
        }
    }

    static Stream<Family> families() throws IOException {
        try (InputStream table = FamiliesTest.class.getResourceAsStream("families.txt")) {
            return new String(table.readAllBytes(), StandardCharsets.UTF_8)
                    .lines().filter(line -> !line.startsWith("#")).map(Family::of).toList().stream();
        }
    }

    private Tensor tensor(String name, long... shape) {
        float[] values = new float[(int) Arrays.stream(shape).reduce(1, (a, b) -> a * b)];
        Arrays.fill(values, ++seed);
        return FormatFixtures.f32(name, shape, values);
    }

    private Model save(Family family) {
        List<Tensor> tensors = new ArrayList<>();
        Stream.concat(family.embeddings().stream(), family.outputs().stream())
                .forEach(name -> tensors.add(tensor(name, ROWS, COLUMNS)));
        family.biases().forEach(name -> tensors.add(tensor(name, ROWS)));
        for (String other : family.others()) {
            String[] cells = other.split(":");
            tensors.add(tensor(
                    cells[0],
                    Arrays.stream(cells[1].split("x"))
                            .mapToLong(Long::parseLong)
                            .toArray()));
        }
        SafetensorsWriter.write(directory.resolve("model.safetensors"), tensors, Map.of());
        FormatFixtures.write(directory, "config.json", family.config());
        return Model.open(directory);
    }

    private static Set<String> names(Model model, Predicate<VocabularyMatrix> wanted) {
        return model.vocabulary().stream()
                .filter(wanted)
                .map(matrix -> matrix.tensor().name())
                .collect(Collectors.toCollection(TreeSet::new));
    }

    @ParameterizedTest
    @MethodSource("families")
    void everyMatrixHasItsRole(Family family) {
        Set<String> embeddings = new TreeSet<>(family.embeddings());
        family.others().stream()
                .map(other -> other.split(":")[0])
                .filter(name -> name.contains(PER_LAYER))
                .forEach(embeddings::add);
        try (Model model = save(family)) {
            assertEquals(embeddings, names(model, m -> m.taken() && m.role() == Model.Role.EMBEDDING));
            assertEquals(
                    new TreeSet<>(family.outputs()), names(model, m -> m.taken() && m.role() == Model.Role.OUTPUT));
            Set<String> met = names(model, VocabularyMatrix::servesAsOutput);
            assertEquals(family.meets().equals("-") ? Set.of() : Set.of(family.meets()), met);
            Set<String> biases = model.vocabulary().stream()
                    .map(matrix -> model.logits(matrix.tensor().name()).bias())
                    .filter(Objects::nonNull)
                    .filter(name -> model.require(name).shape().length == 1)
                    .collect(Collectors.toSet());
            assertEquals(Set.copyOf(family.biases()), biases);
        }
    }

    @ParameterizedTest
    @MethodSource("families")
    void aSecondVocabularyMatrixThatIsNotTakenIsNamed(Family family) {
        try (Model model = save(family)) {
            Set<String> said = names(model, m -> !m.taken());
            for (String other : family.others()) {
                boolean tall = other.endsWith(":" + ROWS + "x" + COLUMNS);
                assertTrue(!tall || said.contains(other.split(":")[0]), other);
            }
            for (VocabularyMatrix matrix : model.vocabulary()) {
                FormatFixtures.assertSentence(matrix.sentence());
            }
        }
    }

    static Stream<Family> untied() throws IOException {
        return families().filter(family -> !family.outputs().isEmpty());
    }

    /** A matrix that is stored in a type that cannot be compressed is still there. */
    @ParameterizedTest
    @MethodSource("untied")
    void withAQuantisedOutputNoEmbeddingServes(Family family) {
        List<Tensor> tensors = new ArrayList<>();
        family.embeddings().forEach(name -> tensors.add(tensor(name, ROWS, COLUMNS)));
        for (String name : family.outputs()) {
            tensors.add(new Tensor(
                    name, DType.F8_E4M3, new long[] {ROWS, COLUMNS}, MemorySegment.ofArray(new byte[ROWS * COLUMNS])));
        }
        SafetensorsWriter.write(directory.resolve("model.safetensors"), tensors, Map.of());
        FormatFixtures.write(directory, "config.json", "{\"tie_word_embeddings\": true}");
        try (Model model = Model.open(directory)) {
            assertEquals(Set.of(), names(model, VocabularyMatrix::servesAsOutput));
            assertEquals(new TreeSet<>(family.outputs()), names(model, m -> !m.taken()));
        }
    }
}
