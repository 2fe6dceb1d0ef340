package io.groupreduce.reference;

import io.groupreduce.backend.Backend;
import io.groupreduce.backend.CalibrationProblem;
import io.groupreduce.backend.CalibrationSession;
import io.groupreduce.backend.CompressionProblem;
import io.groupreduce.backend.CompressionWorkspace;
import io.groupreduce.backend.InferenceProblem;
import io.groupreduce.backend.InferenceSession;
import io.groupreduce.backend.SoftmaxComparison;
import io.groupreduce.backend.TokenScores;

/** One thread, double loops, no tricks: what the other backends are held against. */
public final class ReferenceBackend implements Backend {
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
