package io.groupreduce.testkit;

import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.CodeValues;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Puts a compressed matrix together group by group, from seeded numbers. Stored parts lie as a mapped file may hold them: read-only, at odd
 * addresses, in segments that end with the last byte, so that reading past the end throws.
 */
final class MatrixBuilder {
    /** What the numbers of a group are like. */
    enum Numbers {
        /** Normal, energy falling slowly with the direction. */
        SMOOTH,
        /** Energy falling fast, and norms of rows that differ much: what bounds of pruning are good at. */
        STEEP,
        /** Energy rising with the direction: what wrong bounds of pruning trip over. */
        RISING,
        /** Integers at scale 1, small ones or values of codes, so that every order of summation is exact and many logits tie. */
        EXACT
    }

    /**
     * How a part is stored.
     *
     * @param codec {@code null} where bits fall from {@code most} to 1
     * @param scales without meaning for binary32 and bfloat16
     */
    record Layout(Codec codec, int most, ScaleFormat scales, boolean blocks) {
        static final Layout F32 = new Layout(Codec.F32, ScaleFormat.F32, false);

        Layout(Codec codec, ScaleFormat scales, boolean blocks) {
            this(codec, codec.bits(), scales, blocks);
        }

        /** Falling bits, as rate-distortion stores rows. */
        static Layout falling(int most, ScaleFormat scales) {
            return new Layout(null, most, scales, false);
        }

        BitProfile profile(int width) {
            if (codec != null) {
                return BitProfile.of(codec, width);
            }
            return BitProfile.of(
                    IntStream.range(0, width).map(j -> most - most * j / width).toArray());
        }

        boolean scaled() {
            return codec == null || codec.scaled();
        }

        /** Every codec with every format of its scales: one a row, or one for each 32 numbers; and falling bits. */
        static List<Layout> all(boolean blocks) {
            List<Layout> layouts = new ArrayList<>();
            for (Codec codec : Codec.values()) {
                for (ScaleFormat format : codec.scaled() ? ScaleFormat.values() : new ScaleFormat[] {ScaleFormat.F32}) {
                    layouts.add(new Layout(codec, format, blocks));
                }
            }
            for (int most : new int[] {8, 4, 1}) {
                layouts.add(new Layout(null, most, ScaleFormat.LOG8, blocks));
            }
            return layouts;
        }
    }

    private static final Layout[] RIGHT = {
        Layout.F32, new Layout(Codec.BF16, ScaleFormat.F32, false), new Layout(Codec.INT8, ScaleFormat.BF16, false)
    };

    private final Arena arena;
    private final SplittableRandom random;
    private final int columns;
    private final List<GroupPlan> plans = new ArrayList<>();
    private final List<EncodedMatrix> left = new ArrayList<>();
    private final List<EncodedMatrix> right = new ArrayList<>();
    private final List<Integer> members = new ArrayList<>();
    private boolean foreign;

    MatrixBuilder(Arena arena, long seed, int columns) {
        this.arena = arena;
        this.random = new SplittableRandom(seed);
        this.columns = columns;
    }

    /** What owns the parts. */
    Arena arena() {
        return arena;
    }

    SplittableRandom random() {
        return random;
    }

    /**
     * From now on left factors and dense rows hold what our encoder never writes but a file may: code 0 of 8 bits, and padding of
     * ones.
     */
    MatrixBuilder foreign() {
        foreign = true;
        return this;
    }

    /** Adds a basis of the first axes, so that coordinates are numbers of the hidden state and nothing is rounded on the way. */
    MatrixBuilder axes(int rank) {
        right.add(encoded(Layout.F32, rank, columns, false, (row, j) -> row == j ? 1 : 0));
        return this;
    }

    /** Adds a basis, k_b x D; its rows have norms of about 1, or small integers. */
    MatrixBuilder basis(int rank, Numbers numbers) {
        Layout layout = numbers == Numbers.EXACT ? Layout.F32 : RIGHT[right.size() % RIGHT.length];
        float scale = numbers == Numbers.EXACT ? 1 : (float) (1 / Math.sqrt(columns));
        right.add(encoded(layout, rank, columns, false, (row, j) -> scale * number(numbers, 1)));
        return this;
    }

    /** Adds a group of {@code rows} rows on a basis. */
    MatrixBuilder group(int basis, int rank, Layout layout, Numbers numbers, int rows) {
        return add(new GroupPlan(basis, layout.profile(rank)), rows, encodedLeft(layout, rows, rank, numbers, 1));
    }

    /** Adds a dense group of {@code rows} rows. */
    MatrixBuilder dense(Layout layout, Numbers numbers, int rows) {
        return dense(layout, numbers, rows, numbers == Numbers.EXACT ? 1 : (float) (1 / Math.sqrt(columns)));
    }

    /** Adds a dense group of {@code rows} rows of numbers of about this size. */
    MatrixBuilder dense(Layout layout, Numbers numbers, int rows, float scale) {
        return add(
                new GroupPlan(GroupPlan.DENSE, layout.profile(columns)),
                rows,
                encodedLeft(layout, rows, columns, numbers, scale));
    }

