package io.groupreduce.internal.compress;

import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeUnit;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.NormalEquations;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * One objective decides basis, rank and codec of every row: {@code loss + price * bytes}, rounding error and right factors
 * included. Two steps alternate. Given the bases, every row takes the cheapest way to store it, at the price that fills the
 * size target. Given what the rows stored, each right factor is fitted to its rows by least squares, and its directions are
 * the next round's basis. Each step can only lower the loss at a given size, but for the rounding of coordinates in turned
 * directions; the best state is kept, and a round that brings less than {@link #WORTHWHILE} is the last.
 */
final class RateDistortion implements AutoCloseable {
    /** A round that lowers the loss by less than this share is the last. */
    static final double WORTHWHILE = 0.01;

    /**
     * Where less than this part of the loss comes from directions left out, right factors are not fitted: they could give back
     * nothing but rounding. Measured at 6.6 times smaller, all rows at full rank: a fit lowers the loss by 0.1 %.
     */
    private static final double TRUNCATED = 0.2;

    /** Numbers of a matrix up to which bases are renewed whatever the first fit brought. */
    private static final long SMALL = 30_000_000;

    /** For larger ones: what the first fit must lower the loss by. A renewal brings less than the fit before it. */
    private static final double PROMISING = 0.04;

    /** Larger results are encoded a second time rather than held twice. */
    private static final long MOST_COPIED = 200L << 20;

    private final CompressionWorkspace workspace;
    private final Matrix matrix;
    private final MetricRoot metric;
    private final Settings settings;
    /** The stored form of the state measured last, in memory of its own; the best state is mostly that one. */
    private State kept;

    private CompressedMatrix keptForm;
    private Arena keptMemory;

    RateDistortion(CompressionWorkspace workspace, Matrix matrix, MetricRoot metric, Settings settings) {
        this.workspace = workspace;
        this.matrix = matrix;
        this.metric = metric;
        this.settings = settings;
    }

    /**
     * What is fixed before the data is looked at.
     *
     * @param budget the largest size, in {@code unit}
     * @param lowRank codecs of left factors to choose from
     * @param dense codecs of dense rows to choose from
     * @param right codec of right factors
     * @param rounds most rounds after the first
     * @param rightShare what a byte of a right factor costs: 1, or less when the rows are a sample
     * @param mostPlans ways to store a row at most, which is memory: 4 bytes a row and way
     */
    record Settings(
            double budget,
            SizeUnit unit,
            List<Codec> lowRank,
            List<Codec> dense,
            Codec right,
            int rounds,
            double rightShare,
            int mostPlans) {
        /** For a sample of the rows: the same bytes a row, and that share of what bases cost. */
        Settings sample(double share) {
            return new Settings(budget * share, unit, lowRank, dense, right, rounds, share, mostPlans);
        }

        Settings withRounds(int value) {
            return new Settings(budget, unit, lowRank, dense, right, value, rightShare, mostPlans);
        }
    }

    /**
     * What a run led to.
     *
     * @param best the state of the least loss
     * @param losses the measured loss of every state seen that was better than those before
     */
    record Outcome(State best, List<Double> losses) {}

    /**
     * A state that was measured.
     *
     * @param selection each row's plan
     * @param plans what the selection numbers
     * @param bases what left factors are coordinates of
     * @param right right factors by basis, k_b x D; {@code null} for a basis that no row uses
     * @param fitted whether right factors were fitted to their rows
     * @param loss measured on what would be stored
     */
    record State(
            PriceSearch.Selection selection,
            StoragePlans plans,
            List<Directions> bases,
            List<double[]> right,
            boolean fitted,
            double loss) {}

    /** Alternates from a start until a round is not worth it. */
    Outcome run(StartingBases start, Progress progress) {
        int bases = start.directions().size();
        StoragePlans plans = StoragePlans.of(
                bases,
                matrix.columns(),
                settings.lowRank(),
                settings.dense(),
                settings.right(),
                settings.unit(),
                settings.mostPlans());
        List<Directions> directions = start.directions();
        int[] caps = null;
        State best = null;
        List<Double> losses = new ArrayList<>();
        for (int round = 0; round <= settings.rounds(); round++) {
            progress.at(
                    round == 0 ? "rows choose" : "renewed bases, round " + round, round / (settings.rounds() + 1.0));
            workspace.rate(directions, plans.plans());
            PriceSearch search = new PriceSearch(workspace, plans, matrix.rows(), bases, settings.rightShare());
            PriceSearch.Selection selection = search.fill(settings.budget(), caps);
            State state = fit(selection, plans, directions);
            if (best != null && !(state.loss() < best.loss())) {
                break;
            }
            boolean worthwhile = best == null ? promising(state) : state.loss() < best.loss() * (1 - WORTHWHILE);
            best = state;
            losses.add(state.loss());
            if (!worthwhile || round == settings.rounds()) {
                break;
            }
            directions = renewed(state);
            // The longest rank in use: less than the price search allowed, where no row took that.
            caps = directions.stream().mapToInt(Directions::rank).toArray();
            plans = plans.upTo(caps);
        }
        return new Outcome(best, losses);
    }

    private boolean promising(State state) {
        return state.fitted()
                && ((long) matrix.rows() * matrix.columns() <= SMALL
                        || state.loss() < state.selection().distortion() * (1 - PROMISING));
    }

    /** Stores the rows' choices, fits right factors to them and measures the loss. */
    private State fit(PriceSearch.Selection selection, StoragePlans plans, List<Directions> bases) {
        close();
        Arena arena = Arena.ofShared();
        keptMemory = arena;
        StoredLayout layout = new StoredLayout(selection.groupOf(), plans, bases.size());
        List<EncodedMatrix> left = layout.encode(workspace, bases, arena);
        boolean fitted = selection.truncation() >= TRUNCATED * selection.distortion();
        List<NormalEquations> equations =
                fitted ? workspace.normalEquations(layout.groupOf, layout.plans, layout.ranks, left) : null;
        List<double[]> right = new ArrayList<>();
        for (int b = 0; b < bases.size(); b++) {
            int rank = layout.ranks[b];
            right.add(
                    rank == 0
                            ? null
                            : fitted
                                    ? RightFactor.fit(equations.get(b), matrix.columns())
                                    : RightFactor.of(bases.get(b), rank, matrix.columns()));
        }
        keptForm = layout.join(matrix, left, encodeRight(right, layout, arena));
        kept = new State(selection, plans, bases, right, fitted, workspace.loss(keptForm));
        return kept;
    }

    private List<Directions> renewed(State state) {
        List<Directions> renewed = new ArrayList<>();
        for (int b = 0; b < state.bases().size(); b++) {
            double[] right = state.right().get(b);
            Directions before = state.bases().get(b);
            int columns = matrix.columns();
            renewed.add(
                    right == null
                            ? new Directions(0, new float[0], new float[0], new float[0])
                            : RightFactor.directions(right, right.length / columns, columns, metric, before.scales()));
        }
        return renewed;
    }

    /** The stored form of a state, valid until the next run or the end. */
    CompressedMatrix stored(State state) {
        if (state != kept) {
            close();
            keptMemory = Arena.ofShared();
            keptForm = encode(state, keptMemory);
            kept = state;
        }
        return keptForm;
    }

    /** The stored form of a state in memory of {@code arena}. */
    CompressedMatrix store(State state, Arena arena) {
        if (state == kept && keptForm.bytes() <= MOST_COPIED) {
            return keptForm.copyTo(arena);
        }
        close();
        return encode(state, arena);
    }

    private CompressedMatrix encode(State state, Arena arena) {
        StoredLayout layout = new StoredLayout(
                state.selection().groupOf(), state.plans(), state.bases().size());
        List<EncodedMatrix> left = layout.encode(workspace, state.bases(), arena);
        return layout.join(matrix, left, encodeRight(state.right(), layout, arena));
    }

    /** Frees the stored form of the last state. */
    @Override
    public void close() {
        if (keptMemory != null) {
            keptMemory.close();
            keptMemory = null;
            keptForm = null;
            kept = null;
        }
    }

    private List<EncodedMatrix> encodeRight(List<double[]> factors, StoredLayout layout, Arena arena) {
        List<EncodedMatrix> stored = new ArrayList<>();
        int columns = matrix.columns();
        for (int b = 0; b < layout.ranks.length; b++) {
            if (layout.ranks[b] == 0) {
                continue;
            }
            EncodedMatrix right = EncodedMatrix.allocate(
                    arena,
                    settings.right(),
                    layout.ranks[b],
                    columns,
                    StoragePlans.RIGHT_BLOCK,
                    StoragePlans.WIDE_SCALES);
            float[] values = RightFactor.floats(factors.get(b));
            for (int k = 0; k < layout.ranks[b]; k++) {
                right.encodeRow(k, values, k * columns, null);
            }
            stored.add(right);
        }
        return stored;
    }
}
