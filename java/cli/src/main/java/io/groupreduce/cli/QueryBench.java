package io.groupreduce.cli;

import io.groupreduce.SoftmaxHead;
import io.groupreduce.api.Backend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.cli.SoftmaxCase.Contestant;
import io.groupreduce.cli.report.QueryTime;
import io.groupreduce.matrix.BitProfile;
import io.groupreduce.matrix.Codec;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.vector.kernel.ReadBandwidth;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;

/** Times one query of a compressed matrix for a report, and what a prediction of it needs; all together in some seconds. */
final class QueryBench {
    /** Of the matrix that tells how many numbers a second are multiplied: it stays in a cache, and takes longer than any query does. */
    private static final int RANK = 64;

    private static final int MANY_ROWS = 1 << 15;
    private static final int FEW_ROWS = 64;
    private static final long LEAST_READ = 1 << 20;
    private static final long MOST_READ = 256 << 20;

    /** Ends when for so long nothing became faster by so much: the compiler works beside the program. */
    private static final long QUIET = 2_000_000_000;

    private static final double FASTER = 0.95;
    private static final long MOST = 10_000_000_000L;
    private static final long SLICE = 20_000_000;

    private QueryBench() {}

    /**
     * Measures, by turns, and takes the fastest turn of each: the one that is compiled and was disturbed least.
     *
     * @param bias the model's, or {@code null}
     * @param threads that answer a query
     */
    static QueryTime of(Backend backend, CompressedMatrix matrix, float[] bias, int threads) {
        long bytes = BenchMatrices.factorBytes(matrix);
        try (Arena arena = Arena.ofShared();
                SoftmaxHead few = head(backend, int4(FEW_ROWS, arena), null);
                SoftmaxHead many = head(backend, int4(MANY_ROWS, arena), null);
                SoftmaxHead whole = head(backend, matrix, bias);
                // Of the same size, so that it lies in the same cache or none.
                ReadBandwidth reading = new ReadBandwidth(Math.clamp(bytes, LEAST_READ, MOST_READ), threads)) {
            SoftmaxCase[] cases = {
                query(few, FEW_ROWS, new float[RANK]),
                query(many, MANY_ROWS, new float[RANK]),
                query(whole, matrix.rows(), BenchMatrices.hidden(matrix, 1, SoftmaxBench.LOGIT_DEVIATION))
            };
            double[] seconds = new double[cases.length];
            Arrays.fill(seconds, Double.POSITIVE_INFINITY);
            boolean gpu = DeviceOptions.isGpu(backend);
            double bandwidth = ComputeBackend.of(backend).memoryBandwidth().orElse(0);
            long begun = System.nanoTime();
            long changed = begun;
            do {
                for (int c = 0; c < cases.length; c++) {
                    double median = cases[c].run(SLICE);
                    changed = median < FASTER * seconds[c] ? System.nanoTime() : changed;
                    seconds[c] = Math.min(seconds[c], median);
                }
                for (long from = System.nanoTime(); !gpu && System.nanoTime() - from < SLICE; ) {
                    double read = reading.measure();
                    changed = FASTER * read > bandwidth ? System.nanoTime() : changed;
                    bandwidth = Math.max(bandwidth, read);
                }
            } while (System.nanoTime() - changed < QUIET && System.nanoTime() - begun < MOST);
            double rate = (double) MANY_ROWS * RANK / Math.max(1e-9, seconds[1] - seconds[0]);
            return new QueryTime(seconds[2], bytes, matrix.parameters(), seconds[0], bandwidth, rate);
        }
    }

    private static SoftmaxHead head(Backend backend, CompressedMatrix matrix, float[] bias) {
        return SoftmaxHead.of(backend, matrix, bias, HeadOptions.defaults());
    }

    private static SoftmaxCase query(SoftmaxHead head, int rows, float[] state) {
        return SoftmaxCase.top(new Contestant("", head, rows, 0, 1), 1, state);
    }

    /** Rows of zeros: time does not depend on the numbers. */
    private static CompressedMatrix int4(int rows, Arena arena) {
        EncodedMatrix left = EncodedMatrix.allocate(arena, BitProfile.of(Codec.INT4, RANK), rows, RANK);
        EncodedMatrix right = EncodedMatrix.allocate(arena, BitProfile.of(Codec.INT8, RANK), RANK, RANK);
        List<GroupPlan> plans = List.of(GroupPlan.of(0, RANK, Codec.INT4));
        return new CompressedMatrix("zeros", RANK, new byte[rows], plans, List.of(left), List.of(right));
    }
}
