package io.groupreduce.cuda.blas;

import io.groupreduce.cuda.blas.KrylovMemory.Row;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * The leading eigenpairs of several symmetric positive semidefinite matrices A, D x D, from randomized block Krylov
 * spaces of one width, all in FP64 and all of a step in one library call.
 *
 * <pre>
 * X = random vectors, or those of a similar matrix and some random ones
 * repeat   X = T_m(2 A / bound - 1) X            m products with A: a polynomial in the block Krylov space of X
 *          X = orthonormal basis of X            Cholesky QR, the first passes shifted
 *          X^T A X = V Theta V^T, X = X V        Rayleigh-Ritz
 * until    sum_j |A x_j - theta_j x_j|^2 / theta_j  is below 1e-8 of  sum_j theta_j
 * </pre>
 *
 * <p>The Krylov space itself, [X, A X, .. A^m X], is never formed: its small eigenproblem would have m + 1 times the
 * order, and small eigenproblems are what takes time on a card. The Chebyshev polynomial is the one by which Musco and
 * Musco (2015) prove what block Krylov iteration attains; the random start with a surplus of vectors is Halko,
 * Martinsson and Tropp's (2011).
 *
 * <p>Work per round and basis: (m + 1) 2 D^2 width + O(D width^2) operations. Bytes: A read m + 1 times, a scaled copy
 * of it written once, three blocks. Never materialised: the other D - width eigenvectors.
 */
final class BlockKrylov {
    private static final int MAX_ROUNDS = 12;
    private static final int MAX_PASSES = 8;

    /** What a shifted Cholesky pass adds to the diagonal, times the width (Fukaya and others 2020). */
    private static final double SHIFT = 1e-14;

    /** The part of a block that is random in a warm start and in each of its rounds, and the fewest vectors of it. */
    private static final int FRESH_PART = 16;

    private static final int FRESH_LEAST = 4;

    private final SolverTools tools;
    private final WarmBlocks warm;
    private final KrylovMemory memory;
    private final int order;
    private final int width;
    private final int fresh;
    private int rounds;

    /**
     * @param warm where to start from, and where to leave what was found
     * @param memory with room for the bases that {@link #solve} gets
     */
    BlockKrylov(SolverTools tools, WarmBlocks warm, KrylovMemory memory) {
        this.tools = tools;
        this.warm = warm;
        this.memory = memory;
        order = memory.order();
        width = memory.width();
        fresh = Math.max(FRESH_LEAST, width / FRESH_PART);
    }

    /** Solves for all; returns those that did not converge, whose matrices are as they were. */
    List<KrylovBasis> solve(List<KrylovBasis> bases) {
        List<KrylovBasis> active = new ArrayList<>(bases);
        List<KrylovBasis> failed = new ArrayList<>();
        memory.place(active);
        start(active);
        for (int round = 0; round < MAX_ROUNDS && !active.isEmpty(); round++) {
            // Those of the highest degree first, so that every step of the filter is a prefix of the list.
            active.sort(Comparator.comparingInt((KrylovBasis b) -> -b.filter().degree()));
            filter(active);
            orthonormalize(active, failed);
            if (active.isEmpty()) {
                break;
            }
            rotate(active);
            rounds++;
            finish(active);
            refresh(active, round + 1);
        }
        failed.addAll(active);
        return failed;
    }

    /** Rayleigh-Ritz steps so far, whatever the number of bases in them. */
    int rounds() {
        return rounds;
    }

    /** X: what was kept of a similar matrix and random vectors before it, or random vectors alone. */
    private void start(List<KrylovBasis> active) {
        int[] counts = new int[active.size()];
        for (int b = 0; b < counts.length; b++) {
            KrylovBasis basis = active.get(b);
            WarmBlocks.Kept kept = warm.find(basis.index(), order);
            int given = 0;
            if (kept != null) {
                basis.fresh(fresh);
                given = Math.min(kept.width(), width - basis.fresh());
                copyLeading(kept, basis, given);
            }
            basis.filter(
                    given < basis.rank()
                            ? ChebyshevFilter.cold(basis.trace(), order)
                            : ChebyshevFilter.warm(kept.values(given, basis.trace()), basis.rank()));
            counts[b] = width - given;
        }
        writeBlocks(active);
        randomize(active, counts, 0);
    }

