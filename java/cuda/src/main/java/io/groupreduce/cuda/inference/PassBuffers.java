package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.MirroredMemory;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.driver.WorkMemory;
import io.groupreduce.cuda.inference.CudaHeadPass.Question;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.Map;
import java.util.Set;

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

    /** What there is of every state. */
    enum Part {
        /** Goes to the device: D numbers. */
        HIDDEN,
        /** Goes to the device: the key of the noise. */
        NOISE,
        /** Goes to the device: what is taken off logits before they are scaled to be drawn. */
        SHIFT,
        /** Goes to the device: the least logit that may be drawn. */
        FLOOR,
        /** Goes to the device: the token whose logit is wanted. */
        TARGET,
        /** Comes back. */
        LOG_SUM_EXP,
        /** Comes back: the key of the likeliest token. */
        BEST,
        /** Comes back: the token that was drawn. */
        DRAWN,
        /** Comes back: whether numbers were beyond binary32. */
        BROKEN,
        /** Comes back: the logit of the target. */
        SCORE,
        /** Comes back: a list of tokens. */
        TOKENS,
        /** Comes back: the logits of the list. */
        LOGITS,
        /** Stays: z. */
        COORDINATES,
        /** Stays: partial softmaxes. */
        PARTIALS,
        /** Stays: maxima of tiles. */
        TILE_KEYS,
        /** Stays: likeliest tiles. */
        PLACES,
        /** Stays: logits of likeliest tiles. */
        KEYS,
        /** Stays: all logits. */
        EVERY_LOGIT
    }

    private static final Set<Part> INPUT = EnumSet.range(Part.HIDDEN, Part.TARGET);
    private static final Set<Part> RESULT = EnumSet.range(Part.LOG_SUM_EXP, Part.LOGITS);

    private final HeadLayout layout;
    private final MirroredMemory input;
    private final MirroredMemory result;
    private final Map<Part, WorkMemory> work = new EnumMap<>(Part.class);
    /** Where a part lies in what goes to the device or comes back. */
    private final long[] at = new long[Part.values().length];

    private long inputBytes;
    private long resultBytes;

    PassBuffers(Device device, HeadLayout layout) {
        this.layout = layout;
        input = new MirroredMemory(device, "hidden states");
        result = new MirroredMemory(device, "answers");
        work.put(Part.COORDINATES, new WorkMemory(device, "coordinates of hidden states"));
        work.put(Part.PARTIALS, new WorkMemory(device, "partial softmaxes"));
        work.put(Part.TILE_KEYS, new WorkMemory(device, "maxima of tiles"));
        work.put(Part.PLACES, new WorkMemory(device, "likeliest tiles"));
        work.put(Part.KEYS, new WorkMemory(device, "logits of likeliest tiles"));
        work.put(Part.EVERY_LOGIT, new WorkMemory(device, "all logits"));
    }

    /** Bytes of a part for one state of such a question. */
    private static long bytes(Part part, HeadLayout layout, Question question) {
        // A list of one is the likeliest token, which comes back anyway.
        long listed = question.listed() > 1 ? question.listed() : 0;
        long tiles = layout.plan().tiles().size();
        return switch (part) {
            case HIDDEN -> (long) Float.BYTES * layout.columns();
            case NOISE, BEST -> Long.BYTES;
            case LOG_SUM_EXP -> Double.BYTES;
            case SHIFT, FLOOR, SCORE -> Float.BYTES;
            case TARGET, DRAWN, BROKEN -> Integer.BYTES;
            case TOKENS -> Integer.BYTES * listed;
            case LOGITS -> Float.BYTES * listed;
            case COORDINATES -> Math.max(1, (long) Float.BYTES * layout.directions());
            case PARTIALS ->
                question.scanned() ? (long) PARTIAL_BYTES * layout.plan().blocks() : 0;
            case TILE_KEYS -> listed > 0 ? Long.BYTES * tiles : 0;
            case PLACES -> Integer.BYTES * Math.min(listed, tiles);
            case KEYS -> Long.BYTES * TilePlan.TILE_ROWS * Math.min(listed, tiles);
            case EVERY_LOGIT -> keepsLogits(layout, question) ? (long) Float.BYTES * layout.rows() : 0;
        };
    }

    /** Bytes that one state of such a question takes on the device. */
    static long bytesOfState(HeadLayout layout, Question question) {
        long total = 0;
        for (Part part : Part.values()) {
            total += bytes(part, layout, question);
        }
        return total;
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
     * Room for a question about so many states.
     *
     * @return whether addresses have changed
     */
    boolean reserve(Question question, int states) {
        inputBytes = place(INPUT, question, states);
        resultBytes = place(RESULT, question, states);
        boolean anew = input.reserve(inputBytes) | result.reserve(resultBytes);
        for (Map.Entry<Part, WorkMemory> each : work.entrySet()) {
            anew |= each.getValue().reserve(states * bytes(each.getKey(), layout, question));
        }
        return anew;
    }

    private long place(Set<Part> parts, Question question, int states) {
        long end = 0;
        for (Part part : parts) {
            at[part.ordinal()] = end;
            end = Math.ceilDiv(end + states * bytes(part, layout, question), Long.BYTES) * Long.BYTES;
        }
        return end;
    }

    /** Where a part is on the device. */
    long address(Part part) {
        return work.containsKey(part)
                ? work.get(part).address()
                : (INPUT.contains(part) ? input : result).address() + at(part);
    }

    /** Where a part begins in {@link #input} or {@link #result}. */
    long at(Part part) {
        return at[part.ordinal()];
    }

    /** What goes to the device. */
    MemorySegment input() {
        return input.host();
    }

    /** What came back. */
    MemorySegment result() {
        return result.host();
    }

    /** What stays on the device of a part. */
    DeviceMemory memory(Part part) {
        return work.get(part).memory();
    }

    /** Queues the copy to the device, from this part on. */
    void upload(Stream stream, Part first) {
        input.upload(stream, at(first), inputBytes);
    }

    /** Queues the copy back. */
    void download(Stream stream) {
        result.download(stream, resultBytes);
    }

    /** Frees everything; it may be reserved again. */
    @Override
    public void close() {
        try (input;
                result) {
            work.values().forEach(WorkMemory::close);
        }
    }
}
