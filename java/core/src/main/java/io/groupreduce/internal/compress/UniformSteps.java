package io.groupreduce.internal.compress;

import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.packed.Census;
import io.groupreduce.internal.packed.CoordinateModel;
import io.groupreduce.internal.packed.PackedRight;
import io.groupreduce.internal.packed.PackedRows;
import io.groupreduce.internal.packed.SymbolTable;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.LittleEndian;
import io.groupreduce.matrix.ScaleFormat;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/**
 * How a packed matrix is stored: rows as whole numbers of a step that all coordinates of a row share, rows of the right factor likewise,
 * entropy-coded. At a given price of a byte the best step follows from what an error counts, {@code step^2 ~ price / weight}: the next bit
 * then buys every coordinate as much (high-rate theory; Gish and Pierce 1968). So a row has nothing to choose from, and one number is
 * searched, the step of weight 1 that fills the size. A direction that no row reaches costs nothing, so all of them may be used.
 *
 * <p>Rows of one step and about the same length are a group.
 */
final class UniformSteps {
    /** Different lengths of rows of one step, at most. */
    private static final int LEVELS = 8;

    /** The same where rows have very many steps. */
    private static final int FEW_LEVELS = 3;

    /** All different steps there are. */
    private static final int RAISED_STEPS = RoundedRows.LARGEST_STEP / RoundedRows.STEP;

    /** The deviation of the strongest direction, in the middle of {@link ScaleFormat#LOG8}. */
    private static final double STRONGEST = 0x1p-8;

    /** Coordinates that the search looks at; of more rows a sample. */
    private static final int SAMPLED = 1 << 22;

    /** Coordinates that are computed at once. */
    private static final int CHUNK = 1 << 24;

    /** Right factors have finer steps than their price asks for, by so many octaves: measured to lower KL at equal bytes. */
    private static final double RIGHT_FINER = 0.7;

    /** An eighth of an octave. */
    private static final double COARSER = Math.pow(2, 0.125);

    /** So much coarser than its price asks for a right factor is suspect. */
    private static final double STRAINED = 1.3;

    /** How much finer right factors may become where rows left room. */
    private static final double FINER = 4;

    private static final int PASSES = 18;

    /** Numbers of a right factor that are coded as one block. */
    private static final long MOST_SYMBOLS = 1 << 28;

    /** A share of rows with raised steps that does no harm. */
    private static final double RAISED = 0.01;

    private final CompressionWorkspace workspace;
    private final CompressionTask task;
    private final Alternation.Settings settings;
    private final Directions basis;
    private final float[] weights;
    private final int rows;
    private final RowSteps steps;
    /** Rows of the sample, and their coordinates. */
    private final int[] sample;

    private final float[] sampled;
    /** Of the directions, bytes of {@link ScaleFormat#LOG8}. */
    private final int[] deviations;
    /** Lengths of rows, rising from 0. */
    private final int[] levels;
    /** What an error of a coordinate of the right factor counts, times the energy of its direction. */
    private final double rightWeight;
    /** How likely codes are, as the last rows told. */
    private CoordinateModel model = CoordinateModel.first();
    /** By key, the gains of groups, likewise. */
    private byte[] gains = new byte[RoundedRows.KEYS];

    /**
     * Looks at the matrix.
     *
     * @param basis scales that are smaller than the largest make the steps of their directions larger
     * @param weights of mean 1, length N
     */
    private UniformSteps(
            CompressionWorkspace workspace,
            CompressionTask task,
            Alternation.Settings settings,
            Directions basis,
            float[] weights) {
        this.workspace = workspace;
        this.task = task;
        this.settings = settings;
        this.weights = weights;
        rows = weights.length;
        steps = new RowSteps(weights);
        int rank = basis.rank();
        sample = task.sampleRows(Math.max(1, SAMPLED / rank));
        float[] y = coordinates(basis, sample);
        double[] found = deviations(y, rank);
        // The grid of one byte has room for steps far finer and far coarser than that.
        double strongest = Arrays.stream(found).max().orElse(0);
        double factor = strongest > 0 ? STRONGEST / strongest : 1;
        float[] scales = basis.scales().clone();
        for (int k = 0; k < rank; k++) {
            scales[k] *= (float) factor;
        }
        this.basis = basis.withScales(scales);
        sampled = coordinates(this.basis, sample);
        deviations = Arrays.stream(found)
                .mapToInt(d -> Math.max(1, ScaleFormat.log8AtLeast((float) (d * factor))))
                .toArray();
        int most = steps.different() * LEVELS + RAISED_STEPS < GroupPlan.MAX_GROUPS ? LEVELS : FEW_LEVELS;
        levels = IntStream.concat(IntStream.of(0), Arrays.stream(RankLevels.of(rank, most)))
                .toArray();
        double trace =
                task.metric() == null ? task.matrix().columns() : task.metric().trace();
        double scale = 0;
        for (float each : scales) {
            scale = Math.max(scale, each);
        }
        rightWeight = scale * scale * trace / task.matrix().columns();
    }

