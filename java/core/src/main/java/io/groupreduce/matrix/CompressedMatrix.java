package io.groupreduce.matrix;

import io.groupreduce.error.InvalidDataException;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * A matrix in grouped low-rank form: row i is {@code left[g].row(slot(i)) * right[b].rows(0 .. k)} for its group g, the
 * group's basis b and rank k; a dense group stores its rows as they are, a zero group stores nothing. The matrix of a softmax
 * may come with a bias.
 *
 * <p>The object owns no stored memory, which must live as long as it is used, and may be read by any number of threads. Right
 * factors are decoded when it is made and kept as binary32: they are small.
 */
public final class CompressedMatrix {
    /** Numbers that share a scale where a row has several. */
    public static final int SCALE_BLOCK = 32;

    /** The most rows: their groups are one array. */
    public static final int MAX_ROWS = Matrix.LONGEST_ARRAY;

    /** The widest matrix: D x D is the length of an array in many places, so it must stay an {@code int}. */
    public static final int MAX_COLUMNS = 46_340;

    private final String name;
    private final int columns;
    private final byte[] groupOf;
    private final List<GroupPlan> groups;
    private final List<EncodedMatrix> left;
    private final List<EncodedMatrix> right;
    private final float[][] decodedRight;
    private final float[] bias;
    private final PackedParts packed;
    private final long headerBytes;
    private volatile int[] slots;

    /**
     * Puts stored parts together. The parts must fit each other and are not checked here; readers check them before.
     *
     * @param columns D, at most {@link #MAX_COLUMNS}
     * @param groupOf the group of every row as an unsigned byte, length N
     * @param left per group, n_p rows of width k_p (D when dense); {@code null} for a zero group
     * @param right per basis, k_b rows of width D, k_b at most D
     */
    public CompressedMatrix(
            String name,
            int columns,
            byte[] groupOf,
            List<GroupPlan> groups,
            List<EncodedMatrix> left,
            List<EncodedMatrix> right) {
        this.name = name;
        this.columns = columns;
        this.groupOf = groupOf;
        this.groups = List.copyOf(groups);
        this.left = Collections.unmodifiableList(new ArrayList<>(left));
        this.right = List.copyOf(right);
        this.decodedRight = this.right.stream().map(CompressedMatrix::decode).toArray(float[][]::new);
        this.bias = null;
        this.packed = null;
        this.headerBytes = HeaderShare.most(this);
    }

    /** {@code header < 0}: as much as a file may take. */
    private CompressedMatrix(CompressedMatrix other, String name, float[] bias, PackedParts packed, long header) {
        this.name = name;
        this.columns = other.columns;
        this.groupOf = other.groupOf;
        this.groups = other.groups;
        this.left = other.left;
        this.right = other.right;
        this.decodedRight = other.decodedRight;
        this.bias = bias;
        this.packed = packed;
        this.headerBytes = header < 0 ? HeaderShare.most(this) : header;
    }

    private static float[] decode(EncodedMatrix matrix) {
        float[] values = new float[Math.toIntExact(matrix.rows() * matrix.width())];
        for (int r = 0; r < matrix.rows(); r++) {
            matrix.decodeRow(r, values, r * matrix.width());
        }
        return values;
    }

    public String name() {
        return name;
    }

    /** The same matrix, sharing its parts, under another name. */
    public CompressedMatrix named(String other) {
        return new CompressedMatrix(this, other, bias, packed, -1);
    }

    /**
     * The same matrix, sharing its parts, with a bias of the softmax: what is added to the logits in place of the model's own
     * bias. It is rounded to bfloat16, so that memory and file agree.
     *
     * @param values length N; {@code null} leaves the softmax the model's own bias
     * @throws InvalidDataException if the length is another, or a number is NaN or beyond bfloat16
     */
    public CompressedMatrix withBias(float[] values) {
        if (values == null) {
            return new CompressedMatrix(this, name, null, packed, -1);
        }
        if (values.length != rows()) {
            throw new InvalidDataException(
                    "The bias of '" + name + "' has " + values.length + " entries for " + rows() + " rows.");
        }
        float[] rounded = new float[values.length];
        for (int i = 0; i < rounded.length; i++) {
            rounded[i] = Bf16.widen(Bf16.round(values[i]));
            if (!Float.isFinite(values[i]) || !Float.isFinite(rounded[i])) {
                throw new InvalidDataException("The bias of '" + name + "' holds " + values[i] + " at index " + i
                        + "; only finite numbers of bfloat16 can be used.");
            }
        }
        return new CompressedMatrix(this, name, rounded, packed, -1);
    }

