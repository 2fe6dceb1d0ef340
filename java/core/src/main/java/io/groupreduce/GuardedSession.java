package io.groupreduce;

import io.groupreduce.api.Sampling;
import io.groupreduce.format.MappedFiles;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.MemorySegment;

/** A session whose queries name the file when what they read of it was cut away. */
record GuardedSession(InferenceSession session) implements InferenceSession {
    @Override
    public void top(float[] hidden, int states, int k, int[] tokens, float[] logits, double[] logSumExp) {
        try {
            session.top(hidden, states, k, tokens, logits, logSumExp);
        } catch (InternalError e) {
            throw MappedFiles.explain(e);
        }
    }

    @Override
    public void score(float[] hidden, int states, int[] targets, float[] logits, double[] logSumExp) {
        try {
            session.score(hidden, states, targets, logits, logSumExp);
        } catch (InternalError e) {
            throw MappedFiles.explain(e);
        }
    }

    @Override
    public void sample(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        try {
            session.sample(hidden, states, sampling, seed, tokens);
        } catch (InternalError e) {
            throw MappedFiles.explain(e);
        }
    }

    @Override
    public void logits(float[] hidden, int states, MemorySegment target) {
        try {
            session.logits(hidden, states, target);
        } catch (InternalError e) {
            throw MappedFiles.explain(e);
        }
    }

    @Override
    public void rows(int[] tokens, int count, float[] target, int offset) {
        try {
            session.rows(tokens, count, target, offset);
        } catch (InternalError e) {
            throw MappedFiles.explain(e);
        }
    }

    @Override
    public void close() {
        session.close();
    }
}
