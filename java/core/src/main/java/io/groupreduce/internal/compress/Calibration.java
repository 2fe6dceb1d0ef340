package io.groupreduce.internal.compress;

import io.groupreduce.api.Progress;
import io.groupreduce.api.SoftmaxData;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.matrix.Matrix;
import io.groupreduce.spi.CalibrationProblem;
import io.groupreduce.spi.CalibrationSession;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * Trains the factors of a compressed softmax towards the dense one on hidden states. Part of them is held out, and what was
 * best on that part is kept. The same input gives the same result.
 */
public final class Calibration {
    /** Hidden states of a step. */
    private static final int BATCH = 256;

    /** Hidden states that are held out, at most. */
    private static final int MOST_HELD_OUT = 2_000;

    /**
     * The learning rate of the first step is this times the square root of the KL at the start; it falls along half a cosine to
     * 0. Rates are relative to the size of what moves, and so is the root of the KL: what is nearly right moves in small
     * steps.
     */
    private static final double RATE = 0.05;

    /** What rates are at most. */
    private static final double MOST_RATE = 0.01;

    /**
     * A state h of a batch becomes h + MIX (h_a - h_b), a and b drawn anew each time: the data's covariance, and never the same
     * state twice. On the softmax of a Penn Treebank LSTM 10,000 states overfit without it.
     */
    private static final float MIX = 0.4f;

    private static final long SEED = 20180619;

    /** A report of progress follows the one before after this time. */
    private static final long REPORT_NANOS = 250_000_000;

    private Calibration() {}

    /**
     * What a calibration did.
     *
     * @param matrix what was best on the held-out hidden states: the start itself when no epoch was better
     * @param heldOutLosses mean KL in nats on the held-out hidden states, before training and after each epoch
     */
    public record Outcome(CompressedMatrix matrix, List<Double> heldOutLosses) {
        public Outcome {
            heldOutLosses = List.copyOf(heldOutLosses);
        }
    }

    /**
     * Trains. Shapes fit and numbers are finite: the public API checked them.
     *
     * @param dense A, N x D
     * @param softmax hidden states, of which {@link SoftmaxData#judged} are held out, and the bias of the dense softmax
     * @param start what to begin with; not changed
     * @param epochs passes over the hidden states that are not held out
     * @param trainBias whether the compressed softmax gets a bias of its own
     * @param arena owns the memory of the result
     * @throws InvalidDataException if there are fewer than 2 hidden states
     */
    public static Outcome run(
            ComputeBackend backend,
            Matrix dense,
            SoftmaxData softmax,
            CompressedMatrix start,
            int epochs,
            boolean trainBias,
            Arena arena,
            Progress progress) {
        if (softmax.hidden().rows() < 2) {
            throw new InvalidDataException(softmax.hidden().name()
                    + " has 1 hidden state, but calibration trains on some and measures on others; give at least 2.");
        }
        Matrix judged = softmax.judged(MOST_HELD_OUT).hidden();
        int heldOut = judged.rows();
        float[] held = new float[heldOut * judged.columns()];
        judged.readRows(0, heldOut, held, 0);
        CalibrationProblem problem = new CalibrationProblem(dense, softmax.bias(), start, trainBias);
        List<Double> losses = new ArrayList<>();
        try (CalibrationSession session = backend.calibrate(problem);
                Best best = new Best(start)) {
            Batches batches = new Batches(softmax.fitted().hidden());
            Reports reports = new Reports(progress, epochs);
            progress.at("calibration, measuring the start", 0);
            losses.add(session.loss(held, heldOut));
            int steps = epochs * batches.perEpoch();
            double first = Math.min(MOST_RATE, RATE * Math.sqrt(Math.max(0, losses.getFirst())));
            for (int epoch = 0; epoch < epochs; epoch++) {
                batches.shuffle();
                for (int b = 0; b < batches.perEpoch(); b++) {
                    int step = epoch * batches.perEpoch() + b;
                    reports.at(epoch, step / (double) steps, losses.getLast());
                    double rate = first * 0.5 * (1 + Math.cos(Math.PI * step / steps));
                    session.step(batches.batch(b), batches.size(), rate);
                }
                double loss = session.loss(held, heldOut);
                if (loss < losses.stream().min(Double::compare).orElseThrow()) {
                    best.replace(session);
                }
                losses.add(loss);
            }
            return new Outcome(best.in(arena), losses);
        }
    }

    /** The batches of an epoch, in an order and with mixtures of their own each time. */
    private static final class Batches {
        private final Matrix hidden;
        private final int[] order;
        private final int size;
        private final float[] values;
        private final float[] mixed;
        private final SplittableRandom random = new SplittableRandom(SEED);

        /** Batches of all hidden states; the last, smaller one is left out unless it is the only one. */
        Batches(Matrix hidden) {
            this.hidden = hidden;
            int count = hidden.rows();
            order = new int[count];
            for (int t = 0; t < count; t++) {
                order[t] = t;
            }
            size = Math.min(BATCH, count);
            values = new float[size * hidden.columns()];
            mixed = new float[2 * hidden.columns()];
        }

        /** Hidden states of a batch. */
        int size() {
            return size;
        }

        int perEpoch() {
            return order.length / size;
        }

        void shuffle() {
            for (int t = order.length - 1; t > 0; t--) {
                int other = random.nextInt(t + 1);
                int swap = order[t];
                order[t] = order[other];
                order[other] = swap;
            }
        }

        /** The states of a batch; the next call overwrites them. */
        float[] batch(int number) {
            int columns = hidden.columns();
            for (int t = 0; t < size; t++) {
                hidden.readRow(order[number * size + t], values, t * columns);
                hidden.readRow(random.nextInt(order.length), mixed, 0);
                hidden.readRow(random.nextInt(order.length), mixed, columns);
                for (int j = 0; j < columns; j++) {
                    values[t * columns + j] += MIX * (mixed[j] - mixed[columns + j]);
                }
            }
            return values;
        }
    }

    /** The best so far: the start, or a snapshot in memory of its own, which goes away with the next one. */
    private static final class Best implements AutoCloseable {
        private final CompressedMatrix start;
        private CompressedMatrix matrix;
        private Arena memory;

        Best(CompressedMatrix start) {
            this.start = start;
            matrix = start;
        }

        void replace(CalibrationSession session) {
            close();
            memory = Arena.ofShared();
            matrix = session.snapshot(memory);
        }

        CompressedMatrix in(Arena arena) {
            return matrix == start ? start : matrix.copyTo(arena);
        }

        @Override
        public void close() {
            if (memory != null) {
                memory.close();
                memory = null;
            }
        }
    }

    /** Reports of progress, a few a second. */
    private static final class Reports {
        private final Progress progress;
        private final int epochs;
        private int lastEpoch = -1;
        private long last;

        Reports(Progress progress, int epochs) {
            this.progress = progress;
            this.epochs = epochs;
        }

        void at(int epoch, double fraction, double loss) {
            long now = System.nanoTime();
            if (epoch != lastEpoch || now - last >= REPORT_NANOS) {
                progress.at(
                        String.format(Locale.ROOT, "calibration, epoch %d of %d: KL %.4f", epoch + 1, epochs, loss),
                        fraction);
                lastEpoch = epoch;
                last = now;
            }
        }
    }
}
