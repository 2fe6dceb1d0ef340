package io.groupreduce.testkit;

import io.groupreduce.api.Pruning;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.testkit.MatrixBuilder.Layout;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;

/** A compressed softmax with hidden states, and what the reference says about it. */
final class InferenceCase implements AutoCloseable {
    /** The hidden states of a case, an odd number; {@link #chunks} and {@link #shortRank} have their own. */
    static final int STATES = 65;

    /** The hidden states of {@link #chunks}: one more than twice what the processor takes at a time. */
    static final int MANY_STATES = 529;

    private static final float HUGE = 1e7f;

    private static final int[] RANKS = {1, 2, 3, 7, 16, 17, 31, 33, 64, 100, 129, 200, 300};
    private static final int[] SIZES = {1, 3, 17, 40, 5};

    final String label;
    final CompressedMatrix matrix;
    final float[] bias;
    final float[] hidden;
    /** 0 for none. */
    final double cap;

    private final Arena arena;
    private InferenceOracle oracle;

    private InferenceCase(String label, Arena arena, CompressedMatrix matrix, float[] bias, float[] hidden) {
        this(label, arena, matrix, bias, hidden, 0);
    }

    private InferenceCase(
            String label, Arena arena, CompressedMatrix matrix, float[] bias, float[] hidden, double cap) {
        this.label = label;
        this.arena = arena;
        this.matrix = matrix;
        this.bias = bias;
        this.hidden = hidden;
        this.cap = cap;
    }

    /** Cases of every kind, one after the other; a list is small, the caller closes each. */
    static List<InferenceCase> all() {
        return List.of(
                everyLayout(1, false, Numbers.SMOOTH),
                everyLayout(2, true, Numbers.SMOOTH),
                everyLayout(3, false, Numbers.EXACT),
                random(4, Numbers.SMOOTH),
                random(5, Numbers.STEEP),
                random(6, Numbers.RISING),
                random(7, Numbers.EXACT),
                steep(8, 0),
                steep(9, 3),
                single());
    }

    /** Cases that pruning is good at, and that wrong bounds trip over. */
    static List<InferenceCase> forPruning() {
        return List.of(
                steep(11, 0),
                steep(12, 3),
                random(13, Numbers.STEEP),
                random(14, Numbers.RISING),
                random(15, Numbers.EXACT),
                everyLayout(16, false, Numbers.STEEP),
                everyLayout(17, true, Numbers.RISING));
    }

    /** Every rank with every codec and format of scales; dense groups of each; zero and empty groups. No bias. */
    static InferenceCase everyLayout(long seed, boolean blocks, Numbers numbers) {
        int columns = 301;
        MatrixBuilder builder = new MatrixBuilder(Arena.ofShared(), seed, columns);
        builder.basis(columns, numbers).basis(129, numbers).basis(17, numbers);
        int added = 0;
        for (Layout layout : Layout.all(blocks)) {
            for (int rank : RANKS) {
                int basis = rank <= 17 ? added % 3 : rank <= 129 ? added % 2 : 0;
                builder.group(basis, rank, layout, numbers, SIZES[added++ % SIZES.length]);
            }
            builder.dense(layout, numbers, 2 + added % 9);
        }
        builder.group(1, 33, Layout.F32, numbers, 0)
                .dense(Layout.F32, numbers, 0)
                .zero(0)
                .zero(7);
        return of("every layout, blocks " + blocks, seed, builder, numbers, 0, STATES);
    }

    /** Groups of random kind and size, with a bias. */
    static InferenceCase random(long seed, Numbers numbers) {
        SplittableRandom random = new SplittableRandom(~seed);
        int columns = 33 + random.nextInt(170);
        Arena arena = Arena.ofShared();
        MatrixBuilder builder = new MatrixBuilder(arena, seed, columns);
        int[] ranks = {columns, 1 + random.nextInt(columns), 1 + random.nextInt(20), 2};
        for (int rank : ranks) {
            builder.basis(rank, numbers);
        }
        for (int g = 0; g < 30; g++) {
            List<Layout> layouts = Layout.all(random.nextBoolean());
            Layout layout = layouts.get(random.nextInt(layouts.size()));
            int rows = random.nextInt(4) == 0 ? random.nextInt(3) : random.nextInt(160);
            int kind = random.nextInt(10);
            if (kind == 0) {
                builder.zero(rows);
            } else if (kind < 3) {
                builder.dense(layout, numbers, rows);
            } else {
                int basis = random.nextInt(ranks.length);
                builder.group(basis, 1 + random.nextInt(ranks[basis]), layout, numbers, rows);
            }
        }
        CompressedMatrix matrix = builder.dense(Layout.F32, numbers, 1).build("random");
        return new InferenceCase(
                "random, " + numbers + ", seed " + seed,
                arena,
                matrix,
                bias(random, matrix.rows(), numbers, 0.5),
                hidden(seed, matrix, numbers, STATES));
    }

