package io.groupreduce;

import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.format.MappedFiles;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.DeviceStates;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import java.lang.foreign.MemorySegment;

/** A session whose queries name the file when what they read of it was cut away. */
record GuardedSession(InferenceSession session) implements InferenceSession {
    @Override
    public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
        try {
            session.answer(hidden, states, questions, count, chosen);
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
    public void fetch(DeviceStates hidden, float[] target) {
        session.fetch(hidden, target);
    }

    @Override
    public void answer(DeviceStates hidden, float scale, double[] temperatures, long[] keys, DeviceAnswers answers) {
        session.answer(hidden, scale, temperatures, keys, answers);
    }

    @Override
    public void close() {
        session.close();
    }
}