    /**
     * The same matrix, in a file packed.
     *
     * @param parts what a file then holds; {@code null} for a matrix stored as it is held
     */
    public CompressedMatrix withPacked(PackedParts parts) {
        return new CompressedMatrix(this, name, bias, parts, -1);
    }

    /** What a file holds in place of group numbers and factors; {@code null} where it holds them as they are. */
    public PackedParts packed() {
        return packed;
    }

    /** The same matrix, its factors bit for bit in memory of {@code arena}. */
    public CompressedMatrix copyTo(Arena arena) {
        List<EncodedMatrix> leftCopy = new ArrayList<>();
        left.forEach(part -> leftCopy.add(part == null ? null : part.copyTo(arena)));
        List<EncodedMatrix> rightCopy =
                right.stream().map(part -> part.copyTo(arena)).toList();
        CompressedMatrix copy = new CompressedMatrix(name, columns, groupOf, groups, leftCopy, rightCopy);
        PackedParts parts = packed == null ? null : packed.copyTo(arena);
        return new CompressedMatrix(copy, name, bias, parts, headerBytes);
    }

    /**
     * Rows {@code first} to {@code end - 1} as a matrix of their own, sharing the stored parts, without a bias: the rows of a group lie in their order, so
     * those of a range lie together.
     */
    public CompressedMatrix part(int first, int end) {
        int[] before = new int[groups.size()];
        int[] inside = new int[groups.size()];
        for (int i = 0; i < end; i++) {
            (i < first ? before : inside)[group(i)]++;
        }
        byte[] renamed = new byte[groups.size()];
        List<GroupPlan> plans = new ArrayList<>();
        List<EncodedMatrix> parts = new ArrayList<>();
        for (int g = 0; g < groups.size(); g++) {
            renamed[g] = (byte) plans.size();
            if (inside[g] > 0) {
                plans.add(groups.get(g));
                EncodedMatrix whole = left.get(g);
                parts.add(whole == null ? null : whole.part(before[g], inside[g]));
            }
        }
        byte[] numbers = new byte[end - first];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = renamed[group(first + i)];
        }
        return new CompressedMatrix(name, columns, numbers, plans, parts, right);
    }

    /** N: the vocabulary size. */
    public int rows() {
        return groupOf.length;
    }

    /** D: the hidden size. */
    public int columns() {
        return columns;
    }

    public List<GroupPlan> groups() {
        return groups;
    }

    /** The group of a row. */
    public int group(int row) {
        return groupOf[row] & 0xff;
    }

    /** The group of every row as unsigned bytes; callers must not write to it. */
    public byte[] groupOf() {
        return groupOf;
    }

    /** The left factor or the dense rows of a group; {@code null} for a zero group. */
    public EncodedMatrix left(int group) {
        return left.get(group);
    }

    /** The number of bases. */
    public int bases() {
        return right.size();
    }

    /** The stored right factor of a basis, k_b x D. */
    public EncodedMatrix right(int basis) {
        return right.get(basis);
    }

    /** The right factor of a basis as binary32, k_b x D row-major; callers must not write to it. */
    public float[] decodedRight(int basis) {
        return decodedRight[basis];
    }

    /**
     * The bias of the softmax that replaces the model's own one, length N, each number a bfloat16; {@code null} where the model's
     * own one stays. Callers must not write to it.
     */
    public float[] bias() {
        return bias;
    }

    /** The place of a row in its group's matrix: how many earlier rows share the group. */
    public int slot(int row) {
        return slots()[row];
    }

    private int[] slots() {
        int[] ready = slots;
        if (ready == null) {
            ready = new int[groupOf.length];
            int[] next = new int[256];
            for (int i = 0; i < ready.length; i++) {
                ready[i] = next[groupOf[i] & 0xff]++;
            }
            slots = ready;
        }
        return ready;
    }

    /** The number of rows in each group. */
    public int[] groupSizes() {
        int[] sizes = new int[groups.size()];
        for (byte g : groupOf) {
            sizes[g & 0xff]++;
        }
        return sizes;
    }

    /**
     * Checks that this can stand for {@code dense}.
     *
     * @throws InvalidDataException if the shapes differ
     */
    public void requireStandsFor(Matrix dense) {
        if (dense.rows() != rows() || dense.columns() != columns) {
            throw new InvalidDataException(dense.name() + " has shape [" + dense.rows() + ", " + dense.columns()
                    + "] but the compressed '" + name + "' stands for [" + rows() + ", " + columns
                    + "]; give the model it was made from.");
        }
    }

    /**
     * Bytes of everything in a file that replaces the matrix: group numbers, factors, scales, the bias, and a share of the header. That is
     * what the file spends where the matrix was read from one, else the most that a file will spend.
     */
    public long bytes() {
        return headerBytes + (packed == null ? residentBytes() : packed.bytes() + biasBytes());
    }

    /** Bytes of group numbers, factors, scales and the bias in memory: more than {@link #bytes} of a packed matrix. */
    public long residentBytes() {
        return rows() + bytes(parts()) + biasBytes();
    }

    private static long bytes(Stream<EncodedMatrix> parts) {
        return parts.mapToLong(EncodedMatrix::bytes).sum();
    }

    private long biasBytes() {
        return bias == null ? 0 : (long) Short.BYTES * rows();
    }

    /** The bytes of all right factors. */
    public long rightBytes() {
        return right.stream().mapToLong(EncodedMatrix::bytes).sum();
    }

    /** The share of a file's header in {@link #bytes}. */
    public long headerBytes() {
        return headerBytes;
    }

    /** The same matrix in a file that spends this much of its header on it. */
    public CompressedMatrix withHeaderBytes(long bytes) {
        return new CompressedMatrix(this, name, bias, packed, bytes);
    }

    /** How each group is described in a file. */
    public List<StoredPart> describedGroups() {
        return IntStream.range(0, groups.size())
                .mapToObj(g -> {
                    EncodedMatrix part = left.get(g);
                    return part == null
                            ? StoredPart.of(groups.get(g), 0, ScaleFormat.LOG8)
                            : StoredPart.of(groups.get(g), part.block(), part.scaleFormat());
                })
                .toList();
    }

    /** How each right factor is described in a file. */
    public List<StoredPart> describedBases() {
        return right.stream().map(StoredPart::of).toList();
    }

    /** Stored numbers in the factors and dense rows, whatever their codec; the unit of the paper's size tables. */
    public long parameters() {
        return parts().mapToLong(part -> part.rows() * part.width()).sum();
    }

    /** Coordinates of a row, on average over all rows, which the time of a query follows: of a dense row D, of a row of zeros none. */
    public double coordinatesPerRow() {
        double sum = left.stream()
                .filter(Objects::nonNull)
                .mapToDouble(part -> (double) part.rows() * part.width())
                .sum();
        return sum / rows();
    }

    /** What is stored of rows and bases: of groups one after the other, then of bases. */
    public Stream<EncodedMatrix> parts() {
        return Stream.concat(left.stream().filter(Objects::nonNull), right.stream());
    }

    /** Reads rows {@code first .. first + count - 1} as binary32 into {@code target} from {@code offset} on. */
    public void decodeRows(int first, int count, float[] target, int offset) {
        float[] coordinates = new float[columns];
        for (int i = 0; i < count; i++) {
            decodeRow(first + i, coordinates, target, offset + i * columns);
        }
    }

    /** {@code coordinates} is scratch of at least the longest rank. */
    private void decodeRow(int row, float[] coordinates, float[] target, int offset) {
        int g = group(row);
        GroupPlan plan = groups.get(g);
        if (plan.isDense()) {
            left.get(g).decodeRow(slot(row), target, offset);
            return;
        }
        Arrays.fill(target, offset, offset + columns, 0f);
        if (plan.isZero()) {
            return;
        }
        left.get(g).decodeRow(slot(row), coordinates, 0);
        float[] directions = decodedRight[plan.basis()];
        for (int k = 0; k < plan.rank(); k++) {
            float c = coordinates[k];
            int from = k * columns;
            for (int j = 0; j < columns; j++) {
                target[offset + j] += c * directions[from + j];
            }
        }
    }
}
