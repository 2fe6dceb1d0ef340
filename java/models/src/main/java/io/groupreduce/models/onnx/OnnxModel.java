package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.OperatorSetIdProto;
import ai.onnx.proto.OnnxMl.TensorProto;
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
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;

/** The vocabulary of an ONNX model: what {@link Places} tells, as tensors of N x D. */
final class OnnxModel implements ForeignModel {
    /** The oldest set of operators that ONNX Runtime promises to run. */
    private static final int OLDEST = 7;

    private final OnnxFile file;
    private final VocabularyChoice choice;
    private final List<Place> places;
    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    /** Those that are stored as [D, N]. */
    private final Set<String> turned = new HashSet<>();

    private final Map<String, VocabularyMatrix> vocabulary = new LinkedHashMap<>();

    OnnxModel(OnnxFile file, VocabularyChoice choice) {
        this.file = file;
        this.choice = choice;
        requireNewEnough();
        places = Places.all(file, choice);
        file.initializers().values().forEach(this::add);
        boolean guessed = places.stream().anyMatch(place -> !place.taken() && isTall(place));
        places.forEach(place -> add(place, guessed));
        named(choice.input(), Role.EMBEDDING);
        named(choice.output(), Role.OUTPUT);
        tie();
        requireFits(choice.bias());
    }

    /** Before, an operator said in another way which sides it stretches. */
    private void requireNewEnough() {
        for (OperatorSetIdProto operators : file.model().getOpsetImportList()) {
            if (operators.getDomain().isEmpty() && operators.getVersion() < OLDEST) {
                throw new InvalidDataException(Wording.file(file.path()) + " has operators of version "
                        + operators.getVersion() + "; export it again with opset " + OLDEST + " or newer.");
            }
        }
    }

    private void add(TensorProto stored) {
        String name = stored.getName();
        MemorySegment data = file.data(name);
        DType type = Constants.type(stored).orElse(DType.U8);
        long[] shape = Constants.type(stored).isEmpty()
                ? new long[] {data.byteSize()}
                : stored.getDimsList().stream().mapToLong(Long::longValue).toArray();
        tensors.put(name, new Tensor(name, type, shape, data));
    }

    private void add(Place place, boolean guessed) {
        String name = place.tensor();
        VocabularyMatrix before = vocabulary.get(name);
        if (before != null && (before.taken() || !place.taken())) {
            if (before.taken() && place.taken() && place.role() == Role.OUTPUT) {
                vocabulary.put(name, asOutput(before));
            }
            return;
        }
        if (place.quantised() == null && place.transposed()) {
            tensors.put(name, turned(tensors.get(name)));
            turned.add(name);
        }
        String quantised = place.taken() && place.quantised() != null
                ? "is stored " + place.quantised() + "; start from the unquantised model"
                : null;
        boolean taken = place.taken() && quantised == null;
        vocabulary.put(
                name,
                new VocabularyMatrix(
                        tensors.get(name),
                        place.role(),
                        taken,
                        taken && place.role() == Role.OUTPUT,
                        null,
                        quantised != null || guessed && isTall(place),
                        quantised == null ? place.why() : quantised));
    }

    /** What a user names and the graph uses in no way that is known, as it is stored. */
    private void named(String name, Role role) {
        Tensor tensor = tensors.get(name);
        boolean seen = vocabulary.containsKey(name) && vocabulary.get(name).taken();
        if (tensor == null || seen) {
            return;
        }
        if (tensor.shape().length != 2 || !tensor.type().compressible()) {
            throw new InvalidDataException(Wording.file(file.path()) + ": tensor " + Wording.quoted(name) + " has type "
                    + tensor.type() + " and shape " + Wording.shape(tensor.shape())
                    + "; a matrix of F32, F16 or BF16 is needed.");
        }
        vocabulary.put(
                name,
                new VocabularyMatrix(tensor, role, true, role == Role.OUTPUT, null, false, "is named to be that"));
    }

    /** Whether it may be taken for the embedding of a vocabulary. */
    private static boolean isTall(Place place) {
        return place.role() == Role.EMBEDDING && place.rows() > place.columns();
    }

    private static VocabularyMatrix asOutput(VocabularyMatrix found) {
        return new VocabularyMatrix(
                found.tensor(), found.role(), found.taken(), true, found.tiedTo(), found.isWorthAWord(), found.why());
    }

    private static Tensor turned(Tensor stored) {
        long[] shape = {stored.shape()[1], stored.shape()[0]};
        return Tensor.decoded(
                stored.name(), stored.type(), shape, stored.storedType(), stored.storedBytes(), new Turned(stored));
    }

