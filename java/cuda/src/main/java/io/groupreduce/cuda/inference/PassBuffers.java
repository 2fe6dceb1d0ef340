package io.groupreduce.cuda.inference;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.MirroredMemory;
import io.groupreduce.cuda.driver.Stream;
import io.groupreduce.cuda.driver.WorkMemory;
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
    /** Bytes of the {@code GrQuestion} structure. */
    static final int QUESTION_BYTES = 40;

    /** Bytes of the {@code GrPartial} structure. */
    static final int PARTIAL_BYTES = 24;

    /** Bytes of the {@code GrAnswer} structure. */
    static final int ANSWER_BYTES = 24;

    /** Bytes of the {@code GrTarget} structure. */
    static final int TARGET_BYTES = 8;

    /** Work memory of a pass, unless a single state takes more. */
    static final long MOST_BYTES = 256 << 20;

    /** Logits are kept for a list from one tile in so many. By estimate, to be measured. */
    private static final int KEEPING_SHARE = 8;

    /** Input, then what comes back, then what stays on the device. */
    enum Part {
        HIDDEN,
        QUESTIONS,
        /** Tokens that are open, as bit sets. */
        MASKS,
        TARGETS,
        ANSWERS,
        /** The logits of targets. */
        SCORES,
        /** Of lists. */
        TOKENS,
        /** Of lists. */
        LOGITS,
        COORDINATES,
        PARTIALS,
        /** Maxima. */
        TILE_KEYS,
        /** Likeliest tiles. */
        PLACES,
        /** Logits of likeliest tiles. */
        KEYS,
        EVERY_LOGIT
    }

    /**
     * What there is in a pass; two passes of the same shape are the same sequence of launches.
     *
     * @param masks sets of open tokens
     * @param targets tokens whose logits are wanted
     * @param listed the longest list; one token takes none
     * @param drawn whether some question wants a draw
     * @param everyLogit whether all logits are to be written to device memory
     */
    record Shape(int states, int questions, int masks, int targets, int listed, boolean drawn, boolean everyLogit) {
        /** Of a question about a state of its own. */
        static Shape one(int masks, int listed, boolean everyLogit) {
            return new Shape(1, 1, masks, 0, listed > 1 ? listed : 0, false, everyLogit);
        }
    }

    private static final Set<Part> INPUT = EnumSet.range(Part.HIDDEN, Part.TARGETS);
    private static final Set<Part> RESULT = EnumSet.range(Part.ANSWERS, Part.LOGITS);

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

    private static long bytes(Part part, HeadLayout layout, Shape shape) {
        long questions = shape.questions;
        long tiles = layout.plan.tiles.size();
        long chosen = questions * chosenTiles(layout, shape.listed);
        return switch (part) {
            case HIDDEN -> (long) Float.BYTES * layout.columns * shape.states;
            case QUESTIONS -> questions * QUESTION_BYTES;
            case MASKS -> (long) Long.BYTES * layout.maskWords() * shape.masks;
            case TARGETS -> (long) TARGET_BYTES * shape.targets;
            case ANSWERS -> questions * ANSWER_BYTES;
            case SCORES -> (long) Float.BYTES * shape.targets;
            case TOKENS -> questions * Integer.BYTES * shape.listed;
            case LOGITS -> questions * Float.BYTES * shape.listed;
            case COORDINATES -> Math.max(1, (long) Float.BYTES * layout.directions() * shape.states);
            case PARTIALS -> questions * PARTIAL_BYTES * layout.plan.blocks();
            case TILE_KEYS -> shape.listed > 0 ? questions * Long.BYTES * tiles : 0;
            case PLACES -> chosen * Integer.BYTES;
            case KEYS -> chosen * Long.BYTES * TilePlan.TILE_ROWS;
            case EVERY_LOGIT -> keepsLogits(layout, shape) ? questions * Float.BYTES * layout.rows : 0;
        };
    }

    /** Bytes that a pass takes on the device. */
    static long bytes(HeadLayout layout, Shape shape) {
        long total = 0;
        for (Part part : Part.values()) {
            total += bytes(part, layout, shape);
        }
        return total;
    }

    /** Tiles that hold the k likeliest tokens: those of the k largest maxima. */
    static int chosenTiles(HeadLayout layout, int k) {
        return Math.min(k, layout.plan.tiles.size());
    }

    /**
     * Whether the pass writes all logits to device memory: where they are asked for, or where a list is taken from so many tiles that reading
     * them again is less than computing those of the chosen tiles again, which is done for each question alone.
     */
    static boolean keepsLogits(HeadLayout layout, Shape shape) {
        return shape.everyLogit || shape.listed > 0 && (long) KEEPING_SHARE * shape.listed >= layout.plan.tiles.size();
    }

    /**
     * Room for a pass.
     *
     * @return whether addresses have changed
     */
    boolean reserve(Shape shape) {
        inputBytes = place(INPUT, shape);
        resultBytes = place(RESULT, shape);
        boolean anew = input.reserve(inputBytes) | result.reserve(resultBytes);
        for (Map.Entry<Part, WorkMemory> each : work.entrySet()) {
            anew |= each.getValue().reserve(bytes(each.getKey(), layout, shape));
        }
        return anew;
    }

    private long place(Set<Part> parts, Shape shape) {
        long end = 0;
        for (Part part : parts) {
            at[part.ordinal()] = end;
            end = Math.ceilDiv(end + bytes(part, layout, shape), Long.BYTES) * Long.BYTES;
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

    /** Queues the copy to the device. */
    void upload(Stream stream) {
        input.upload(stream, 0, inputBytes);
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
