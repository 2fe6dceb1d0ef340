package io.groupreduce.internal.compress;

import io.groupreduce.api.Progress;
import io.groupreduce.internal.linear.DenseAlgebra;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.matrix.PackedParts;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.Loss;
import io.groupreduce.spi.NormalEquations;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/**
 * The heart of rate-distortion. Two steps alternate. Given the bases, every row takes the cheapest way to store it, at the price
 * that fills the size target. Given what the rows stored, each right factor is fitted to its rows by least squares, and its
 * directions are the next round's basis. Each step can only lower the loss at a given size, but for the rounding of coordinates in
 * turned directions; the best state is kept, and a round that brings less than {@link #WORTHWHILE} is the last.
 */
final class Alternation implements AutoCloseable {
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

    /** Numbers of a matrix that may be encoded to find the best first choice, and so many choices at least and at most. */
    private static final long TRIED = 4_000_000;

    private static final int FEWEST_TRIED = 3;
    private static final int MOST_TRIED = 12;

    /** Larger results are encoded a second time rather than held twice. */
    private static final long MOST_COPIED = 200L << 20;

    private final CompressionWorkspace workspace;
    private final CompressionTask task;
    private final Settings settings;
    private final double[] raw;
    private final DenseAlgebra algebra;
    /** The stored form of the state measured last, in memory of its own; the best state is mostly that one. */
    private State kept;

    private CompressedMatrix keptForm;
    private Arena keptMemory;

    /** {@code raw} weights of the workspace, as {@link Weights#raw} gave them. */
    Alternation(CompressionWorkspace workspace, CompressionTask task, Settings settings, double[] raw) {
        this.workspace = workspace;
        this.task = task;
        this.settings = settings;
        this.raw = raw;
        algebra = new DenseAlgebra(task.backend()::forEach);
    }