    /** Matrices that are stored once more for the output, which exporters turn round. */
    private void tie() {
        List<VocabularyMatrix> seen = new ArrayList<>();
        for (VocabularyMatrix found : List.copyOf(vocabulary.values())) {
            Optional<VocabularyMatrix> original = !found.taken()
                    ? Optional.empty()
                    : seen.stream()
                            .filter(other -> same(other.tensor(), found.tensor()))
                            .findFirst();
            if (original.isPresent()) {
                String first = original.get().tensor().name();
                if (found.servesAsOutput()) {
                    vocabulary.put(first, asOutput(vocabulary.get(first)));
                }
                vocabulary.put(
                        found.tensor().name(),
                        new VocabularyMatrix(
                                found.tensor(), found.role(), true, found.servesAsOutput(), first, false, found.why()));
            } else if (found.taken()) {
                seen.add(found);
            }
        }
    }

    private boolean same(Tensor a, Tensor b) {
        return a.type() == b.type()
                && Arrays.equals(a.shape(), b.shape())
                && number(a).mismatch(number(b)) < 0
                && a.data().mismatch(b.data()) < 0;
    }

    /** The second number of the first row, whichever way round a matrix is stored: what tells most of them apart without being turned. */
    private MemorySegment number(Tensor matrix) {
        long at = matrix.shape()[1] == 1 ? 0 : turned.contains(matrix.name()) ? matrix.shape()[0] : 1;
        int bytes = matrix.type().bytes();
        return file.data(matrix.name()).asSlice(at * bytes, bytes);
    }

    private void requireFits(String bias) {
        for (VocabularyMatrix found : vocabulary.values()) {
            Tensor named = bias == null ? null : tensors.get(bias);
            long rows = found.tensor().shape()[0];
            if (named != null
                    && found.servesAsOutput()
                    && (named.elements() != rows || !named.type().compressible())) {
                throw new InvalidDataException(Wording.file(file.path()) + ": tensor " + Wording.quoted(bias)
                        + " has type " + named.type() + " and shape " + Wording.shape(named.shape()) + "; " + rows
                        + " numbers of F32, F16 or BF16 are needed for a bias of "
                        + Wording.quoted(found.tensor().name()) + ".");
            }
        }
    }

    @Override
    public String form() {
        return "onnx";
    }

    @Override
    public Map<String, Tensor> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    @Override
    public Path fileOf(String tensor) {
        OnnxFile.Numbers apart = file.numbers().get(tensor);
        return apart == null ? file.path() : apart.file();
    }

    @Override
    public List<VocabularyMatrix> vocabulary() {
        return List.copyOf(vocabulary.values());
    }

    @Override
    public Logits logits(String tensor) {
        List<Logits> found = places.stream()
                .filter(place -> place.taken() && place.role() == Role.OUTPUT)
                .filter(place -> place.tensor().equals(tensor)
                        || tensor.equals(vocabulary.get(place.tensor()).tiedTo()))
                .map(Place::logits)
                .distinct()
                .toList();
        Logits logits = found.isEmpty() ? Logits.PLAIN : found.get(0);
        if (found.size() > 1) {
            return new Logits(1, null, 0, "the graph makes logits of it twice, and not in the same way");
        }
        return choice.bias() == null
                ? logits
                : new Logits(logits.scale(), choice.bias(), logits.cap(), logits.unknown());
    }

    @Override
    public Optional<String> withoutOutput() {
        return vocabulary.values().stream().anyMatch(VocabularyMatrix::servesAsOutput)
                ? Optional.empty()
                : Optional.of("its graph makes no logits with a matrix that can be compressed; name one with"
                        + " --output-tensor, or leave the hidden states out");
    }

    @Override
    public List<String> notes() {
        return List.of();
    }

    @Override
    public void close() {
        tensors.clear();
        file.close();
    }

    /** The transpose of a matrix, made once, outside the heap, and held as long as anybody has it. */
    private static final class Turned implements Supplier<MemorySegment> {
        private final Tensor stored;
        private MemorySegment numbers;

        Turned(Tensor stored) {
            this.stored = stored;
        }

        @Override
        public synchronized MemorySegment get() {
            if (numbers == null) {
                numbers = Transpose.of(
                        stored.data(),
                        stored.shape()[0],
                        stored.shape()[1],
                        stored.type().bytes());
            }
            return numbers;
        }
    }
}
