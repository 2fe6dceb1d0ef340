package io.groupreduce.benchmarks.head;

import io.groupreduce.benchmarks.OpenBlas;
import io.groupreduce.matrix.Matrix;
import java.lang.foreign.MemorySegment;

/** The dense F32 matrix by OpenBLAS: sgemv for one hidden state, sgemm for several. */
final class BlasDenseHead extends MaterialisedHead {
    private final OpenBlas blas;
    private final Matrix dense;

    /**
     * A head on a matrix that stays where it is.
     *
     * @param dense A, F32 outside the heap
     * @param bias length N, or {@code null}
     */
    BlasDenseHead(OpenBlas blas, Matrix dense, float[] bias, int threads) {
        super("dense F32, OpenBLAS", dense.rows(), bias, threads);
        this.blas = blas;
        this.dense = dense;
    }

    @Override
    public long bytes() {
        return dense.bytes();
    }

    @Override
    void compute(Batch batch, int turn, float beta, MemorySegment target) {
        int states = batch.size();
        int columns = dense.columns();
        if (states == 1) {
            blas.multiplyVector(rows(), columns, dense.data(), batch.offHeap(turn), beta, target);
        } else {
            blas.multiplyTransposed(
                    states, rows(), columns, batch.offHeap(turn), columns, dense.data(), beta, target, rows());
        }
    }

    @Override
    int token(int position) {
        return position;
    }

    @Override
    int position(int token) {
        return token;
    }
}
