package io.groupreduce.models.onnx;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.Wording;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.models.run.GraphCut;
import io.groupreduce.models.run.Runner;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Puts the matrices of a compressed file in an ONNX model: the one that they were read from, or another one with the same vocabulary, a quantised one for
 * instance. A matrix must stand for what it replaces, and what stands in its place then is run before the file takes its name.
 */
public final class OnnxExport implements AutoCloseable {
    /**
     * A matrix in its place.
     *
     * @param matrix its name in the compressed file
     * @param tensor the initializer that it replaces
     * @param form how its numbers are stored now
     * @param bytesBefore what stored it in the model
     * @param bytesCompressed what stores it in the compressed file
     * @param bytes what stores it now, nodes included
     * @param error its distance from the model's own vectors, as a share of their norm
     * @param added the distance of what the graph gives from the compressed matrix, as a share of its norm
     * @param rows how many rows these two were computed on
     */
    public record Placed(
            String matrix,
            String tensor,
            String form,
            long bytesBefore,
            long bytesCompressed,
            long bytes,
            double error,
            double added,
            int rows) {}

    /** What was written: bytes are those of all files of a model. */
    public record Result(List<Placed> matrices, long bytesBefore, long bytes) {}

    /** Rows that are so near their neighbours' are no rows of the same matrix. */
    private static final double NEAR = 0.9;

    private final CompressedFile compressed;
    private final OnnxFile model;
    private final Map<Place, CompressedMatrix> chosen = new LinkedHashMap<>();
    private final Map<Place, RowCheck> checks = new LinkedHashMap<>();