    /** A large vocabulary whose likeliest tokens stand far out; {@code spread} of the bias, 0 for none. */
    static InferenceCase steep(long seed, double spread) {
        Layout int4 = new Layout(Codec.INT4, ScaleFormat.LOG8, false);
        Layout int8 = new Layout(Codec.INT8, ScaleFormat.BF16, false);
        Layout bf16 = new Layout(Codec.BF16, ScaleFormat.F32, false);
        MatrixBuilder builder = new MatrixBuilder(Arena.ofShared(), seed, 96)
                .basis(64, Numbers.STEEP)
                .basis(80, Numbers.STEEP)
                .group(0, 64, bf16, Numbers.STEEP, 700)
                .group(0, 31, int8, Numbers.STEEP, 1100)
                .group(1, 80, Layout.F32, Numbers.STEEP, 650)
                .group(1, 48, int4, Numbers.STEEP, 1301)
                .group(1, 77, Layout.falling(6, ScaleFormat.LOG8), Numbers.STEEP, 900)
                .dense(int8, Numbers.STEEP, 133);
        return of("steep, bias " + spread, seed, builder, Numbers.STEEP, spread, STATES);
    }

    /** One token, one number. */
    static InferenceCase single() {
        Arena arena = Arena.ofShared();
        CompressedMatrix matrix = new MatrixBuilder(arena, 1, 1)
                .basis(1, Numbers.SMOOTH)
                .group(0, 1, new Layout(Codec.INT3, ScaleFormat.LOG8, false), Numbers.SMOOTH, 1)
                .build("single");
        return new InferenceCase(
                "single", arena, matrix, new float[] {0.25f}, hidden(1, matrix, Numbers.SMOOTH, STATES));
    }

    /** A small vocabulary and more hidden states than a backend takes at a time. */
    static InferenceCase chunks(long seed) {
        MatrixBuilder builder = new MatrixBuilder(Arena.ofShared(), seed, 19)
                .basis(12, Numbers.SMOOTH)
                .basis(19, Numbers.SMOOTH)
                .group(0, 12, new Layout(Codec.INT8, ScaleFormat.BF16, false), Numbers.SMOOTH, 45)
                .group(0, 5, new Layout(Codec.INT4, ScaleFormat.LOG8, false), Numbers.SMOOTH, 33)
                .group(1, 19, new Layout(Codec.BF16, ScaleFormat.F32, false), Numbers.SMOOTH, 28)
                .dense(Layout.F32, Numbers.SMOOTH, 9)
                .zero(2);
        return of("chunks", seed, builder, Numbers.SMOOTH, 0.5, MANY_STATES);
    }

    /** More tokens than any list of likeliest ones that is kept sorted token by token. */
    static InferenceCase longLists(long seed, Numbers numbers) {
        MatrixBuilder builder = new MatrixBuilder(Arena.ofShared(), seed, 23)
                .basis(17, numbers)
                .group(0, 17, new Layout(Codec.INT8, ScaleFormat.F32, false), numbers, 500)
                .group(0, 6, new Layout(Codec.INT4, ScaleFormat.BF16, false), numbers, 640)
                .dense(Layout.F32, numbers, 63);
        return of("long lists", seed, builder, numbers, 0, STATES);
    }

