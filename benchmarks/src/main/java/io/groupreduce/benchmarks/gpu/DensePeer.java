package io.groupreduce.benchmarks.gpu;

import io.groupreduce.cuda.blas.Operand;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.matrix.Bf16;
import io.groupreduce.matrix.CompressedMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The dense softmax as it is done without this software: {@code H W^T} by cuBLAS in BF16 with binary32 logits in memory, one kernel over them
 * for log-sum-exps and the best of every chunk, and a selection of the best from the chunks whose best are largest.
 */
final class DensePeer implements AutoCloseable {
    /** {@code GR_DENSE_CHUNK} of {@code peer.h}. */
    private static final int CHUNK = 1024;

    private static final int THREADS = 256;
    private static final int FINISHING_THREADS = 128;
    private static final int SELECTING_THREADS = 512;

    /** Bytes of {@code GrPartial}. */
    private static final int PARTIAL_BYTES = 24;

    /** Bytes of the {@code GrQuestion} structure. */
    private static final int QUESTION_BYTES = 40;

    /** Bytes of the {@code GrAnswer} structure. */
    private static final int ANSWER_BYTES = 24;

    private final Device device;
    private final Card card;
    private final int rows;
    private final int columns;
    private final int top;
    private final int chunks;
    private final int chosen;
    private final DeviceMemory weight;
    private final DeviceMemory hidden;
    private final DeviceMemory logits;
    private final DeviceMemory questions;
    private final DeviceMemory partial;
    private final DeviceMemory best;
    private final DeviceMemory places;
    private final DeviceMemory keys;
    private final DeviceMemory results;
    private final Parameters parameters = new Parameters(128);

    /** @param dense one dense BF16 group in the order of tokens */
    DensePeer(Card card, CompressedMatrix dense, int mostStates, int top) {
        this.card = card;
        this.device = card.device();
        this.rows = dense.rows();
        this.columns = dense.columns();
        this.top = top;
        chunks = Math.ceilDiv(rows, CHUNK);
        chosen = Math.min(top, chunks);
        weight = allocate((long) rows * columns * Short.BYTES, "dense weights");
        hidden = allocate((long) mostStates * columns * Short.BYTES, "hidden states");
        logits = allocate((long) mostStates * rows * Float.BYTES, "logits");
        questions = allocate((long) mostStates * QUESTION_BYTES, "questions");
        partial = allocate((long) mostStates * chunks * PARTIAL_BYTES, "partial sums");
        best = allocate((long) mostStates * chunks * Long.BYTES, "best keys of chunks");
        places = allocate((long) mostStates * chosen * Integer.BYTES, "chosen chunks");
        keys = allocate((long) mostStates * chosen * CHUNK * Long.BYTES, "keys");
        results = allocate(resultBytes(mostStates), "results");
        device.run(() -> {
            device.upload(dense.left(0).data(), weight, 0);
            device.upload(MemorySegment.ofArray(questions(mostStates)), questions, 0);
        });
    }

    private DeviceMemory allocate(long bytes, String purpose) {
        return device.call(() -> device.allocate(bytes, purpose + " of the dense peer"));
    }

    /** Of the sum at temperature 1, one for each state. */
    private static int[] questions(int states) {
        int[] words = new int[states * QUESTION_BYTES / Integer.BYTES];
        for (int s = 0; s < states; s++) {
            words[s * QUESTION_BYTES / Integer.BYTES + 6] = Float.floatToRawIntBits(1);
        }
        return words;
    }

    // Results: answers, tokens, logits.

    private static long tokensAt(int count) {
        return (long) count * ANSWER_BYTES;
    }

    private long logitsAt(int count) {
        return tokensAt(count) + (long) count * top * Integer.BYTES;
    }

    private long resultBytes(int count) {
        return logitsAt(count) + (long) count * top * Float.BYTES;
    }

    /** States as the peer takes them: in bfloat16. */
    static short[] stored(float[] states) {
        short[] stored = new short[states.length];
        for (int i = 0; i < stored.length; i++) {
            stored[i] = Bf16.round(states[i]);
        }
        return stored;
    }

    /** States as the peer sees them: rounded to bfloat16. */
    static float[] rounded(float[] states) {
        float[] rounded = new float[states.length];
        for (int i = 0; i < rounded.length; i++) {
            rounded[i] = Bf16.widen(Bf16.round(states[i]));
        }
        return rounded;
    }

    /**
     * One query, from states in Java to tokens, logits and log-sum-exps in Java. On the device's thread.
     *
     * @param states of {@link #stored}
     * @return the top tokens of every state
     */
    int[] top(short[] states, int count) {
        device.upload(MemorySegment.ofArray(states), hidden, 0);
        // Column-major: logits^T (rows x count) = W (rows x columns, stored transposed) times H^T.
        card.blas()
                .gemmBf16(
                        rows,
                        count,
                        columns,
                        1,
                        Operand.transposed(weight.address(), columns),
                        Operand.of(hidden.address(), columns),
                        0,
                        Operand.of(logits.address(), rows));
        parameters
                .reset()
                .address(logits.address())
                .address(partial.address())
                .address(best.address())
                .i32(rows);
        launch("gr_dense_scan", chunks, count, THREADS);
        parameters
                .reset()
                .address(questions.address())
                .address(partial.address())
                .address(0)
                .address(results.address())
                .i32(chunks)
                .i32(0);
        launch("gr_finish", count, 1, FINISHING_THREADS);
        select("gr_select_places", best, chunks, chosen, count);
        parameters
                .reset()
                .address(logits.address())
                .address(places.address())
                .address(keys.address())
                .i32(rows)
                .i32(chosen);
        launch("gr_dense_keys", chosen, count, THREADS);
        select("gr_select_sorted", keys, chosen * CHUNK, top, count);
        byte[] answer = new byte[Math.toIntExact(resultBytes(count))];
        MemorySegment found = MemorySegment.ofArray(answer);
        device.download(results, 0, found);
        int[] tokens = new int[count * top];
        MemorySegment.copy(found, ValueLayout.JAVA_INT_UNALIGNED, tokensAt(count), tokens, 0, tokens.length);
        return tokens;
    }

    private void select(String kernel, DeviceMemory from, int n, int k, int count) {
        long result = results.address();
        parameters
                .reset()
                .address(0)
                .address(from.address())
                .address(places.address())
                .address(result + tokensAt(count))
                .address(result + logitsAt(count))
                .i32(n)
                .i32(k);
        launch(kernel, count, 1, SELECTING_THREADS);
    }

    private void launch(String kernel, int gridX, int gridY, int threads) {
        device.kernel(kernel).launch(device.stream(), gridX, gridY, threads, 0, parameters);
    }

    @Override
    public void close() {
        for (DeviceMemory memory :
                new DeviceMemory[] {weight, hidden, logits, questions, partial, best, places, keys, results}) {
            device.run(memory::close);
        }
    }
}