    /** Both ascend: the leading vectors are the last. */
    private void copyLeading(WarmBlocks.Kept kept, KrylovBasis basis, int count) {
        long vector = (long) order * Double.BYTES;
        long from = kept.memory().address() + (kept.width() - count) * vector;
        tools.device().stream().copy(basis.x() + (width - count) * vector, from, count * vector);
    }

    /** The first {@code counts} vectors of each block become random, others each round. */
    private void randomize(List<KrylovBasis> active, int[] counts, int round) {
        int most = Arrays.stream(counts).max().orElse(0);
        if (most == 0) {
            return;
        }
        for (int b = 0; b < counts.length; b++) {
            memory.writeNumber(Row.COUNT, b, counts[b]);
            memory.writeNumber(Row.KEY, b, active.get(b).index() * (MAX_ROUNDS + 1) + round);
        }
        tools.kernels()
                .random(memory.row(Row.X), memory.row(Row.COUNT), memory.row(Row.KEY), order, most, counts.length);
    }

    /**
     * The least vectors F of the blocks of a warm start become random, orthogonal to those that stay, {@code F = F - S
     * (S^T F)}: what the old block was orthogonal to, and so is the filtered one, they alone can find.
     */
    private void refresh(List<KrylovBasis> active, int round) {
        active.sort(Comparator.comparingInt((KrylovBasis b) -> -b.fresh()));
        int[] counts =
                active.stream().mapToInt(KrylovBasis::fresh).filter(f -> f > 0).toArray();
        if (counts.length == 0) {
            return;
        }
        memory.write(Row.STAYING, active, b -> b.x() + (long) fresh * order * Double.BYTES);
        writeBlocks(active);
        randomize(active, counts, round);
        int stay = width - fresh;
        gemm(true, stay, fresh, order, 1, Row.STAYING, Row.X, 0, Row.SMALL, counts.length);
        gemm(false, order, fresh, stay, -1, Row.STAYING, Row.SMALL, 1, Row.X, counts.length);
    }

    /** {@code X = T_m(B) X, B = (2 / bound) A - I}, by the recurrence {@code T_m+1 = 2 B T_m - T_m-1} in two blocks. */
    private void filter(List<KrylovBasis> active) {
        memory.write(Row.SHIFTED, active, KrylovBasis::shifted);
        memory.write(Row.FIRST, active, KrylovBasis::x);
        memory.write(Row.SECOND, active, KrylovBasis::y);
        memory.write(
                Row.FACTOR, active, b -> Double.doubleToRawLongBits(b.filter().factor()));
        active.forEach(KrylovBasis::filtered);
        writeBlocks(active);
        tools.kernels()
                .affine(memory.row(Row.MATRIX), memory.row(Row.SHIFTED), memory.row(Row.FACTOR), order, active.size());
        product(1, 0, Row.SHIFTED, Row.FIRST, Row.SECOND, active.size());
        int count = active.size();
        for (int m = 2; m <= ChebyshevFilter.MAX_DEGREE; m++) {
            while (count > 0 && active.get(count - 1).filter().degree() < m) {
                count--;
            }
            if (count == 0) {
                return;
            }
            boolean even = m % 2 == 0;
            product(2, -1, Row.SHIFTED, even ? Row.SECOND : Row.FIRST, even ? Row.FIRST : Row.SECOND, count);
        }
    }

    private void writeBlocks(List<KrylovBasis> active) {
        memory.write(Row.MATRIX, active, KrylovBasis::matrix);
        memory.write(Row.X, active, KrylovBasis::x);
        memory.write(Row.Y, active, KrylovBasis::y);
        memory.write(Row.SPARE, active, KrylovBasis::spare);
        memory.writeSmalls(active.size());
    }

