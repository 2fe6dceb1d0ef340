package io.groupreduce.models.gguf;

import io.groupreduce.api.VocabularyChoice;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.ForeignModel;
import io.groupreduce.format.Logits;
import io.groupreduce.format.Model.Role;
import io.groupreduce.format.Tensor;
import io.groupreduce.format.VocabularyMatrix;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.DType;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;

/** The vocabulary of a GGUF model. F32, F16 and BF16 stay where they are mapped; quantised numbers are decoded when they are asked for. */
final class GgufModel implements ForeignModel {
    static final String EMBEDDING = "token_embd.weight";
    static final String OUTPUT = "output.weight";

    /** Gemma 3n: a vector of each layer for every token. */
    private static final String LAYERS = "per_layer_token_embd.weight";

    private static final String BIAS = "output.bias";

    private final GgufFile file;
    private final VocabularyChoice choice;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final List<VocabularyMatrix> vocabulary = new ArrayList<>();

    GgufModel(GgufFile file, VocabularyChoice choice) {
        this.file = file;
        this.choice = choice;
        file.tensors().forEach((name, stored) -> tensors.put(name, tensor(stored)));
        String input = Objects.requireNonNullElse(choice.input(), EMBEDDING);
        String output = Objects.requireNonNullElse(choice.output(), OUTPUT);
        boolean apart = tensors.containsKey(output) && !output.equals(input);
        String tied = apart && same(input, output) ? input : null;
        boolean serves = tied != null
                || output.equals(input)
                || !apart && withoutLogits().isEmpty();
        add(input, Role.EMBEDDING, serves, null, serves && tied == null ? "is the output too" : "is looked up");
        add(output.equals(input) ? null : output, Role.OUTPUT, true, tied, "makes logits");
        add(LAYERS, Role.EMBEDDING, false, null, "has a vector of each layer for every token");
        requireFits(choice.bias());
    }

    private static Tensor tensor(GgufTensor stored) {
        Optional<DType> dense = DType.parse(stored.type().name());
        if (dense.isPresent()) {
            return new Tensor(stored.name(), dense.get(), stored.shape(), stored.data());
        }
        boolean readable = BlockLayout.of(stored.type()).isPresent();
        long[] bytes = {stored.data().byteSize()};
        return Tensor.decoded(
                stored.name(),
                readable ? DType.F32 : DType.U8,
                readable ? stored.shape() : bytes,
                stored.type().name(),
                bytes[0],
                readable ? new Decoded(stored) : stored::data);
    }

    private void add(String name, Role role, boolean serves, String tiedTo, String why) {
        GgufTensor stored = name == null ? null : file.tensors().get(name);
        if (stored == null) {
            return;
        }
        boolean readable = tensors.get(name).type().compressible();
        boolean taken = stored.isMatrix() && readable;
        String reason = taken
                ? why
                : !readable
                        ? "is stored as " + stored.type() + " (type "
                                + stored.type().number()
                                + "), which is not read here; start from a model in F16 or one of the types Q4_0 to Q8_0,"
                                + " Q2_K to Q6_K and IQ4_NL"
                        : "has shape " + Wording.shape(stored.shape()) + " and is no matrix";
        vocabulary.add(new VocabularyMatrix(
                tensors.get(name), role, taken, taken && serves, taken ? tiedTo : null, !taken, reason));
    }

    private boolean same(String input, String output) {
        GgufTensor first = file.tensors().get(input);
        GgufTensor second = file.tensors().get(output);
        return first != null
                && first.type() == second.type()
                && Arrays.equals(first.shape(), second.shape())
                && first.data().mismatch(second.data()) < 0;
    }

    private void requireFits(String bias) {
        Tensor named = bias == null ? null : tensors.get(bias);
        for (VocabularyMatrix found : vocabulary) {
            long rows = found.taken() ? found.tensor().shape()[0] : 0;
            if (named != null
                    && found.servesAsOutput()
                    && (named.elements() != rows || !named.type().compressible())) {
                throw new InvalidDataException(Wording.file(file.path()) + ": tensor " + Wording.quoted(bias)
                        + " has type " + named.storedType() + " and shape " + Wording.shape(named.shape()) + "; " + rows
                        + " numbers are needed for a bias of "
                        + Wording.quoted(found.tensor().name()) + ".");
            }
        }
    }

    /** Why a model without an output matrix has none rather than the embedding in its place; empty if it has that. */
    Optional<String> withoutLogits() {
        GgufMetadata metadata = file.metadata();
        String architecture = metadata.text("general.architecture").orElse("");
        boolean encoder = architecture.contains("bert")
                || architecture.matches("t5encoder|.*-embed(?:ding)?")
                || metadata.integer(architecture + ".attention.causal").orElse(1) == 0
                || metadata.integer(architecture + ".pooling_type").orElse(0) > 0;
        return encoder
                ? Optional.of("it is a model of embeddings (" + Wording.quoted(architecture)
                        + "), which makes no logits; leave the hidden states out")
                : Optional.empty();
    }

    @Override
    public String form() {
        return "gguf";
    }

    @Override
    public Map<String, Tensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    @Override
    public Path fileOf(String tensor) {
        return file.tensors().get(tensor).file();
    }

    @Override
    public List<VocabularyMatrix> vocabulary() {
        return Collections.unmodifiableList(vocabulary);
    }

    @Override
    public Logits logits(String tensor) {
        String bias = choice.bias() != null ? choice.bias() : tensors.containsKey(BIAS) ? BIAS : null;
        return GgufLogits.read(
                file.metadata(), file.tensors(), tensors.get(tensor).shape()[1], bias);
    }

    @Override
    public Optional<String> withoutOutput() {
        if (vocabulary.stream().anyMatch(VocabularyMatrix::servesAsOutput)) {
            return Optional.empty();
        }
        return withoutLogits().or(() -> Optional.of("it has no output matrix that is read here"));
    }

    @Override
    public List<String> notes() {
        List<String> notes = new ArrayList<>();
        for (VocabularyMatrix found : vocabulary) {
            Tensor tensor = found.tensor();
            if (found.taken() && !tensor.storedType().equals(tensor.type().name())) {
                notes.add(String.format(
                        Locale.ROOT,
                        "%s is stored as %s, %.4g bits a number: sizes and ratios are of its %,d bytes in the file, not of"
                                + " the %,d that it takes once decoded.",
                        tensor.name(),
                        tensor.storedType(),
                        8.0 * tensor.storedBytes() / tensor.elements(),
                        tensor.storedBytes(),
                        tensor.bytes()));
            }
        }
        return notes;
    }

    @Override
    public void close() {
        file.close();
    }

    /** The numbers of a quantised tensor, decoded once, outside the heap, and held as long as anybody has them. */
    private static final class Decoded implements Supplier<MemorySegment> {
        private final GgufTensor stored;
        private MemorySegment numbers;

        Decoded(GgufTensor stored) {
            this.stored = stored;
        }

        @Override
        public synchronized MemorySegment get() {
            if (numbers == null) {
                numbers = GgufNumbers.decode(stored);
            }
            return numbers;
        }
    }
}
