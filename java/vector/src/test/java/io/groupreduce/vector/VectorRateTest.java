package io.groupreduce.vector;

import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.testkit.RateContract;

/** The Vector API backend rates rows as every backend must. */
class VectorRateTest extends RateContract {
    @Override
    protected ComputeBackend backend(int threads) {
        return new VectorBackend(threads);
    }
}
