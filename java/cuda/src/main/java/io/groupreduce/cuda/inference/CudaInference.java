package io.groupreduce.cuda.inference;

import io.groupreduce.api.Sampling;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceProperties;
import io.groupreduce.cuda.inference.CudaHeadPass.Question;
import io.groupreduce.error.DeviceException;
import io.groupreduce.internal.select.Drawing;
import io.groupreduce.internal.select.FullRanking;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Locale;

/**
 * A compressed matrix that answers batches on the card. Loading packs all of it into device memory, also for a session that is only asked
 * for rows. Nothing is ever left out, so pruning and its tolerance have no meaning here.
 *
 * <p>Queries of several threads wait for each other: a card runs one at a time, on the thread of its device, which also ranks the lists that
 * are longer than kernels select.
 */
public final class CudaInference implements InferenceSession {
    /** Blocks of threads that share the tiles, for each multiprocessor: as many of the smaller kernels run at a time. */
    private static final int BLOCKS_OF_MULTIPROCESSOR = 2;

    private final Device device;
    private final int vocabulary;
    private final int columns;
    private final CudaPackedHead head;
    private final CudaHeadPass pass;
    private final CudaRowReader rows;
    private final Sampler sampler;
    private final FullRanking full;
    private boolean closed;

    /**
     * Loads a matrix.
     *
     * @throws DeviceException if there is not enough memory on the card, or it fails
     */
    public CudaInference(Device device, InferenceProblem problem) {
        this.device = device;
        CompressedMatrix matrix = problem.matrix();
        vocabulary = matrix.rows();
        columns = matrix.columns();
        HeadLayout layout = layout(device.properties(), matrix, problem.bias() != null);
        head = device.call(() -> load(layout, problem));
        CudaHeadPass opened = null;
        try {
            rows = device.call(() -> new CudaRowReader(device, head));
            long budget = device.call(() -> Math.min(PassBuffers.MOST_BYTES, device.availableMemory() / 4));
            opened = device.call(() -> new CudaHeadPass(device, head, budget));
            pass = opened;
            full = new FullRanking(vocabulary);
            sampler = new Sampler(pass, layout, full);
        } catch (Throwable e) {
            try (head) {
                if (opened != null) {
                    opened.close();
                }
            }
            throw e;
        }
    }

    private static HeadLayout layout(DeviceProperties card, CompressedMatrix matrix, boolean biased) {
        return new HeadLayout(matrix, biased, card.multiprocessors() * BLOCKS_OF_MULTIPROCESSOR);
    }

    /**
     * Device memory that a session of this matrix takes on such a card: the packed matrix, and what loading it or a query of one state takes
     * besides. Larger batches take up to 256 MiB more, where there is room.
     *
     * @param biased whether there is a bias
     */
    public static long bytesNeeded(DeviceProperties card, CompressedMatrix matrix, boolean biased) {
        return bytesNeeded(layout(card, matrix, biased));
    }

    private static long bytesNeeded(HeadLayout layout) {
        long working = PassBuffers.bytesOfState(layout, Question.top(Question.MOST_LISTED, 1))
                + PassBuffers.bytesOfState(layout, Question.logits());
        return layout.bytes() + Math.max(layout.pieceBytes(), working);
    }

    private CudaPackedHead load(HeadLayout layout, InferenceProblem problem) {
        long needed = bytesNeeded(layout);
        long available = device.availableMemory();
        if (needed > available) {
            throw new DeviceException(String.format(
                    Locale.ROOT,
                    "The head of '%s' needs %,.1f MB of memory on the GPU %s, of which %,.1f MB are free; end other programs on"
                            + " the card, compress to a smaller size, or use --device cpu.",
                    problem.matrix().name(),
                    needed / 1e6,
                    device.name(),
                    available / 1e6));
        }
        return new CudaPackedHead(device, layout, problem.matrix(), problem.bias());
    }

    @Override
    public void top(float[] hidden, int states, int k, int[] tokens, float[] logits, double[] logSumExp) {
        device.run(() -> answerTop(hidden, states, k, tokens, logits, logSumExp));
    }

    private void answerTop(float[] hidden, int states, int k, int[] tokens, float[] logits, double[] logSumExp) {
        boolean ranked = k > Question.MOST_LISTED;
        Question question = ranked ? Question.logits() : Question.top(k, 1);
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(question, hidden, first, states);
            pass.ask(question);
            for (int s = 0; s < count; s++) {
                int at = (first + s) * k;
                if (logSumExp != null) {
                    logSumExp[first + s] = pass.logSumExp(s);
                }
                if (pass.broken(s)) {
                    Arrays.fill(tokens, at, at + k, Drawing.NONE);
                    Arrays.fill(logits, at, at + k, Float.NaN);
                } else if (ranked) {
                    pass.everyLogit(s, full.target());
                    full.best(k).copyTo(0, tokens, logits, at);
                } else if (k > 0) {
                    pass.list(s, tokens, logits, at);
                }
            }
        }
    }

    @Override
    public void score(float[] hidden, int states, int[] targets, float[] logits, double[] logSumExp) {
        device.run(() -> answerScore(hidden, states, targets, logits, logSumExp));
    }

    private void answerScore(float[] hidden, int states, int[] targets, float[] logits, double[] logSumExp) {
        Question question = Question.score(logSumExp != null);
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(question, hidden, first, states);
            for (int s = 0; s < count; s++) {
                pass.putTarget(s, targets[first + s]);
            }
            pass.ask(question);
            for (int s = 0; s < count; s++) {
                logits[first + s] = pass.score(s);
                if (logSumExp != null) {
                    logSumExp[first + s] = pass.logSumExp(s);
                }
            }
        }
    }

    @Override
    public void sample(float[] hidden, int states, Sampling sampling, long seed, int[] tokens) {
        device.run(() -> sampler.sample(hidden, states, sampling, seed, tokens));
    }

    @Override
    public void logits(float[] hidden, int states, MemorySegment target) {
        device.run(() -> answerLogits(hidden, states, target));
    }

    private void answerLogits(float[] hidden, int states, MemorySegment target) {
        Question question = Question.logits();
        long row = (long) Float.BYTES * vocabulary;
        int count;
        for (int first = 0; first < states; first += count) {
            count = pass.take(question, hidden, first, states);
            pass.ask(question);
            pass.everyLogit(0, target.asSlice(first * row, count * row));
            for (int s = 0; s < count; s++) {
                if (pass.broken(s)) {
                    fill(target.asSlice((first + s) * row, row), Float.NaN);
                }
            }
        }
    }

    private static void fill(MemorySegment target, float value) {
        for (long at = 0; at < target.byteSize(); at += Float.BYTES) {
            target.set(ValueLayout.JAVA_FLOAT_UNALIGNED, at, value);
        }
    }

    @Override
    public void rows(int[] tokens, int count, float[] target, int offset) {
        device.run(() -> rows.read(tokens, count, target, offset));
    }

    @Override
    public void close() {
        device.runUnlessClosed(() -> {
            if (!closed) {
                closed = true;
                try (head;
                        pass) {
                    rows.close();
                }
            }
        });
    }
}
