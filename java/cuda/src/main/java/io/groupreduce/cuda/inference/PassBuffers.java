package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.MirroredMemory;
import io.groupreduce.cuda.driver.WorkMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/**
 * The memory of a pass over some hidden states: what goes to the device in one copy, what comes back in one copy, and what stays there.
 * All of it is reused by the next pass.
 */
final class PassBuffers implements AutoCloseable {
    /** Bytes of the {@code GrPartial} structure. */
    static final int PARTIAL_BYTES = 32;

    /** Work memory of a pass, unless a single state takes more. */
    static final long MOST_BYTES = 256 << 20;

    /** Logits are kept for a list from one tile in so many. By estimate, to be measured. */
    private static final int KEEPING_SHARE = 8;

    private static final int INPUT_BYTES = Long.BYTES + 2 * Float.BYTES + Integer.BYTES;
    private static final int RESULT_BYTES = Double.BYTES + Long.BYTES + 2 * Integer.BYTES + Float.BYTES;

    private final HeadLayout layout;
    private final MirroredMemory input;
    private final MirroredMemory result;
    private final WorkMemory coordinates;
    private final WorkMemory partials;
    private final WorkMemory tileKeys;
    private final WorkMemory places;
    private final WorkMemory keys;
    private final WorkMemory logits;
    private int states;
    private int listed;

    PassBuffers(Device device, HeadLayout layout) {
        this.layout = layout;
        input = new MirroredMemory(device, "hidden states");
        result = new MirroredMemory(device, "answers");
        coordinates = new WorkMemory(device, "coordinates of hidden states");
        partials = new WorkMemory(device, "partial softmaxes");
        tileKeys = new WorkMemory(device, "maxima of tiles");
        places = new WorkMemory(device, "likeliest tiles");
        keys = new WorkMemory(device, "logits of likeliest tiles");
        logits = new WorkMemory(device, "all logits");
    }

    /** Bytes that one state of such a question takes on the device. */
    static long bytesOfState(HeadLayout layout, Question question) {
        long bytes = (long) Float.BYTES * layout.columns() + INPUT_BYTES + RESULT_BYTES;
        bytes += (long) Float.BYTES * layout.directions();
        bytes += question.scanned() ? (long) PARTIAL_BYTES * layout.plan().blocks() : 0;
        bytes += keepsLogits(layout, question) ? (long) Float.BYTES * layout.rows() : 0;
        if (question.listed() > 1) {
            bytes += (long) Long.BYTES * layout.plan().tiles().size();
            bytes += chosenTiles(layout, question.listed()) * (Integer.BYTES + (long) Long.BYTES * TilePlan.TILE_ROWS);
            bytes += question.listed() * (long) (Integer.BYTES + Float.BYTES);
        }
        return bytes;
    }

    /** Tiles that hold the k likeliest tokens: those of the k largest maxima. */
    static int chosenTiles(HeadLayout layout, int k) {
        return Math.min(k, layout.plan().tiles().size());
    }

    /**
     * Whether the pass writes all logits to device memory: where they are asked for, or where a list is taken from so many tiles that reading
     * them again is less than computing those of the chosen tiles again, which is done for each state alone.
     */
    static boolean keepsLogits(HeadLayout layout, Question question) {
        return question.everyLogit()
                || question.listed() > 1
                        && (long) KEEPING_SHARE * question.listed()
                                >= layout.plan().tiles().size();
    }

    /**
     * Room for what goes to the device with so many states.
     *
     * @return whether addresses have changed
     */
    boolean reserveInput(int count) {
        states = count;
        boolean anew = input.reserve(inputEnd());
        return coordinates.reserve(Math.max(1, (long) Float.BYTES * count * layout.directions())) | anew;
    }

    /**
     * Room for the answer to a question about the states there is input for.
     *
     * @return whether addresses have changed
     */
    boolean reserve(Question question) {
        listed = question.listed();
        boolean anew = result.reserve(resultBytes());
        if (question.scanned()) {
            anew |= partials.reserve(
                    (long) PARTIAL_BYTES * states * layout.plan().blocks());
        }
        if (listed > 1) {
            long tiles = (long) states * chosenTiles(layout, listed);
            anew |= tileKeys.reserve(
                    (long) Long.BYTES * states * layout.plan().tiles().size());
            anew |= places.reserve(Integer.BYTES * tiles);
            anew |= keys.reserve(Long.BYTES * TilePlan.TILE_ROWS * tiles);
        }
        if (keepsLogits(layout, question)) {
            anew |= logits.reserve((long) Float.BYTES * states * layout.rows());
        }
        return anew;
    }

    // What goes to the device: hidden states, keys of the noise, shifts, floors, targets.

    MirroredMemory input() {
        return input;
    }

    long noiseAt() {
        return Math.ceilDiv((long) Float.BYTES * states * layout.columns(), Long.BYTES) * Long.BYTES;
    }

    long shiftAt() {
        return noiseAt() + (long) Long.BYTES * states;
    }

    long floorAt() {
        return shiftAt() + (long) Float.BYTES * states;
    }

    long targetAt() {
        return floorAt() + (long) Float.BYTES * states;
    }

    long inputEnd() {
        return targetAt() + (long) Integer.BYTES * states;
    }

    // What comes back: log-sum-exps, best keys, drawn tokens, whether broken, target logits, listed tokens, listed
    // logits.

    MirroredMemory result() {
        return result;
    }

    long bestAt() {
        return (long) Double.BYTES * states;
    }

    long drawnAt() {
        return bestAt() + (long) Long.BYTES * states;
    }

    long brokenAt() {
        return drawnAt() + (long) Integer.BYTES * states;
    }

    long scoreAt() {
        return brokenAt() + (long) Integer.BYTES * states;
    }

    long tokensAt() {
        return scoreAt() + (long) Float.BYTES * states;
    }

    long logitsAt() {
        return tokensAt() + (listed > 1 ? (long) Integer.BYTES * states * listed : 0);
    }

    long resultBytes() {
        return logitsAt() + (listed > 1 ? (long) Float.BYTES * states * listed : 0);
    }

    // What stays on the device.

    long coordinates() {
        return coordinates.address();
    }

    long partials() {
        return partials.address();
    }

    long tileKeys() {
        return tileKeys.address();
    }

    long places() {
        return places.address();
    }

    long keys() {
        return keys.address();
    }

    WorkMemory logits() {
        return logits;
    }

    /** Writes a row of D numbers as the hidden state of this place. */
    void putHidden(int place, float[] hidden, int from) {
        int columns = layout.columns();
        long at = (long) Float.BYTES * place * columns;
        MemorySegment.copy(hidden, from, input.host(), ValueLayout.JAVA_FLOAT, at, columns);
    }

    /** Frees everything; it may be reserved again. */
    @Override
    public void close() {
        input.close();
        result.close();
        for (WorkMemory each : List.of(coordinates, partials, tileKeys, places, keys, logits)) {
            each.close();
        }
    }
}
