package io.groupreduce.vector;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.GroupReduce;
import io.groupreduce.api.CompressionOptions;
import io.groupreduce.api.CompressionResult;
import io.groupreduce.api.Method;
import io.groupreduce.api.Progress;
import io.groupreduce.api.SizeTarget;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.Generators;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/** Fewer rows than columns: every method comes to what the full eigendecomposition of the reference does. */
class WideMatrixTest {
    private static final int ROWS = 70;
    private static final int COLUMNS = 300;

    private final Matrix matrix = Generators.matrix(1, ROWS, COLUMNS, 0.7);
    private final long[] counts = Generators.zipf(2, ROWS, 1e4);

    private CompressionResult compress(ComputeBackend backend, CompressionOptions options, Arena arena) {
        return GroupReduce.compress(backend, matrix, counts, null, options, arena, Progress.NONE);
    }

    /** What the method makes small, as a relative error. */
    private static double lost(CompressionResult result) {
        return Math.sqrt(result.summary().loss() / result.summary().energy());
    }

    private void check(CompressionOptions options, double slack) {
        String what = options.method() + " to " + options.target() + " in " + options.groups() + " groups";
        try (ComputeBackend mine = new VectorBackend(2);
                ComputeBackend reference = new ReferenceBackend();
                Arena arena = Arena.ofShared()) {
            CompressionResult found = compress(mine, options, arena);
            double expected = lost(compress(reference, options, arena));
            assertEquals(expected, lost(found), slack * expected, what);
            assertTrue(found.matrix().bytes() <= options.target().budget(matrix), what);
            for (GroupPlan plan : found.matrix().groups()) {
                assertTrue(plan.isDense() || plan.rank() <= ROWS, what + ": rank " + plan.rank());
            }
        }
    }

    @Test
    void everyMethodLosesWhatItDoesOnTheReference() {
        for (Method method : Method.values()) {
            for (double ratio : new double[] {1.5, 4, 8}) {
                CompressionOptions options =
                        CompressionOptions.defaults().withMethod(method).withTarget(SizeTarget.ratio(ratio));
                // Rounded coordinates depend on the signs of directions, and so may the number of bases.
                boolean rounded = method == Method.RATE_DISTORTION;
                check(rounded ? options.withGroups(1) : options, rounded ? 0.02 : 1e-4);
            }
        }
    }

    @Test
    void severalBasesOfAFewRowsEach() {
        CompressionOptions options = CompressionOptions.defaults().withTarget(SizeTarget.ratio(4));
        check(options.withGroups(4), 0.05);
    }
}