    /** The root of the mean square of each coordinate. */
    private static double[] deviations(float[] y, int rank) {
        double[] squares = new double[rank];
        for (int at = 0; at < y.length; at++) {
            squares[at % rank] += (double) y[at] * y[at];
        }
        return Arrays.stream(squares).map(s -> Math.sqrt(s * rank / y.length)).toArray();
    }

    /** Coordinates of some rows, row after row. */
    private float[] coordinates(Directions basis, int[] chosen) {
        byte[] groupOf = new byte[rows];
        for (int i : chosen) {
            groupOf[i] = 1;
        }
        float[] values = new float[Math.multiplyExact(chosen.length, basis.rank())];
        List<GroupPlan> groups = List.of(GroupPlan.zero(), GroupPlan.of(0, basis.rank(), Codec.F32));
        try (Arena arena = Arena.ofShared()) {
            EncodedMatrix target = settings.model().allocateRows(arena, groups.get(1), chosen.length);
            workspace.encodeLeft(groupOf, groups, List.of(basis), Arrays.asList(null, target));
            MemorySegment.copy(target.data(), LittleEndian.F32, 0, values, 0, values.length);
        }
        return values;
    }

    /**
     * All rows at the size target. Where many would need more than the 8 bits that a code has, the strongest directions get larger steps, as
     * far as that loses less.
     *
     * @param basis with the same scale for all directions
     * @param weights of mean 1, length N
     */
    static Rows fill(
            CompressionWorkspace workspace,
            CompressionTask task,
            Alternation.Settings settings,
            Directions basis,
            float[] weights) {
        UniformSteps steps = new UniformSteps(workspace, task, settings, basis, weights);
        Rows best = steps.fill();
        for (int octaves = 1; best.raised > RAISED * weights.length; octaves++) {
            Rows flat = new UniformSteps(workspace, task, settings, steps.flattened(octaves), weights).fill();
            if (flat.loss >= best.loss) {
                break;
            }
            best = flat;
        }
        return best;
    }

    /** Directions whose deviations differ from the strongest one's by less than so many octaves get larger steps by what is missing. */
    private Directions flattened(int octaves) {
        float[] scales = basis.scales().clone();
        int most = Arrays.stream(deviations).max().orElse(0) - 8 * octaves;
        for (int j = 0; j < scales.length; j++) {
            scales[j] /= 1 << Math.max(0, Math.ceilDiv(deviations[j] - most, 8));
        }
        return basis.withScales(scales);
    }

    private Rows fill() {
        StepSearch search = new StepSearch(settings.budget());
        // Half the strongest direction: steps are coarse, and bytes follow them.
        double octaves = search.find(Math.log(STRONGEST / 2) / Math.log(2), this::estimated);
        if (Double.isNaN(octaves)) {
            throw noRoom(estimated(StepSearch.FAR));
        }
        Rows fits = null;
        double least = Double.POSITIVE_INFINITY;
        for (int pass = 0; pass < PASSES; pass++) {
            Rows all = new Rows(octaves);
            least = Math.min(least, all.bytes);
            boolean finer = fits == null || all.bytes > fits.bytes;
            // What symbols take is about known before they are coded.
            if (all.bytes <= settings.budget() && all.pack() <= settings.budget()) {
                fits = finer ? all : fits;
                if (search.isFull(all.bytes) || !finer) {
                    break;
                }
            }
            octaves += search.change(all.bytes, pass);
        }
        if (fits == null) {
            throw noRoom(least);
        }
        return fits;
    }

