package io.groupreduce.benchmarks.head;

import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

/**
 * The compressed factors by OpenBLAS: z = R h for every basis, then the logits of each group from its left factor, which was
 * decoded to F32 beforehand. Logits stand group by group.
 */
final class BlasFactorHead extends MaterialisedHead {
    private final OpenBlas blas;
    private final CompressedMatrix matrix;
    private final List<MemorySegment> left = new ArrayList<>();
    private final List<MemorySegment> right = new ArrayList<>();
    private final List<MemorySegment> projected = new ArrayList<>();
    private final int[] sizes;
    private final int[] tokens;
    private final int[] positions;

    /**
     * Decodes the factors.
     *
     * @param bias in the order of tokens, length N, or {@code null}
     */
    BlasFactorHead(OpenBlas blas, CompressedMatrix matrix, float[] bias, int threads) {
        this(blas, matrix, positions(matrix), bias, threads);
    }

    private BlasFactorHead(OpenBlas blas, CompressedMatrix matrix, int[] positions, float[] bias, int threads) {
        super(matrix.name() + ", factors by OpenBLAS", matrix.rows(), inOrder(bias, positions), threads);
        this.blas = blas;
        this.matrix = matrix;
        this.sizes = matrix.groupSizes();
        this.positions = positions;
        this.tokens = new int[positions.length];
        for (int i = 0; i < tokens.length; i++) {
            tokens[positions[i]] = i;
        }
        for (int g = 0; g < sizes.length; g++) {
            left.add(matrix.left(g) == null ? null : decoded(matrix.left(g)));
        }
        for (int b = 0; b < matrix.bases(); b++) {
            MemorySegment factor =
                    OffHeap.floats(arena(), (long) matrix.right(b).rows() * matrix.columns());
            float[] values = matrix.decodedRight(b);
            MemorySegment.copy(values, 0, factor, ValueLayout.JAVA_FLOAT, 0, values.length);
            right.add(factor);
            projected.add(OffHeap.floats(
                    arena(), (long) HeadAnswers.STATES * matrix.right(b).rows()));
        }
    }

    /** Rows group by group, in each group in their order. */
    private static int[] positions(CompressedMatrix matrix) {
        int[] sizes = matrix.groupSizes();
        int[] next = new int[sizes.length];
        for (int g = 1; g < sizes.length; g++) {
            next[g] = next[g - 1] + sizes[g - 1];
        }
        int[] positions = new int[matrix.rows()];
        for (int i = 0; i < positions.length; i++) {
            positions[i] = next[matrix.group(i)]++;
        }
        return positions;
    }

    private static float[] inOrder(float[] bias, int[] positions) {
        if (bias == null) {
            return null;
        }
        float[] ordered = new float[bias.length];
        for (int i = 0; i < bias.length; i++) {
            ordered[positions[i]] = bias[i];
        }
        return ordered;
    }

    private MemorySegment decoded(EncodedMatrix encoded) {
        int width = encoded.width();
        MemorySegment target = OffHeap.floats(arena(), encoded.rows() * width);
        IntStream.range(0, Math.toIntExact(encoded.rows())).parallel().forEach(row -> {
            float[] values = new float[width];
            encoded.decodeRow(row, values, 0);
            MemorySegment.copy(values, 0, target, ValueLayout.JAVA_FLOAT, (long) row * width * Float.BYTES, width);
        });
        return target;
    }

    @Override
    public long bytes() {
        long bytes = 0;
        for (MemorySegment part : left) {
            bytes += part == null ? 0 : part.byteSize();
        }
        for (MemorySegment part : right) {
            bytes += part.byteSize();
        }
        return bytes;
    }

    @Override
    void compute(Batch batch, int turn, float beta, MemorySegment target) {
        int states = batch.size();
        MemorySegment hidden = batch.offHeap(turn);
        int columns = matrix.columns();
        for (int b = 0; b < matrix.bases(); b++) {
            int rank = Math.toIntExact(matrix.right(b).rows());
            multiply(states, rank, columns, hidden, columns, right.get(b), 0, projected.get(b), rank);
        }
        long at = 0;
        for (int g = 0; g < sizes.length; g++) {
            GroupPlan plan = matrix.groups().get(g);
            MemorySegment part = target.asSlice(at * Float.BYTES);
            if (plan.isZero() && beta == 0) {
                fillZero(part, states, sizes[g]);
            } else if (plan.isDense() && sizes[g] > 0) {
                multiply(states, sizes[g], columns, hidden, columns, left.get(g), beta, part, rows());
            } else if (plan.isLowRank() && sizes[g] > 0) {
                int stride = Math.toIntExact(matrix.right(plan.basis()).rows());
                MemorySegment z = projected.get(plan.basis());
                multiply(states, sizes[g], plan.rank(), z, stride, left.get(g), beta, part, rows());
            }
            at += sizes[g];
        }
    }

    private void fillZero(MemorySegment part, int states, int count) {
        for (int s = 0; s < states; s++) {
            part.asSlice((long) s * rows() * Float.BYTES, (long) count * Float.BYTES)
                    .fill((byte) 0);
        }
    }

    /** C = A B^T + beta C with m hidden states: sgemv where there is one, whose rows need no stride. */
    private void multiply(
            int m, int n, int k, MemorySegment a, int lda, MemorySegment b, float beta, MemorySegment c, int ldc) {
        if (m == 1) {
            blas.multiplyVector(n, k, b, a, beta, c);
        } else {
            blas.multiplyTransposed(m, n, k, a, lda, b, beta, c, ldc);
        }
    }

    @Override
    int token(int position) {
        return tokens[position];
    }

    @Override
    int position(int token) {
        return positions[token];
    }
}
