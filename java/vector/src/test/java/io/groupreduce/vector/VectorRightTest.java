package io.groupreduce.vector;

import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.RightContract;

/** The Vector API backend treats directions and right factors as every backend must. */
class VectorRightTest extends RightContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new VectorBackend(threads);
    }
}