    /** Integers and padding that only other writers store, in every scaled codec, at odd and even widths. */
    static InferenceCase foreign(long seed) {
        int columns = 35;
        MatrixBuilder builder =
                new MatrixBuilder(Arena.ofShared(), seed, columns).foreign().basis(columns, Numbers.SMOOTH);
        int added = 0;
        for (boolean blocks : new boolean[] {false, true}) {
            for (Layout layout : Layout.all(blocks)) {
                for (int rank : new int[] {1, 2, 7, 33, columns}) {
                    builder.group(0, rank, layout, Numbers.SMOOTH, SIZES[added++ % SIZES.length]);
                }
                builder.dense(layout, Numbers.SMOOTH, 2 + added % 9);
            }
        }
        return of("foreign", seed, builder, Numbers.SMOOTH, 0, STATES);
    }

    /**
     * Groups of one rank on a longer basis, and hidden states that are huge along the directions beyond it: no logit may feel
     * them. The basis are axes, so that the tolerance of a logit is that of what its own row sums up.
     */
    static InferenceCase shortRank(long seed, boolean blocks, int rank) {
        int columns = 67;
        Arena arena = Arena.ofShared();
        MatrixBuilder builder = new MatrixBuilder(arena, seed, columns).axes(columns);
        for (ScaleFormat format : ScaleFormat.values()) {
            builder.group(0, rank, new Layout(Codec.INT4, format, blocks), Numbers.RISING, 150);
        }
        for (int most : new int[] {8, 4, 2}) {
            builder.group(0, rank, new Layout(null, most, ScaleFormat.LOG8, blocks), Numbers.RISING, 150);
        }
        CompressedMatrix matrix = builder.build("short rank");
        float[] hidden = new float[5 * columns];
        for (int i = 0; i < hidden.length; i++) {
            int direction = i % columns;
            float size = direction < rank ? 1 : HUGE * (direction + 1) / columns;
            hidden[i] = (float) (size * builder.random().nextGaussian());
        }
        return new InferenceCase("rank " + rank + " of " + columns + ", blocks " + blocks, arena, matrix, null, hidden);
    }

    /**
     * Groups 0 and 1 are factored, small group 2 is dense. Of hidden states 0 and 1 a coordinate is beyond binary32, which logits of the dense group are
     * not.
     */
    static InferenceCase overflowing(long seed, Layout layout) {
        int columns = 37;
        MatrixBuilder builder = new MatrixBuilder(Arena.ofShared(), seed, columns)
                .basis(9, Numbers.SMOOTH)
                .group(0, 1, layout, Numbers.SMOOTH, 70)
                .group(0, 9, layout, Numbers.SMOOTH, 900)
                .dense(Layout.F32, Numbers.SMOOTH, 300, 1e-6f);
        InferenceCase c = of("too large, " + layout.codec(), seed, builder, Numbers.SMOOTH, 0, STATES);
        for (int j = 0; j < columns; j++) {
            c.hidden[j] = Math.copySign(3e38f, c.matrix.decodedRight(0)[j]);
            c.hidden[columns + j] = -c.hidden[j];
        }
        return c;
    }

    /** The same, but in each three hidden states there are logits as they were, others close together, and others nearly equal. */
    InferenceCase ofEveryWidth() {
        float[] scaled = hidden.clone();
        float[] scales = {1, 0.15f, 1e-3f};
        for (int i = 0; i < scaled.length; i++) {
            scaled[i] *= scales[i / matrix.columns() % 3];
        }
        return with("of every width", bias, scaled);
    }

    /** The same with logits held below this. */
    InferenceCase capped(double below) {
        return new InferenceCase(label + ", capped at " + below, arena, matrix, bias, hidden, below);
    }

    /** The same matrix where logits are large, all equal, nearly all ruled out, or all far below zero. */
    List<InferenceCase> extremes() {
        int rows = matrix.rows();
        float[] large = hidden.clone();
        for (int i = 0; i < large.length; i++) {
            large[i] *= 2000;
        }
        float[] ruledOut = new float[rows];
        Arrays.fill(ruledOut, -1e30f);
        for (int i = 5; i < rows; i += 97) {
            ruledOut[i] = i % 2;
        }
        float[] constant = new float[rows];
        Arrays.fill(constant, -3.5f);
        float[] low = new float[rows];
        Arrays.fill(low, -1e30f);
        float[] split = new float[rows];
        for (int i = 0; i < rows; i++) {
            split[i] = i % 3 == 0 ? 1e4f : -1e4f;
        }
        return List.of(
                with("large logits", bias, large),
                with("all equal", constant, new float[hidden.length]),
                with("all zero", null, new float[hidden.length]),
                with("nearly all ruled out", ruledOut, hidden),
                with("all far below zero", low, hidden),
                with("far apart", split, hidden));
    }

