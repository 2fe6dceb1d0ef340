package io.groupreduce.cuda.inference;

import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceProperties;
import io.groupreduce.cuda.inference.PassBuffers.Shape;
import io.groupreduce.error.DeviceException;
import io.groupreduce.matrix.CompressedMatrix;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.DeviceStates;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import java.lang.foreign.MemorySegment;
import java.util.Locale;

/**
 * A compressed matrix that answers batches on the card. Loading packs all of it into device memory, also for a session that is only asked
 * for rows. Nothing is ever left out, so pruning and its tolerance have no meaning here.
 *
 * <p>Queries of several threads wait for each other: a card runs one at a time, on the thread of its device.
 */
public final class CudaInference implements InferenceSession {
    /** Blocks of threads that share the tiles, for each multiprocessor: as many of the smaller kernels run at a time. */
    private static final int BLOCKS_OF_MULTIPROCESSOR = 2;

    private final Device device;
    private final CudaPackedHead head;
    private final CudaHeadPass pass;
    private final DevicePass onDevice;
    private final CudaRowReader rows;
    private boolean closed;

    /**
     * Loads a matrix.
     *
     * @throws DeviceException if there is not enough memory on the card, or it fails
     */
    public CudaInference(Device device, InferenceProblem problem) {
        this.device = device;
        CompressedMatrix matrix = problem.matrix();
        HeadLayout layout = layout(device.properties(), matrix, problem.bias() != null);
        head = device.call(() -> load(layout, problem));
        CudaHeadPass opened = null;
        try {
            rows = device.call(() -> new CudaRowReader(device, head));
            long budget = device.call(() -> Math.min(PassBuffers.MOST_BYTES, device.availableMemory() / 4));
            opened = device.call(() -> new CudaHeadPass(device, head, problem.cap(), budget));
            pass = opened;
            onDevice = device.call(() -> new DevicePass(device, pass));
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
        long working = PassBuffers.bytes(layout, Shape.one(1, Question.LONGEST_LIST, true))
                + PassBuffers.bytes(layout, new Shape(0, 0, 0, Round.TARGETS_UNIT, 0, false, false));
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
    public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
        device.run(() -> pass.answer(new Batch(hidden, states, questions, count, chosen)));
    }

    @Override
    public void fetch(DeviceStates hidden, float[] target) {
        device.run(() -> onDevice.fetch(hidden, target));
    }

    @Override
    public void answer(DeviceStates hidden, float scale, double[] temperatures, long[] keys, DeviceAnswers answers) {
        device.run(() -> onDevice.answer(hidden, scale, temperatures, keys, answers));
    }

    @Override
    public void logits(float[] hidden, int states, MemorySegment target) {
        device.run(() -> pass.logits(hidden, states, target));
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
                        pass;
                        onDevice) {
                    rows.close();
                }
            }
        });
    }
}
