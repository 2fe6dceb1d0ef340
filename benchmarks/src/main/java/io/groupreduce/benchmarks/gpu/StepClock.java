package io.groupreduce.benchmarks.gpu;

import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.EncodedMatrix;
import io.groupreduce.matrix.GroupPlan;
import io.groupreduce.matrix.Spectrum;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.Candidate;
import io.groupreduce.spi.Choice;
import io.groupreduce.spi.CompressionProblem;
import io.groupreduce.spi.CompressionWorkspace;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.Directions;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Loss;
import io.groupreduce.spi.NormalEquations;
import io.groupreduce.spi.SoftmaxComparison;
import io.groupreduce.spi.TokenScores;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntConsumer;
import java.util.function.Supplier;

/** A backend that hands everything on and adds up the time that each step of its workspaces takes. */
final class StepClock implements ComputeBackend {
    private final ComputeBackend backend;
    private final Map<String, Double> seconds = new LinkedHashMap<>();

    /** Does not take over the backend. */
    StepClock(ComputeBackend backend) {
        this.backend = backend;
    }

    /** By the name of the step, in the order in which they first ran. */
    Map<String, Double> seconds() {
        return seconds;
    }

    /** Of all steps. */
    double total() {
        return seconds.values().stream().mapToDouble(Double::doubleValue).sum();
    }

    private <T> T timed(String step, Supplier<T> work) {
        long begun = System.nanoTime();
        T result = work.get();
        seconds.merge(step, (System.nanoTime() - begun) / 1e9, Double::sum);
        return result;
    }

    private void timedRun(String step, Runnable work) {
        timed(step, () -> {
            work.run();
            return null;
        });
    }

    @Override
    public String name() {
        return backend.name();
    }

    @Override
    public String description() {
        return backend.description();
    }

    @Override
    public void forEach(int tasks, IntConsumer task) {
        backend.forEach(tasks, task);
    }

    @Override
    public CompressionWorkspace open(CompressionProblem problem) {
        return new Workspace(timed("open", () -> backend.open(problem)));
    }

    @Override
    public TokenScores compare(SoftmaxComparison task) {
        return backend.compare(task);
    }

    @Override
    public CalibrationSession calibrate(CalibrationProblem problem) {
        return backend.calibrate(problem);
    }

    @Override
    public InferenceSession load(InferenceProblem problem) {
        return backend.load(problem);
    }

    @Override
    public void close() {
        // the backend is its owner's
    }

    private final class Workspace implements CompressionWorkspace {
        private final CompressionWorkspace workspace;

        Workspace(CompressionWorkspace workspace) {
            this.workspace = workspace;
        }

        @Override
        public double energy() {
            return timed("energy", workspace::energy);
        }

        @Override
        public void accumulate(byte[] basisOf, int bases) {
            timedRun("accumulate", () -> workspace.accumulate(basisOf, bases));
        }

        @Override
        public List<Spectrum> decompose(int[] ranks) {
            return timed("decompose", () -> workspace.decompose(ranks));
        }

        @Override
        public void assign(List<Candidate> candidates, byte[] current, byte[] best, float[] gain) {
            timedRun("assign", () -> workspace.assign(candidates, current, best, gain));
        }

        @Override
        public Directions directions(int basis, int rank) {
            return timed("directions", () -> workspace.directions(basis, rank));
        }

        @Override
        public void rate(List<Directions> bases, List<GroupPlan> plans) {
            timedRun("rate", () -> workspace.rate(bases, plans));
        }

        @Override
        public Choice choose(double price, double[] bytes, byte[] groupOf) {
            return timed("choose", () -> workspace.choose(price, bytes, groupOf));
        }

        @Override
        public void encodeLeft(
                byte[] groupOf, List<GroupPlan> groups, List<Directions> bases, List<EncodedMatrix> left) {
            timedRun("encode", () -> workspace.encodeLeft(groupOf, groups, bases, left));
        }

        @Override
        public List<NormalEquations> normalEquations(
                byte[] groupOf, List<GroupPlan> groups, int[] ranks, List<EncodedMatrix> left) {
            return timed("normal equations", () -> workspace.normalEquations(groupOf, groups, ranks, left));
        }

        @Override
        public Loss loss(CompressedMatrix approximation) {
            return timed("loss", () -> workspace.loss(approximation));
        }

        @Override
        public void close() {
            workspace.close();
        }
    }
}