    /**
     * A size target leaves room for more than tables and a row a group.
     *
     * @throws io.groupreduce.error.UnreachableTargetException if it does not
     * @throws InvalidOptionException if the matrix is too large to be packed
     */
    static void requireReachable(Alternation.Settings settings, int rows) {
        SizeModel model = settings.model();
        long smallest = model.header()
                + model.described(GroupPlan.of(0, 1, Codec.INT8))
                + model.described(GroupPlan.zero())
                + PackedRows.headBytes(1, 2)
                + (long) PackedRows.BLOCK_BYTES * Math.ceilDiv(rows, PackedRows.BLOCK)
                + PackedRight.fixedBytes(1)
                + model.columns();
        if (settings.budget() < smallest) {
            throw model.noRoom((long) settings.budget(), smallest);
        }
        long symbols = (long) Math.min(rows, model.columns()) * model.columns();
        if (symbols > MOST_SYMBOLS || settings.budget() > Integer.MAX_VALUE) {
            throw new InvalidOptionException(
                    model.matrix() + " is too large to be packed: its right factor has up to " + symbols
                            + " numbers of " + MOST_SYMBOLS + ", and its rows may take up to "
                            + (long) settings.budget() + " bytes of " + Integer.MAX_VALUE
                            + "; leave out --packed.");
        }
    }

    private RuntimeException noRoom(double smallest) {
        return settings.model().noRoom((long) settings.budget(), (long) Math.ceil(smallest));
    }

    private double estimated(double octaves) {
        RowTally tally = tally(round(octaves, sample, sampled));
        double share = (double) rows / sample.length;
        double bits = tally.census().bits() + Census.bits(tally.rows());
        return share * bits / Byte.SIZE + fixed(tally) + rightBytes(octaves, tally, share);
    }

    /** What packing the right factor takes before it is fitted, in the model of what was tallied. */
    private double rightBytes(double octaves, RowTally tally, double share) {
        int columns = task.matrix().columns();
        double[] energies = Arrays.stream(tally.energies()).map(e -> e * share).toArray();
        double[] right = RightFactor.of(basis, rank(tally), columns);
        RoundedRight rounded = new RoundedRight(right, energies, rightStep(octaves), columns);
        return settings.rightShare()
                * (PackedRight.fixedBytes(rank(tally)) + rounded.census(model).bits(model) / Byte.SIZE);
    }

    /** The step of a direction of the right factor whose coordinates have an energy of 1. */
    private double rightStep(double octaves) {
        return Math.pow(2, octaves - RIGHT_FINER) / Math.sqrt(rightWeight);
    }

    /** Rounds rows whose coordinates follow each other. */
    private List<RoundedRows> round(double octaves, int[] chosen, float[] y) {
        RoundedRows[] rounded = new RoundedRows[Math.ceilDiv(chosen.length, PackedRows.BLOCK)];
        task.backend().forEach(rounded.length, b -> {
            int from = b * PackedRows.BLOCK;
            int to = Math.min(chosen.length, from + PackedRows.BLOCK);
            RoundedRows block = new RoundedRows(to - from, levels, deviations);
            for (int r = from; r < to; r++) {
                int row = chosen[r];
                block.add(y, r * basis.rank(), weights[row], steps.of(octaves, row), model, gains);
            }
            block.trim();
            rounded[b] = block;
        });
        return Arrays.asList(rounded);
    }

    /** Sums up rows; what was counted of them is what is expected of the next ones. */
    private RowTally tally(List<RoundedRows> blocks) {
        RowTally tally = new RowTally(blocks, basis.rank());
        model = tally.census().model();
        gains = tally.gains();
        return tally;
    }

    /** The longest rank of a row. */
    private int rank(RowTally tally) {
        return Arrays.stream(tally.keys()).map(key -> levels[key & 0xff]).max().orElse(0);
    }

    /** What follows neither rows nor the right factor. */
    private double fixed(RowTally tally) {
        int[] keys = tally.keys();
        long described = Arrays.stream(keys)
                .mapToLong(key -> settings.model().described(plan(key)))
                .sum();
        long head = PackedRows.headBytes(rank(tally), keys.length)
                + (long) PackedRows.BLOCK_BYTES * Math.ceilDiv(rows, PackedRows.BLOCK)
                + RoundedRight.described(rank(tally), task.matrix().columns());
        return settings.model().header() + described + settings.rightShare() * head;
    }

    private GroupPlan plan(int key) {
        return key == 0 ? GroupPlan.zero() : GroupPlan.of(0, levels[key & 0xff], Codec.INT8);
    }

    /** All rows, rounded and then packed. */
    final class Rows {
        private final double octaves;
        private final List<RoundedRows> blocks = new ArrayList<>();
        private final byte[] groupOf = new byte[rows];
        private final int[] keys;
        private final PackedRows packing;
        private double loss;
        private final int raised;
        private final double fixedBytes;
        private final double rightBytes;
        private double rowBytes;
        private double bytes;
        private byte[] packed;
        private boolean strained;

