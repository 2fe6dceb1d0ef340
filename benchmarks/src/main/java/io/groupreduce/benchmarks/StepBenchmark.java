package io.groupreduce.benchmarks;

import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Level;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The steps of a compression and their OpenBLAS peers under JMH, milliseconds a call. */
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class StepBenchmark {
    /** The data, and a Gram matrix that each call computes anew. */
    @State(Scope.Benchmark)
    public static class Fixture {
        @Param({"1", "2"})
        int threads;

        StepFixture steps;

        @Setup
        public void open() {
            steps = new StepFixture(threads);
        }

        @TearDown
        public void close() {
            steps.close();
        }
    }

    /** Undoes, before each call, what the call before left. */
    @State(Scope.Benchmark)
    public static class Forgotten {
        @Setup(Level.Invocation)
        public void forget(Fixture fixture) {
            fixture.steps.forget();
        }
    }

    /** A Gram matrix that was never decomposed, before each call. */
    @State(Scope.Benchmark)
    public static class Fresh {
        @Setup(Level.Invocation)
        public void renew(Fixture fixture) {
            fixture.steps.freshGram();
            fixture.steps.copyGram();
        }
    }

    @Benchmark
    public void gram(Fixture fixture, Forgotten forgotten) {
        fixture.steps.gram();
    }

    /** The rows scaled in Java by one thread, then ssyrk. */
    @Benchmark
    public void gramOpenBlas(Fixture fixture) {
        fixture.steps.gramPeer();
    }

    /** Nothing but ssyrk, on rows scaled beforehand. */
    @Benchmark
    public void gramOpenBlasOfScaledRows(Fixture fixture) {
        fixture.steps.gramOfScaledPeer();
    }

    @Benchmark
    public void projection(Fixture fixture) {
        fixture.steps.project();
    }

    @Benchmark
    public void projectionOpenBlas(Fixture fixture) {
        fixture.steps.projectPeer();
    }

    @Benchmark
    public void leadingEigenvectors(Fixture fixture, Fresh fresh) {
        fixture.steps.eigen();
    }

    @Benchmark
    public void leadingEigenvectorsOpenBlas(Fixture fixture, Fresh fresh) {
        fixture.steps.eigenPeer();
    }

    @Benchmark
    public void allEigenvectors(Fixture fixture, Fresh fresh) {
        fixture.steps.eigenFull();
    }

    @Benchmark
    public void allEigenvectorsOpenBlas(Fixture fixture, Fresh fresh) {
        fixture.steps.eigenFullPeer();
    }
}