    /**
     * Opens the model and finds the places of all compressed matrices in it.
     *
     * @param compressed must stay open as long as this
     * @throws InvalidDataException if a matrix has no place, or does not stand for what is there
     */
    public OnnxExport(CompressedFile compressed, Path model) {
        this.compressed = compressed;
        this.model = OnnxFile.open(model);
        try {
            List<Place> places = Places.find(this.model);
            for (CompressedMatrix matrix : compressed.matrices().values()) {
                placesOf(matrix, places).forEach(place -> chosen.put(place, matrix));
            }
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /** The files of the model. */
    public List<Path> files() {
        return model.files();
    }

    private List<Place> placesOf(CompressedMatrix matrix, List<Place> places) {
        Set<String> names = compressed.tied().entrySet().stream()
                .filter(tied -> tied.getValue().equals(matrix.name()))
                .map(Map.Entry::getKey)
                .collect(Collectors.toCollection(LinkedHashSet::new));
        names.add(matrix.name());
        List<Place> named =
                places.stream().filter(place -> names.contains(place.tensor())).toList();
        // Another body names its tensors otherwise, if only for being quantised.
        List<Place> fitting = (named.isEmpty() ? places : named)
                .stream().filter(place -> fits(place, matrix)).toList();
        List<Place> found =
                fitting.stream().filter(place -> standsFor(place, matrix)).toList();
        if (found.isEmpty()) {
            String what = "the compressed " + Wording.quoted(matrix.name()) + " of " + Wording.file(compressed.path())
                    + ", [" + matrix.rows() + ", " + matrix.columns() + "]";
            String model = Wording.file(this.model.path());
            throw new InvalidDataException(
                    fitting.isEmpty()
                            ? model + " has no place for " + what + ": " + vocabulary(places)
                                    + "; give the model that it was made from."
                            : model + " holds other numbers in "
                                    + Wording.quoted(fitting.getFirst().tensor()) + " than " + what
                                    + ", stands for; give the model that it was made from.");
        }
        return found;
    }

    private static boolean fits(Place place, CompressedMatrix matrix) {
        return place.rows() == matrix.rows() && place.columns() == matrix.columns();
    }

    private static String vocabulary(List<Place> places) {
        return places.isEmpty()
                ? "it has no matrix of a vocabulary"
                : "its vocabulary has "
                        + places.stream()
                                .map(place -> Wording.quoted(place.tensor()) + " [" + place.rows() + ", "
                                        + place.columns() + "]")
                                .distinct()
                                .limit(Wording.MOST_LISTED)
                                .collect(Collectors.joining(", "));
    }

    private void requireReplaceable(Place place) {
        String tensor = Wording.file(model.path()) + ": the tensor " + Wording.quoted(place.tensor());
        if (place.role() != Model.Role.EMBEDDING) {
            throw new InvalidDataException(
                    tensor + " is an output layer, and only embeddings are exported to ONNX; use --to dense.");
        }
        if (place.elsewhere() != null) {
            throw new InvalidDataException(tensor + " also serves " + Wording.quoted(place.elsewhere())
                    + ", so it would stay in the model; only a matrix of the vocabulary alone can be replaced.");
        }
    }

    private boolean standsFor(Place place, CompressedMatrix matrix) {
        requireReplaceable(place);
        try (PlacedRows own = new PlacedRows(model, place)) {
            RowCheck check = RowCheck.of(own, matrix);
            checks.put(place, check);
            return check.nearness() < NEAR;
        }
    }

    /**
     * Writes the model with the matrices in it, verified; a failure leaves no file.
     *
     * @param target where no other run writes
     * @param data beside {@code target}, for the larger numbers; {@code null} for one file
     * @throws InvalidDataException if the model's operators are too old, or the model would be too large for one file
     * @throws FileAccessException if a file cannot be written
     */
    public Result write(Path target, Path data) {
        try (Arena arena = Arena.ofShared()) {
            GraphEditor editor = new GraphEditor(model);
            Map<CompressedMatrix, Replacement> forms = new LinkedHashMap<>();
            Map<Place, Long> bytes = new LinkedHashMap<>();
            chosen.forEach((place, matrix) -> {
                Replacement form = forms.computeIfAbsent(matrix, m -> new StreamLookup(m, arena));
                bytes.put(place, editor.replace(place, form));
            });
            OnnxWriter writer = editor.writer();
            if (data == null && writer.bytes() > OnnxWriter.LONGEST_MESSAGE) {
                throw new InvalidDataException(Wording.file(target) + " would have " + writer.bytes()
                        + " bytes, and an ONNX file of more than " + OnnxWriter.LONGEST_MESSAGE
                        + " cannot be read; add --external-data.");
            }
            Map<Place, RowCheck> results = new LinkedHashMap<>();
            if (data == null) {
                writer.write(target, file -> verify(file, target, results));
            } else {
                writer.write(target, data, file -> verify(file, target, results));
            }
            List<Placed> placed = new ArrayList<>();
            chosen.forEach((place, matrix) -> placed.add(new Placed(
                    matrix.name(),
                    place.tensor(),
                    forms.get(matrix).form(),
                    bytesBefore(place),
                    matrix.bytes(),
                    bytes.get(place),
                    checks.get(place).error(),
                    results.get(place).error(),
                    results.get(place).rows())));
            return new Result(
                    placed, size(model.files()), size(data == null ? List.of(target) : List.of(target, data)));
        }
    }

    /** The names of the compressed matrices that have a place. */
    public List<String> matrices() {
        return chosen.values().stream().map(CompressedMatrix::name).distinct().toList();
    }

    /**
     * Runs the model as it will be: with decoded rows in the places of the matrices, and without what is not needed.
     *
     * @param arena holds the rows, and must live as long as what is returned, as must this
     * @param output the output that is wanted
     * @param threads at least 1
     */
    public Runner run(Arena arena, String output, int threads) {
        GraphEditor editor = new GraphEditor(model);
        Map<CompressedMatrix, Replacement> rows = new LinkedHashMap<>();
        chosen.forEach(
                (place, matrix) -> editor.replace(place, rows.computeIfAbsent(matrix, m -> new DecodedRows(m, arena))));
        OnnxWriter writer = editor.writer();
        return Runner.open(model, GraphCut.cut(writer.model(), List.of(output), List.of()), writer.numbers(), threads);
    }

    private long bytesBefore(Place place) {
        return place.nodes().stream()
                .flatMap(node -> node.getInputList().stream())
                .distinct()
                .filter(model.initializers()::containsKey)
                .mapToLong(name -> model.data(name).byteSize())
                .sum();
    }

    private void verify(Path file, Path target, Map<Place, RowCheck> results) {
        try (OnnxFile written = OnnxFile.open(file)) {
            chosen.forEach((place, matrix) -> {
                try (PlacedRows rows = new PlacedRows(written, place)) {
                    RowCheck check = RowCheck.of(rows, matrix);
                    if (!(check.worst() <= tolerance(place.type()))) {
                        throw new InvalidDataException(
                                Wording.file(target) + " was not written: ONNX Runtime gives row "
                                        + check.worstRow() + " of " + Wording.quoted(matrix.name())
                                        + " with a relative error of "
                                        + check.worst() + "; please report this.");
                    }
                    results.put(place, check);
                }
            });
        }
    }

    /** The error of sums in another order, or of rounding to the type that the graph goes on with. */
    private static double tolerance(DataType type) {
        return switch (type) {
            case FLOAT16 -> 0x1p-10;
            case BFLOAT16 -> 0x1p-7;
            default -> 1e-5;
        };
    }

    private static long size(List<Path> files) {
        return files.stream().mapToLong(OnnxExport::size).sum();
    }

    private static long size(Path file) {
        try {
            return Files.size(file);
        } catch (IOException e) {
            throw Wording.cannotRead(file, e);
        }
    }

    /** Closes the model. */
    @Override
    public void close() {
        model.close();
    }
}