    /** Adds a group of {@code rows} rows that are all zero. */
    MatrixBuilder zero(int rows) {
        return add(GroupPlan.zero(), rows, null);
    }

    private MatrixBuilder add(GroupPlan plan, int rows, EncodedMatrix stored) {
        for (int i = 0; i < rows; i++) {
            members.add(plans.size());
        }
        plans.add(plan);
        left.add(stored);
        return this;
    }

    /** The matrix, its rows in a random order of groups. */
    CompressedMatrix build(String name) {
        if (plans.size() > GroupPlan.MAX_GROUPS) {
            throw new IllegalArgumentException(plans.size() + " groups");
        }
        byte[] groupOf = new byte[members.size()];
        for (int i = 0; i < groupOf.length; i++) {
            int swap = random.nextInt(i + 1);
            groupOf[i] = groupOf[swap];
            groupOf[swap] = members.get(i).byteValue();
        }
        return new CompressedMatrix(name, columns, groupOf, plans, left, right);
    }

    /** What a number of so many bits holds exactly at scale 1. */
    private float exact(int bits) {
        return bits > CodeValues.MOST_BITS
                ? random.nextInt(-3, 4)
                : CodeValues.value(bits, random.nextInt(bits == CodeValues.MOST_BITS ? 1 : 0, 1 << bits));
    }

    /** A number at scale 1, or an integer -3 .. 3. */
    private float number(Numbers numbers, double scale) {
        return numbers == Numbers.EXACT ? random.nextInt(-3, 4) : (float) (scale * random.nextGaussian());
    }

    private EncodedMatrix encodedLeft(Layout layout, int rows, int width, Numbers numbers, double scale) {
        double[] rowScale = new double[rows];
        for (int i = 0; i < rows; i++) {
            rowScale[i] = scale * (numbers == Numbers.STEEP ? Math.exp(1.2 * random.nextGaussian()) : 1);
        }
        BitProfile profile = layout.profile(width);
        EncodedMatrix made = encoded(layout, rows, width, numbers == Numbers.EXACT, (row, k) -> {
            if (numbers == Numbers.EXACT) {
                return exact(profile.bits(k));
            }
            double energy =
                    switch (numbers) {
                        case SMOOTH -> Math.pow(k + 1, -0.3);
                        case STEEP -> Math.pow(k + 1, -1.2);
                        case RISING -> Math.pow((k + 1.0) / width, 2);
                        case EXACT -> 1;
                    };
            return number(numbers, rowScale[row] * energy);
        });
        return foreign && layout.scaled() ? foreign(made) : made;
    }

    /** A copy in which about every third byte is of lowest codes, and the padding is ones. */
    private EncodedMatrix foreign(EncodedMatrix stored) {
        MemorySegment data = oddSegment(stored.data().byteSize()).copyFrom(stored.data());
        long rowBytes = stored.profile().rowBytes();
        int padding = 0xff << 8 - (int) (Byte.SIZE * rowBytes - stored.profile().rowBits());
        for (long at = 0; at < data.byteSize(); at++) {
            int value = random.nextInt(3) == 0 ? 0 : data.get(ValueLayout.JAVA_BYTE, at);
            boolean last = (at + 1) % rowBytes == 0;
            data.set(ValueLayout.JAVA_BYTE, at, (byte) (last ? value | padding : value));
        }
        return new EncodedMatrix(
                stored.profile(),
                stored.rows(),
                stored.block(),
                data.asReadOnly(),
                stored.scales(),
                stored.scaleFormat());
    }

    private interface Source {
        float number(int row, int column);
    }

    private EncodedMatrix encoded(Layout layout, int rows, int width, boolean atScaleOne, Source source) {
        int block = layout.blocks() ? CompressedMatrix.SCALE_BLOCK : width;
        int scalesPerRow = (width + block - 1) / block;
        MemorySegment data = oddSegment(rows * layout.profile(width).rowBytes());
        MemorySegment scales = layout.scaled()
                ? oddSegment((long) rows * scalesPerRow * layout.scales().bytes())
                : null;
        EncodedMatrix room = new EncodedMatrix(layout.profile(width), rows, block, data, scales, layout.scales());
        float[] values = new float[width];
        for (int row = 0; row < rows; row++) {
            for (int j = 0; j < width; j++) {
                values[j] = source.number(row, j);
            }
            room.encodeRow(row, values, 0);
            if (atScaleOne) {
                for (int s = 0; s < room.scalesPerRow(); s++) {
                    room.storeScale(row, s, 1);
                }
                room.requantizeRow(row, values, 0);
            }
        }
        MemorySegment readOnlyScales = scales == null ? null : scales.asReadOnly();
        return new EncodedMatrix(
                layout.profile(width), rows, block, data.asReadOnly(), readOnlyScales, layout.scales());
    }

    private MemorySegment oddSegment(long bytes) {
        return arena.allocate(bytes + 1, 2).asSlice(1, bytes);
    }
}
