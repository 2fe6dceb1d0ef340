package io.groupreduce;

import io.groupreduce.LoadedMatrix.Query;
import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Pruning;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.DeviceException;
import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.error.MalformedFileException;
import io.groupreduce.format.CompressedFile;
import io.groupreduce.internal.check.Finite;
import io.groupreduce.internal.check.Shareable;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.InferenceProblem;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;

/**
 * A compressed embedding matrix: the rows of D numbers of the tokens that are asked for. Of {@link HeadOptions} only tensor, device and
 * threads have a meaning here.
 *
 * <p>Any number of threads may ask at once. Beyond its result a query allocates nothing in steady state, as long as at most 16 run at
 * once. Every query throws {@link InvalidDataException} for a token outside the vocabulary, a target that is too small, or a row
 * that holds NaN or infinity; and {@link ClosedHeadException} after {@link #close}. The table stays usable after all of these but
 * the last.
 *
 * <p>Ownership is that of {@link SoftmaxHead}: {@link #close} waits for running queries and closes what the table made; a backend or a matrix
 * that was given is the caller's, to be closed after the table.
 */
public final class EmbeddingTable implements AutoCloseable {
    private static final String KIND = "embedding table";
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** Numbers that are decoded at a time on their way to a segment. */
    private static final int BLOCK = 1 << 18;

    private final LoadedMatrix loaded;
    private final int columns;

    private EmbeddingTable(LoadedMatrix loaded) {
        this.loaded = loaded;
        this.columns = loaded.matrix().columns();
    }

    /** Opens a compressed file with {@link HeadOptions#defaults}; see {@link #open(Path, HeadOptions)}. */
    public static EmbeddingTable open(Path file) {
        return open(file, HeadOptions.defaults());
    }

    /**
     * Maps a compressed file, chooses a backend and loads the matrix.
     *
     * @throws FileAccessException if the file is missing or unreadable
     * @throws MalformedFileException if it is not a well-formed compressed file
     * @throws InvalidDataException if it is of another version, or has not exactly one candidate for the matrix
     * @throws DeviceException if the device cannot run
     */
    public static EmbeddingTable open(Path file, HeadOptions options) {
        return new EmbeddingTable(LoadedMatrix.open(KIND, file, null, options, opened -> wanted(opened, options)));
    }

    /** The same on a backend that stays the caller's and that several tables and heads may share. */
    public static EmbeddingTable open(Path file, Backend backend, HeadOptions options) {
        return new EmbeddingTable(LoadedMatrix.open(KIND, file, backend, options, opened -> wanted(opened, options)));
    }

    /**
     * A table of a matrix that stays the caller's.
     *
     * @throws InvalidOptionException if the matrix lies in an arena of one thread
     */
    public static EmbeddingTable of(Backend backend, CompressedMatrix matrix) {
        Shareable.require(matrix);
        return new EmbeddingTable(LoadedMatrix.of(KIND, backend, wanted(matrix)));
    }

    private static Wanted wanted(CompressedFile file, HeadOptions options) {
        return wanted(LoadedMatrix.choose(file, options, file::embeddingMatrix));
    }

    private static Wanted wanted(CompressedMatrix matrix) {
        return new Wanted(
                new InferenceProblem(matrix, null, 0, Pruning.OFF),
                1,
                Float.MAX_VALUE,
                new TokenRange(0, matrix.rows(), matrix.rows(), false),
                0);
    }

    /** N: tokens are 0 to N - 1. */
    public int vocabularySize() {
        return loaded.matrix().rows();
    }

    /** D: the width of a row. */
    public int hiddenSize() {
        return columns;
    }

    /** The name of the compressed tensor. */
    public String name() {
        return loaded.matrix().name();
    }

    /** What answers, in one line: the backend, its instruction set or card, its threads. */
    public String device() {
        return loaded.device();
    }

    /** Writes the row of one token into {@code target[offset .. offset + D)}. */
    public void row(int token, float[] target, int offset) {
        try (Query query = loaded.query()) {
            int[] tokens = query.ints(1);
            tokens[0] = token;
            rows(query, tokens, 1, target, offset);
        }
    }

    /** The rows of some tokens, tokens x D row-major. */
    public float[] rows(int[] tokens) {
        long length = (long) tokens.length * columns;
        if (length > Matrix.LONGEST_ARRAY) {
            throw new InvalidDataException("The rows of " + tokens.length + " tokens of " + columns
                    + " numbers do not fit an array; ask for fewer, or give a segment.");
        }
        float[] target = new float[(int) length];
        rows(tokens, target, 0);
        return target;
    }

    /** Writes the rows of some tokens, tokens x D row-major, into {@code target} from {@code offset} on. */
    public void rows(int[] tokens, float[] target, int offset) {
        try (Query query = loaded.query()) {
            rows(query, tokens, tokens.length, target, offset);
        }
    }

    private void rows(Query query, int[] tokens, int count, float[] target, int offset) {
        loaded.requireTokens(tokens, count);
        if (offset < 0 || (long) count * columns > target.length - (long) offset) {
            throw new InvalidDataException("The target has " + target.length + " numbers, but " + count + " rows of "
                    + columns + " are to be written from " + offset + " on.");
        }
        decode(query, tokens, count, target, offset);
    }

    /** Writes the rows of some tokens, tokens x D floats in the machine's byte order, to the beginning of a segment. */
    public void rows(int[] tokens, MemorySegment target) {
        try (Query query = loaded.query()) {
            loaded.requireTokens(tokens, tokens.length);
            long rowBytes = (long) Float.BYTES * columns;
            Shareable.requireUsable(target, "the rows");
            if (target.isReadOnly()) {
                throw new InvalidDataException("The target segment is read-only; give one that can be written.");
            }
            if (target.byteSize() / rowBytes < tokens.length) {
                throw new InvalidDataException("The target segment has " + target.byteSize() + " bytes, but "
                        + tokens.length + " rows need " + tokens.length * rowBytes + ".");
            }
            int most = Math.max(1, BLOCK / columns);
            for (int first = 0; first < tokens.length; first += most) {
                int count = Math.min(most, tokens.length - first);
                int[] some = query.ints(count);
                System.arraycopy(tokens, first, some, 0, count);
                float[] decoded = query.floats(count * columns);
                decode(query, some, count, decoded, 0);
                MemorySegment.copy(decoded, 0, target, F32, first * rowBytes, count * columns);
            }
        }
    }

    private void decode(Query query, int[] tokens, int count, float[] target, int offset) {
        query.session().rows(tokens, count, target, offset);
        int bad = Finite.firstNot(target, offset, offset + count * columns);
        if (bad >= 0) {
            throw new InvalidDataException("The row of token " + tokens[(bad - offset) / columns] + " of '" + name()
                    + "' holds " + target[bad] + ", so its factors are damaged; compress the model again.");
        }
    }

    /** Waits for running queries and closes what this table made; calling it again does nothing. */
    @Override
    public void close() {
        loaded.close();
    }
}
