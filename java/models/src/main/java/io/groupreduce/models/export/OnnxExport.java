package io.groupreduce.models.export;

import ai.onnx.proto.OnnxMl.TensorProto.DataType;
import io.groupreduce.api.Metric;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.format.Model;
import io.groupreduce.format.Wording;
import io.groupreduce.internal.compress.MetricRoot;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.internal.linear.Parallel;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.models.onnx.OnnxFile;
import io.groupreduce.models.onnx.OnnxWriter;
import io.groupreduce.models.onnx.Place;
import io.groupreduce.models.onnx.Places;
import io.groupreduce.models.run.GraphCut;
import io.groupreduce.models.run.Runner;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

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
     * @param role what it is there
     * @param form how its numbers are stored now
     * @param bytesBefore what stored it in the model
     * @param bytesCompressed what stores it in the compressed file
     * @param bytes what stores it now, nodes included
     * @param error its distance from the model's own vectors or logits, as a share of their norm
     * @param added the distance of what the graph gives from the compressed matrix, as a share of its norm
     * @param counted what these were computed on: rows of an embedding, hidden states of an output layer
     * @param divergence of an output layer, KL of the model's softmax to what is there now on the given states, in nats; NaN without states
     * @param sameToken the share of these states with the same most likely token; NaN without states
     */
    public record Placed(
            String matrix,
            String tensor,
            Model.Role role,
            String form,
            long bytesBefore,
            long bytesCompressed,
            long bytes,
            double error,
            double added,
            int counted,
            double divergence,
            double sameToken) {}

    /** What was written: bytes are those of all files of a model. */
    public record Result(List<Placed> matrices, long bytesBefore, long bytes) {}

    /** Rows that are so near their neighbours' are no rows of the same matrix. */
    private static final double NEAR = 0.9;

    /** Of rounding to fewer bits: what is further off is a fault. */
    private static final double ROUNDED = 0.5;

    private static final Parallel THREADS =
            (tasks, task) -> IntStream.range(0, tasks).parallel().forEach(task);

    private final CompressedFile compressed;
    private final OnnxFile model;
    private final Map<Place, CompressedMatrix> chosen = new LinkedHashMap<>();
    private final Map<Place, PlaceCheck> checks = new LinkedHashMap<>();
    private final Matrix hidden;

    /**
     * Opens the model and finds the places of all compressed matrices in it.
     *
     * @param compressed must stay open as long as this
     * @param hidden states that output layers are judged on, and tables rounded for, T x D; {@code null} for none
     * @throws InvalidDataException if a matrix has no place, or does not stand for what is there, or the states have another width
     */
    public OnnxExport(CompressedFile compressed, Path model, Matrix hidden) {
        this.compressed = compressed;
        this.hidden = hidden;
        this.model = OnnxFile.open(model);
        try {
            List<Place> places = Places.find(this.model);
            for (CompressedMatrix matrix : compressed.matrices().values()) {
                placesOf(matrix, places).forEach(place -> chosen.put(place, matrix));
            }
            if (hidden != null && chosen.keySet().stream().noneMatch(place -> place.role() == Model.Role.OUTPUT)) {
                throw new InvalidDataException("No matrix of " + Wording.file(compressed.path()) + " makes logits, so "
                        + hidden.name() + " would serve nothing; leave the hidden states out.");
            }
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    /** Without states of the model: its output layers are judged on random ones. */
    public OnnxExport(CompressedFile compressed, Path model) {
        this(compressed, model, null);
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
        if (place.role() == Model.Role.OUTPUT && hidden != null && hidden.columns() != place.columns()) {
            throw new InvalidDataException(hidden.name() + " has " + hidden.columns() + " columns, and "
                    + Wording.quoted(place.tensor()) + " has " + place.columns()
                    + "; give states of the same model.");
        }
        if (place.elsewhere() != null) {
            throw new InvalidDataException(tensor + " also serves " + Wording.quoted(place.elsewhere())
                    + ", so it would stay in the model; only a matrix of the vocabulary alone can be replaced.");
        }
    }

    private boolean standsFor(Place place, CompressedMatrix matrix) {
        requireReplaceable(place);
        PlaceCheck check = place.role() == Model.Role.OUTPUT
                ? OutputCheck.of(model, place, matrix, hidden, THREADS)
                : rows(model, place, matrix);
        checks.put(place, check);
        return check.nearness() < NEAR;
    }

    private static RowCheck rows(OnnxFile file, Place place, CompressedMatrix matrix) {
        try (PlacedRows rows = new PlacedRows(file, place)) {
            return RowCheck.of(rows, matrix);
        }
    }

    /** What stands for a matrix in each of its roles. */
    private Map<Model.Role, Replacement> forms(CompressedMatrix matrix, Arena arena) {
        Set<Model.Role> roles = EnumSet.noneOf(Model.Role.class);
        chosen.forEach((place, other) -> {
            if (other == matrix) {
                roles.add(place.role());
            }
        });
        Map<Model.Role, Replacement> forms = new EnumMap<>(Model.Role.class);
        long spent = 0;
        if (roles.contains(Model.Role.OUTPUT)) {
            HeadForm head = new HeadForm(matrix, THREADS, arena);
            spent = head.bytes() + matrix.bytes();
            forms.put(Model.Role.OUTPUT, head);
        }
        // Of a matrix of both roles either one table is stored, or two that are smaller together.
        if (roles.size() > 1 && TiedForm.bytes(matrix) <= spent) {
            Metric metric = hidden == null ? null : MetricRoot.hiddenMoment(new DenseAlgebra(THREADS), hidden);
            TiedForm table = new TiedForm(matrix, metric, THREADS, arena);
            roles.forEach(role -> forms.put(role, table));
        } else if (roles.contains(Model.Role.EMBEDDING)) {
            forms.put(Model.Role.EMBEDDING, new StreamLookup(matrix, arena));
        }
        return forms;
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
            Map<CompressedMatrix, Map<Model.Role, Replacement>> forms = new LinkedHashMap<>();
            Map<Place, Long> bytes = new LinkedHashMap<>();
            Set<Place> exact = new HashSet<>();
            chosen.forEach((place, matrix) -> {
                Replacement form =
                        forms.computeIfAbsent(matrix, m -> forms(m, arena)).get(place.role());
                bytes.put(place, editor.replace(place, form));
                if (form.isExact()) {
                    exact.add(place);
                }
            });
            OnnxWriter writer = editor.writer();
            if (data == null && writer.bytes() > OnnxWriter.LONGEST_MESSAGE) {
                throw new InvalidDataException(Wording.file(target) + " would have " + writer.bytes()
                        + " bytes, and an ONNX file of more than " + OnnxWriter.LONGEST_MESSAGE
                        + " cannot be read; add --external-data.");
            }
            Map<Place, PlaceCheck> results = new LinkedHashMap<>();
            if (data == null) {
                writer.write(target, file -> verify(file, target, exact, results));
            } else {
                writer.write(target, data, file -> verify(file, target, exact, results));
            }
            List<Placed> placed = new ArrayList<>();
            chosen.forEach((place, matrix) -> {
                boolean isOutput = checks.get(place) instanceof OutputCheck;
                OutputCheck before = isOutput ? (OutputCheck) checks.get(place) : null;
                OutputCheck after = isOutput ? (OutputCheck) results.get(place) : null;
                placed.add(new Placed(
                        matrix.name(),
                        place.tensor(),
                        place.role(),
                        forms.get(matrix).get(place.role()).form(),
                        bytesBefore(place),
                        matrix.bytes(),
                        bytes.get(place),
                        isOutput ? before.error(after) : total(place, exact, results),
                        results.get(place).error(),
                        results.get(place).counted(),
                        isOutput ? before.divergence(after) : Double.NaN,
                        isOutput ? before.agreement(after) : Double.NaN));
            });
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

    /** The distance of rows from the model's own ones; what rounding adds has nothing to do with what was lost before. */
    private double total(Place place, Set<Place> exact, Map<Place, PlaceCheck> results) {
        double before = checks.get(place).error();
        return exact.contains(place)
                ? before
                : Math.hypot(before, results.get(place).error());
    }

    private long bytesBefore(Place place) {
        return place.nodes().stream()
                .flatMap(node -> node.getInputList().stream())
                .distinct()
                .filter(model.initializers()::containsKey)
                .mapToLong(name -> model.data(name).byteSize())
                .sum();
    }

    private void verify(Path file, Path target, Set<Place> exact, Map<Place, PlaceCheck> results) {
        try (OnnxFile written = OnnxFile.open(file)) {
            chosen.forEach((place, matrix) -> {
                PlaceCheck check = checks.get(place) instanceof OutputCheck before
                        ? before.in(written)
                        : rows(written, place, matrix);
                // Of exact rows each one is looked at, of the others how they are as a whole.
                boolean exactRows = exact.contains(place) && check instanceof RowCheck;
                double error = exactRows ? ((RowCheck) check).worst() : check.error();
                if (!(error <= (exactRows ? tolerance(place.type()) : ROUNDED))) {
                    throw new InvalidDataException(Wording.file(target) + " was not written: ONNX Runtime gives "
                            + (exactRows ? "row " + ((RowCheck) check).worstRow() + " of " : "")
                            + Wording.quoted(matrix.name()) + " with a relative error of " + error
                            + "; please report this.");
                }
                results.put(place, check);
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