    /**
     * What is fixed before the data is looked at.
     *
     * @param budget the largest size, in the model's unit
     * @param model what rows and bases cost
     * @param wanted ways to store a row to choose from; their number is memory: 4 bytes a row and way
     * @param rounds most rounds after the first
     * @param rights codecs of right factors to choose from, the one of fewest bits first
     * @param rightShare what a byte of a right factor costs: 1, or less when the rows are a sample
     * @param packed whether rows are stored as {@link UniformSteps} does, whatever is {@code wanted}
     */
    record Settings(
            double budget,
            SizeModel model,
            StoragePlans.Wanted wanted,
            List<Codec> rights,
            int rounds,
            double rightShare,
            boolean packed) {
        /** For a sample of the rows: the same bytes a row, and that share of what bases cost. */
        Settings sample(double share) {
            return new Settings(budget * share, model.sample(share), wanted, rights, rounds, share, packed);
        }

        Settings withRounds(int value) {
            return new Settings(budget, model, wanted, rights, value, rightShare, packed);
        }

        /** Every way to store a row, with no more directions than {@code caps}; {@code null} for all. */
        StoragePlans plans(List<Spectrum> spectra, int[] caps) {
            return StoragePlans.of(spectra, caps, wanted, model);
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
     * @param form each row's group
     * @param packed the parts of a packed matrix; else {@code null}
     * @param expected the loss before right factors were fitted, as far as it is known
     * @param bases what left factors are coordinates of
     * @param right right factors by basis, k_b x D; {@code null} for a basis that no row uses
     * @param fitted whether right factors were fitted to their rows
     * @param loss measured on what would be stored
     * @param relativeError likewise, the count-weighted one
     */
    record State(
            StoredForm form,
            PackedParts packed,
            double expected,
            List<Directions> bases,
            List<double[]> right,
            boolean fitted,
            double loss,
            double relativeError) {}

    /** Alternates from a start until a round is not worth it. */
    Outcome run(StartingBases start, Progress progress) {
        List<Directions> directions = start.directions();
        int[] caps = null;
        State best = null;
        List<Double> losses = new ArrayList<>();
        for (int round = 0; round <= settings.rounds(); round++) {
            progress.at(
                    round == 0 ? "rows choose" : "renewed bases, round " + round, round / (settings.rounds() + 1.0));
            State state = settings.packed()
                    ? pack(directions.getFirst().evenly())
                    : round == 0
                            ? first(start)
                            : next(
                                    start.spectra(),
                                    caps,
                                    directions,
                                    best.form().model.right());
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
        }
        return new Outcome(best, losses);
    }

    /** Rows choose again, along renewed directions. */
    private State next(List<Spectrum> spectra, int[] caps, List<Directions> bases, Codec right) {
        StoragePlans plans = settings.plans(spectra, caps).withRight(right);
        workspace.rate(bases, plans.plans());
        PriceSearch search =
                new PriceSearch(workspace, plans, task.matrix().rows(), bases.size(), settings.rightShare());
        return fit(search.fill(settings.budget(), caps, false, Double.POSITIVE_INFINITY), plans, bases);
    }

    /** Of several first choices that promise about as much the one of least loss, where the matrix is not large. */
    private State first(StartingBases start) {
        Matrix matrix = task.matrix();
        long size = (long) matrix.rows() * matrix.columns();
        if (size > SMALL) {
            int rows = (int) (SMALL / matrix.columns());
            FirstChoice choice = FirstChoice.sampled(workspace, task, settings, start, raw, rows);
            return fit(choice.selection(), choice.plans(), start.directions());
        }
        long tried = Math.clamp(TRIED / size, FEWEST_TRIED, MOST_TRIED);
        List<FirstChoice> choices = FirstChoice.of(workspace, task, settings, start);
        State best = null;
        for (FirstChoice choice : choices.subList(0, (int) Math.min(tried, choices.size()))) {
            State state = fit(choice.selection(), choice.plans(), start.directions());
            if (best == null || state.loss() < best.loss()) {
                best = state;
            }
        }
        return best;
    }

    private boolean promising(State state) {
        Matrix matrix = task.matrix();
        return state.fitted()
                && ((long) matrix.rows() * matrix.columns() <= SMALL
                        || state.loss() < state.expected() * (1 - PROMISING));
    }

    /** Every row takes the step that its weight asks for, at the size that this comes to once it is packed. */
    private State pack(Directions basis) {
        close();
        keptMemory = Arena.ofShared();
        UniformSteps.Rows rows = UniformSteps.fill(workspace, task, settings, basis, Weights.scaledToMeanOne(raw));
        StoredForm form = new StoredForm(rows.groupOf(), rows.plans(), 1, settings.model());
        List<EncodedMatrix> left = rows.left(keptMemory);
        int rank = form.ranks[0];
        int columns = task.matrix().columns();
        if (rank == 0) {
            return packed(rows, form, left, null, new double[0], false);
        }
        NormalEquations equations = workspace
                .normalEquations(form.groupOf, form.groups, form.ranks, left)
                .getFirst();
        double[] energies = new double[rank];
        Arrays.setAll(energies, k -> equations.gram()[k * rank + k]);
        double[] right = RightFactor.fit(algebra, equations, columns, Codec.INT8);
        State fitted = packed(rows, form, left, right, energies, true);
        if (!rows.strained()) {
            return fitted;
        }
        // Of rows fewer than directions a fit may be large numbers that cancel, which no steps hold.
        CompressedMatrix fittedForm = keptForm;
        State plain = packed(rows, form, left, RightFactor.of(rows.basis(), rank, columns), energies, false);
        if (fitted.loss() <= plain.loss()) {
            keptForm = fittedForm;
            kept = fitted;
        }
        return kept;
    }

    private State packed(
            UniformSteps.Rows rows,
            StoredForm form,
            List<EncodedMatrix> left,
            double[] right,
            double[] energies,
            boolean fitted) {
        UniformSteps.Right rounded = rows.right(right == null ? new double[0] : right, energies);
        List<EncodedMatrix> stored =
                right == null ? List.of() : List.of(rounded.rounded().stored(keptMemory));
        PackedParts packed = new PackedParts(rows.packed(), rounded.packed());
        keptForm = form.join(task.matrix(), left, stored).withPacked(packed);
        // What is expected is not known: for large matrices one round is enough.
        return measured(form, packed, Double.NaN, List.of(rows.basis()), Collections.singletonList(right), fitted);
    }

    /** Stores the rows' choices, fits right factors to them and measures the loss. */
    private State fit(PriceSearch.Selection selection, StoragePlans plans, List<Directions> bases) {
        close();
        Arena arena = Arena.ofShared();
        keptMemory = arena;
        int columns = task.matrix().columns();
        StoredForm form = new StoredForm(selection.groupOf(), plans.plans(), bases.size(), plans.model());
        List<EncodedMatrix> left = form.encodeLeft(workspace, bases, task.backend()::forEach, arena);
        boolean fitted = selection.truncation() >= TRUNCATED * selection.distortion();
        List<NormalEquations> equations =
                fitted ? workspace.normalEquations(form.groupOf, form.groups, form.ranks, left) : null;
        List<double[]> right = new ArrayList<>();
        for (int b = 0; b < bases.size(); b++) {
            int rank = form.ranks[b];
            right.add(
                    rank == 0
                            ? null
                            : fitted
                                    ? RightFactor.fit(algebra, equations.get(b), columns, form.model.right())
                                    : RightFactor.of(bases.get(b), rank, columns));
        }
        keptForm = form.join(task.matrix(), left, right, arena);
        return measured(form, null, selection.distortion(), bases, right, fitted);
    }

    /** Makes a state of the form that is kept. */
    private State measured(
            StoredForm form,
            PackedParts packed,
            double expected,
            List<Directions> bases,
            List<double[]> right,
            boolean fitted) {
        Loss loss = task.loss(workspace, keptForm);
        kept = new State(form, packed, expected, bases, right, fitted, loss.weighted(), loss.relativeError());
        return kept;
    }

    private List<Directions> renewed(State state) {
        List<Directions> renewed = new ArrayList<>();
        int columns = task.matrix().columns();
        for (int b = 0; b < state.bases().size(); b++) {
            double[] right = state.right().get(b);
            renewed.add(
                    right == null
                            ? new Directions(0, new float[0], new float[0], new float[0])
                            : RightFactor.directions(
                                    algebra,
                                    right,
                                    right.length / columns,
                                    columns,
                                    task.metric(),
                                    state.bases().get(b).scales()));
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
        if (state.packed() != null) {
            return state.form().unpack(task.matrix(), state.packed(), arena);
        }
        List<EncodedMatrix> left = state.form().encodeLeft(workspace, state.bases(), task.backend()::forEach, arena);
        return state.form().join(task.matrix(), left, state.right(), arena);
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
}
