package io.groupreduce.cli;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.Backend;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.cli.report.LossFigure;
import io.groupreduce.error.UnreachableTargetException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** Compresses one softmax by several methods to several sizes, and measures what each costs on the same hidden states. */
final class LossCurves {
    private static final double[] RATIOS = {4, 7.7, 15, 26, 40, 60};

    /** A larger matrix would take minutes. */
    private static final long MOST_NUMBERS = 4_000_000;

    /** Hidden states that a method is judged on. */
    private static final int MOST_JUDGED = 2048;

    private final Backend backend;
    private final Matrix dense;
    private final long[] counts;
    private final SoftmaxData known;
    private final SoftmaxData judged;

    /**
     * Curves of one softmax.
     *
     * @param counts length N
     * @param known what methods may be fitted to
     * @param judged what they are judged on, with targets
     */
    LossCurves(Backend backend, Matrix dense, long[] counts, SoftmaxData known, SoftmaxData judged) {
        this.backend = backend;
        this.dense = dense;
        this.counts = counts;
        this.known = known;
        this.judged = judged.first(MOST_JUDGED);
    }

    /** Whether curves of a matrix take seconds. */
    static boolean areQuick(Matrix dense) {
        return (long) dense.rows() * dense.columns() <= MOST_NUMBERS;
    }

    /**
     * The curve of every one of these options, whose targets do not matter, beside a file of {@code ownRatio}. A curve ends
     * where a ratio is out of reach.
     */
    LossFigure of(List<CompressionOptions> methods, CompressedMatrix own, double ownRatio) {
        List<LossFigure.Curve> curves = new ArrayList<>();
        for (CompressionOptions options : methods) {
            List<Double> ratios = new ArrayList<>();
            List<Double> increases = new ArrayList<>();
            for (double ratio : RATIOS) {
                try (Arena arena = Arena.ofShared()) {
                    CompressionOptions at = options.withTarget(SizeTarget.ratio(ratio));
                    CompressedMatrix small = GroupReduce.compress(
                                    backend, dense, counts, null, known, at, arena, Progress.NONE)
                            .matrix();
                    increases.add(increase(small));
                    ratios.add((double) dense.storedBytes() / small.bytes());
                } catch (UnreachableTargetException e) {
                    break;
                }
            }
            curves.add(new LossFigure.Curve(
                    options.method(),
                    ratios.stream().mapToDouble(Double::doubleValue).toArray(),
                    increases.stream().mapToDouble(Double::doubleValue).toArray()));
        }
        return new LossFigure(curves, ownRatio, increase(own));
    }

    /** How much the mean cross-entropy rises. */
    private double increase(CompressedMatrix small) {
        return GroupReduce.evaluate(backend, dense, judged.bias(), small, judged.hidden(), judged.targets())
                .lossIncrease();
    }
}