    /** The same matrix with another bias and other hidden states. */
    private InferenceCase with(String change, float[] otherBias, float[] otherHidden) {
        return new InferenceCase(label + ", " + change, arena, matrix, otherBias, otherHidden);
    }

    /** The matrix that was built; {@code spread} of the bias, 0 for none. */
    private static InferenceCase of(
            String label, long seed, MatrixBuilder builder, Numbers numbers, double spread, int states) {
        CompressedMatrix matrix = builder.build(label);
        return new InferenceCase(
                label + ", " + numbers + ", seed " + seed,
                builder.arena(),
                matrix,
                spread == 0 ? null : bias(builder.random(), matrix.rows(), numbers, spread),
                hidden(seed, matrix, numbers, states));
    }

    private static float[] bias(SplittableRandom random, int rows, Numbers numbers, double spread) {
        float[] bias = new float[rows];
        for (int i = 0; i < rows; i++) {
            bias[i] = numbers == Numbers.EXACT ? random.nextInt(-2, 3) : (float) (spread * random.nextGaussian());
        }
        return bias;
    }

    /** Each second state points where some row does, as states of a trained model do; the others anywhere. State 3 is zero. */
    private static float[] hidden(long seed, CompressedMatrix matrix, Numbers numbers, int states) {
        SplittableRandom random = new SplittableRandom(seed ^ 0x5bd1e995);
        int columns = matrix.columns();
        float[] hidden = new float[states * columns];
        float[] row = new float[columns];
        for (int s = 0; s < states; s++) {
            matrix.decodeRows(random.nextInt(matrix.rows()), 1, row, 0);
            double norm = 0;
            for (float value : row) {
                norm += value * value;
            }
            double towards = s % 2 == 0 && norm > 0 ? 12 / norm : 0;
            for (int j = 0; j < columns && s != 3; j++) {
                hidden[s * columns + j] = numbers == Numbers.EXACT
                        ? random.nextInt(-1, 2)
                        : (float) (towards * row[j] + (0.5 + s % 3) * random.nextGaussian());
            }
        }
        return hidden;
    }

    /** {@code sum_k |L_ik| |R_kj|} of row i into {@code target}. */
    void magnitudes(int row, float[] target) {
        GroupPlan plan = matrix.groups().get(matrix.group(row));
        Arrays.fill(target, 0);
        if (plan.isZero()) {
            return;
        }
        float[] left = new float[plan.rank()];
        matrix.left(matrix.group(row)).decodeRow(matrix.slot(row), left, 0);
        for (int k = 0; k < plan.rank(); k++) {
            for (int j = 0; j < target.length && plan.isLowRank(); j++) {
                target[j] += Math.abs(left[k] * matrix.decodedRight(plan.basis())[k * target.length + j]);
            }
        }
    }

    /** What the reference says; computed once. */
    InferenceOracle oracle() {
        if (oracle == null) {
            oracle = new InferenceOracle(this);
        }
        return oracle;
    }

    InferenceProblem problem(Pruning pruning) {
        return new InferenceProblem(matrix, bias, cap, pruning);
    }

    /** The matrix loaded without pruning. */
    InferenceSession load(ComputeBackend backend) {
        return backend.load(problem(Pruning.OFF));
    }

    /** The matrix loaded into the reference. */
    InferenceSession reference() {
        return load(new ReferenceBackend());
    }

    /** A batch of these hidden states, and after them numbers that must not be looked at. */
    float[] hidden(int[] states) {
        int columns = matrix.columns();
        float[] batch = new float[(states.length + 1) * columns];
        for (int s = 0; s < states.length; s++) {
            System.arraycopy(hidden, states[s] * columns, batch, s * columns, columns);
        }
        Arrays.fill(batch, states.length * columns, batch.length, Float.NaN);
        return batch;
    }

    int states() {
        return hidden.length / matrix.columns();
    }

    String at(String what) {
        return what + "; " + label + ", " + matrix.rows() + " x " + matrix.columns();
    }

    @Override
    public void close() {
        if (arena.scope().isAlive()) {
            arena.close();
        }
    }
}