    /**
     * X becomes orthonormal: {@code S = X^T X = L L^T, X = X L^-T}, with unit vectors and a small multiple of the
     * identity on S, until a pass finds S so near the identity that it is good without. Bases that fail move to {@code
     * failed}.
     */
    private void orthonormalize(List<KrylovBasis> active, List<KrylovBasis> failed) {
        double limit = 0.5 / width;
        boolean done = false;
        for (int pass = 0; pass < MAX_PASSES && !done && !active.isEmpty(); pass++) {
            int count = active.size();
            tools.kernels().normalize(memory.row(Row.X), order, width, count);
            small(Row.X, Row.X, count);
            tools.kernels().deviation(memory.smalls(), memory.deviations(), limit, SHIFT * width, width, count);
            int[] info = tools.solver().cholesky(width, memory.row(Row.SMALL), count);
            tools.blas()
                    .solveTransposedBatched(
                            order,
                            width,
                            Operand.of(memory.row(Row.SMALL), width),
                            Operand.of(memory.row(Row.X), order),
                            count);
            double[] deviations = memory.readDeviations(count);
            done = Arrays.stream(deviations).allMatch(d -> d <= limit);
            boolean last = pass == MAX_PASSES - 1;
            if (remove(
                    active,
                    failed,
                    b -> info[b] != 0 || Double.isNaN(deviations[b]) || last && deviations[b] > limit)) {
                writeBlocks(active);
            }
        }
    }

    private static boolean remove(List<KrylovBasis> active, List<KrylovBasis> failed, IntPredicate bad) {
        int before = failed.size();
        List<KrylovBasis> good = new ArrayList<>();
        for (int b = 0; b < active.size(); b++) {
            (bad.test(b) ? failed : good).add(active.get(b));
        }
        active.clear();
        active.addAll(good);
        return failed.size() > before;
    }

    /** X becomes the Ritz vectors and Y their products with A. */
    private void rotate(List<KrylovBasis> active) {
        int count = active.size();
        product(1, 0, Row.MATRIX, Row.X, Row.Y, count);
        small(Row.X, Row.Y, count);
        tools.solver().eigen(width, memory.smalls(), memory.values(), count);
        turn(Row.X, Row.SPARE, count);
        turn(Row.Y, Row.X, count);
        tools.kernels()
                .residual(
                        memory.row(Row.SPARE),
                        memory.row(Row.X),
                        memory.values(),
                        memory.squares(),
                        order,
                        width,
                        count);
    }

    private void finish(List<KrylovBasis> active) {
        double[] results = memory.readResults();
        List<KrylovBasis> open = new ArrayList<>();
        for (int b = 0; b < active.size(); b++) {
            KrylovBasis basis = active.get(b);
            basis.rotated(descending(results, b * width), descending(results, results.length / 2 + b * width));
            if (basis.converged()) {
                tools.kernels().reverse(basis.x(), basis.target(), order, width, basis.rank());
                warm.keep(basis, order, width);
            } else {
                basis.refine();
                open.add(basis);
            }
        }
        active.clear();
        active.addAll(open);
    }

    /** {@code to = alpha matrix from + beta to}, D x width. */
    private void product(double alpha, double beta, Row matrix, Row from, Row to, int count) {
        gemm(false, order, width, order, alpha, matrix, from, beta, to, count);
    }

    /** {@code small = a^T b}, width x width. */
    private void small(Row a, Row b, int count) {
        gemm(true, width, width, order, 1, a, b, 0, Row.SMALL, count);
    }

    /** {@code to = from small}, D x width. */
    private void turn(Row from, Row to, int count) {
        gemm(false, order, width, width, 1, from, Row.SMALL, 0, to, count);
    }

    /** {@code c = alpha op(a) b + beta c}; all operands lie close: op(a) is m x k, b is k x n. */
    private void gemm(boolean transA, int m, int n, int k, double alpha, Row a, Row b, double beta, Row c, int count) {
        tools.blas()
                .dgemmBatched(
                        m,
                        n,
                        k,
                        alpha,
                        new Operand(memory.row(a), transA ? k : m, transA),
                        Operand.of(memory.row(b), k),
                        beta,
                        Operand.of(memory.row(c), m),
                        count);
    }

    private double[] descending(double[] results, int first) {
        double[] values = new double[width];
        Arrays.setAll(values, j -> results[first + width - 1 - j]);
        return values;
    }
}