        private Rows(double octaves) {
            this.octaves = octaves;
            if (sample.length == rows) {
                blocks.addAll(round(octaves, sample, sampled));
            } else {
                int chunk = Math.max(1, CHUNK / basis.rank() / PackedRows.BLOCK) * PackedRows.BLOCK;
                for (long first = 0; first < rows; first += chunk) {
                    int[] part = IntStream.range((int) first, (int) Math.min(rows, first + chunk))
                            .toArray();
                    blocks.addAll(round(octaves, part, coordinates(basis, part)));
                }
            }
            RowTally tally = tally(blocks);
            for (int k = 0; k < basis.rank(); k++) {
                loss += tally.errors()[k] / basis.scales()[k] / basis.scales()[k];
            }
            raised = tally.raised();
            keys = tally.keys();
            int[] steps = new int[keys.length];
            byte[] gainOf = new byte[keys.length];
            int[] ranks = new int[keys.length];
            for (int g = 0; g < keys.length; g++) {
                steps[g] = keys[g] >> 8;
                gainOf[g] = gains[keys[g]];
                ranks[g] = levels[keys[g] & 0xff];
            }
            packing = new PackedRows(
                    Arrays.copyOf(deviations, rank(tally)), steps, gainOf, ranks, SymbolTable.of(tally.rows()), model);
            fixedBytes = fixed(tally);
            rightBytes = rightBytes(octaves, tally, 1);
            rowBytes = (tally.census().bits() + Census.bits(tally.rows())) / Byte.SIZE;
            bytes = fixedBytes + rowBytes + rightBytes;
        }

        /** Codes all rows; what everything takes, as far as it is known before the right factor is fitted. */
        private double pack() {
            byte[] groupOfKey = new byte[RoundedRows.KEYS];
            for (int g = 0; g < keys.length; g++) {
                groupOfKey[keys[g]] = (byte) g;
            }
            byte[][] coded = new byte[blocks.size()][];
            task.backend().forEach(coded.length, b -> {
                PackedRows.BlockEncoder encoder = packing.new BlockEncoder();
                RoundedRows block = blocks.get(b);
                int from = 0;
                for (int r = 0; r < block.keys().length; r++) {
                    int group = groupOfKey[block.keys()[r]] & 0xff;
                    groupOf[b * PackedRows.BLOCK + r] = (byte) group;
                    encoder.row(group, block.codes(), from);
                    from += packing.ranks()[group];
                }
                coded[b] = encoder.finish();
            });
            packed = packing.join(Arrays.asList(coded));
            rowBytes = Arrays.stream(coded).mapToLong(block -> block.length).sum()
                    - (double) (PackedRows.BLOCK_BYTES - Integer.BYTES) * coded.length;
            bytes = fixedBytes + rowBytes + rightBytes;
            return bytes;
        }

        /** Whether the last right factor had to be made far coarser than expected. */
        boolean strained() {
            return strained;
        }

        /** What codes are coordinates of. */
        Directions basis() {
            return basis;
        }

        byte[] groupOf() {
            return groupOf;
        }

        /** The plans of groups. */
        List<GroupPlan> plans() {
            return Arrays.stream(keys).mapToObj(UniformSteps.this::plan).toList();
        }

        /** The codes of groups, as they will be unpacked, in memory of {@code arena}. */
        List<EncodedMatrix> left(Arena arena) {
            return packing.left(groupOf, b -> blocks.get(b).codes(), arena);
        }

        /** What a file stores of the rows. */
        MemorySegment packed() {
            return MemorySegment.ofArray(packed);
        }

        /**
         * Rounds and packs a right factor into what rows left of the size.
         *
         * @param right rank x D
         * @param energies by direction, {@code sum_i w_i L_ik^2}
         */
        Right right(double[] right, double[] energies) {
            double room = settings.budget() - fixedBytes - rowBytes;
            strained = false;
            for (double step = rightStep(octaves) / FINER; ; step *= COARSER) {
                RoundedRight rounded =
                        new RoundedRight(right, energies, step, task.matrix().columns());
                byte[] coded = rounded.packed(packing.model());
                strained |= step > rightStep(octaves) * STRAINED;
                if (settings.rightShare() * coded.length <= room || rounded.isEmpty()) {
                    return new Right(rounded, MemorySegment.ofArray(coded));
                }
            }
        }
    }

    /** A right factor, and what a file stores of it. */
    record Right(RoundedRight rounded, MemorySegment packed) {}
}
