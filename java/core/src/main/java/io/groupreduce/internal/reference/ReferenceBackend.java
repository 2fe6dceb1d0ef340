package io.groupreduce.internal.reference;

import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;

/** One thread, double loops, no tricks: what the other backends are held against. */
public final class ReferenceBackend implements ComputeBackend {
    @Override
    public String name() {
        return "reference";
    }

    @Override
    public String description() {
        return "plain double loops, 1 thread";
    }

    @Override
    public CompressionWorkspace open(CompressionProblem problem) {
        return new ReferenceWorkspace(problem);
    }

    @Override
    public TokenScores compare(SoftmaxComparison task) {
        return ReferenceComparison.run(task);
    }

    @Override
    public CalibrationSession calibrate(CalibrationProblem problem) {
        return new ReferenceCalibration(problem);
    }

    @Override
    public InferenceSession load(InferenceProblem problem) {
        return new ReferenceInference(problem);
    }

    @Override
    public void close() {
        // holds nothing
    }
}
