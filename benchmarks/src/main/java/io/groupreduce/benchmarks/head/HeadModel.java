package io.groupreduce.benchmarks.head;

import io.groupreduce.api.SoftmaxData;
import io.groupreduce.benchmarks.QualityModel;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.testkit.SyntheticMatrix;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.SplittableRandom;

/** A softmax to compress and to ask: its dense matrix as F32 outside the heap, counts, and hidden states with their tokens. */
final class HeadModel implements AutoCloseable {
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final long SEED = 42;
    private static final double DECAY = 0.5;
    private static final double TOKENS_PER_ROW = 1000;
    private static final int TILE = 256;

    /** Hidden states of a generated softmax, and the most that are taken of a real one. */
    private static final int STATES = 1024;

    /** Hidden states are this many times as long as rows: logits then have a standard deviation of about 4. */
    private static final float HIDDEN_SCALE = 3;

    private final Arena arena = Arena.ofShared();
    private final String name;
    private final Matrix dense;
    private final float[] bias;
    private final long[] counts;
    private final SoftmaxData known;
    private final Queries queries;

    /**
     * A seeded matrix; hidden states come from the same generator after the last row, so that their directions are those of the
     * rows.
     *
     * @param cache a folder where the matrix is kept for the next run, or {@code null} for nowhere
     */
    private HeadModel(HeadShape shape, Path cache) {
        name = shape.toString();
        int rows = shape.rows();
        int columns = shape.columns();
        MemorySegment all = OffHeap.floats(arena, (rows + (long) STATES) * columns);
        if (cache == null) {
            generate(all, columns);
        } else {
            load(cache.resolve("dense-" + name + ".f32"), all, columns);
        }
        long split = (long) rows * columns * Float.BYTES;
        dense = Matrix.of("dense F32", DType.F32, rows, columns, all.asSlice(0, split));
        MemorySegment states = all.asSlice(split);
        bias = null;
        counts = SyntheticMatrix.zipfCounts(SEED, rows, TOKENS_PER_ROW * rows);
        known = null;
        float[] hidden = states.toArray(F32);
        for (int i = 0; i < hidden.length; i++) {
            hidden[i] *= HIDDEN_SCALE;
        }
        SplittableRandom random = new SplittableRandom(SEED);
        int[] targets = random.ints(STATES, 0, rows).toArray();
        queries = new Queries(Matrix.of("hidden states", hidden, STATES, columns), targets);
    }

    private HeadModel(QualityModel model, String name) {
        this.name = name;
        Matrix source = model.dense();
        int columns = source.columns();
        MemorySegment copy = OffHeap.floats(arena, (long) source.rows() * columns);
        float[] row = new float[columns];
        for (int i = 0; i < source.rows(); i++) {
            source.readRow(i, row, 0);
            MemorySegment.copy(row, 0, copy, F32, (long) i * columns * Float.BYTES, columns);
        }
        dense = Matrix.of("dense F32", DType.F32, source.rows(), columns, copy);
        bias = model.judged().bias();
        counts = model.counts().clone();
        known = copy(model.known(), Integer.MAX_VALUE);
        SoftmaxData judged = copy(model.judged(), STATES);
        queries = new Queries(judged.hidden(), judged.targets());
    }

    private static SoftmaxData copy(SoftmaxData data, int most) {
        int states = Math.min(most, data.hidden().rows());
        int columns = data.hidden().columns();
        float[] values = new float[states * columns];
        data.hidden().readRows(0, states, values, 0);
        Matrix hidden = Matrix.of(data.hidden().name(), values, states, columns);
        return new SoftmaxData(hidden, Arrays.copyOf(data.targets(), states), data.bias());
    }

    /** A seeded softmax, kept in a folder for the next run, or nowhere where that is {@code null}. */
    static HeadModel synthetic(HeadShape shape, Path cache) {
        return new HeadModel(shape, cache);
    }

    /** The softmax of a real model, see {@link QualityModel}. */
    static HeadModel ofFolder(Path folder) {
        try (QualityModel model = QualityModel.open(folder, false)) {
            Matrix dense = model.dense();
            String folderName =
                    folder.toAbsolutePath().normalize().getFileName().toString();
            return new HeadModel(model, folderName + "-" + dense.rows() + "x" + dense.columns());
        }
    }

    private static void generate(MemorySegment target, int columns) {
        SyntheticMatrix generator = new SyntheticMatrix(SEED, columns, DECAY);
        float[] tile = new float[TILE * columns];
        long rows = target.byteSize() / Float.BYTES / columns;
        for (long first = 0; first < rows; first += TILE) {
            int count = (int) Math.min(TILE, rows - first);
            generator.next(tile, count);
            MemorySegment.copy(tile, 0, target, F32, first * columns * Float.BYTES, count * columns);
        }
    }

    private static void load(Path file, MemorySegment target, int columns) {
        try (Arena mapping = Arena.ofConfined()) {
            if (Files.exists(file) && Files.size(file) == target.byteSize()) {
                try (FileChannel channel = FileChannel.open(file)) {
                    target.copyFrom(channel.map(FileChannel.MapMode.READ_ONLY, 0, target.byteSize(), mapping));
                }
                return;
            }
            System.err.println("generating " + file.getFileName());
            generate(target, columns);
            Files.createDirectories(file.toAbsolutePath().getParent());
            Path unfinished = file.resolveSibling(file.getFileName() + ".part");
            try (FileChannel channel = FileChannel.open(
                    unfinished,
                    StandardOpenOption.CREATE,
                    StandardOpenOption.READ,
                    StandardOpenOption.WRITE,
                    StandardOpenOption.TRUNCATE_EXISTING)) {
                channel.map(FileChannel.MapMode.READ_WRITE, 0, target.byteSize(), mapping)
                        .copyFrom(target);
            }
            Files.move(unfinished, file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Part of the names of files that belong to this model. */
    String name() {
        return name;
    }

    /** A, N x D, F32 outside the heap. */
    Matrix dense() {
        return dense;
    }

    /** Length N, or {@code null}. */
    float[] bias() {
        return bias;
    }

    long[] counts() {
        return counts;
    }

    /** What a compression may know of hidden states; {@code null} for nothing. */
    SoftmaxData known() {
        return known;
    }

    Queries queries() {
        return queries;
    }

    @Override
    public void close() {
        arena.close();
    }
}
