package io.groupreduce.cuda.machinecode;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.PriorityQueue;

/**
 * The machine code of a kernel: instructions of 16 bytes. The low nine bits of an instruction tell its family, three more its form, the next
 * four the predicate under which it runs (7 always). Only what is counted is decoded; encodings were found by compiling kernels whose
 * instructions are known, for compute capability 8.0, 9.0 and 12.0.
 */
final class MachineCode {
    /** Families of instructions by their low nine bits. */
    enum Family {
        LOAD_GLOBAL(0x181),
        STORE_GLOBAL(0x186),
        LOAD_SHARED(0x184),
        STORE_SHARED(0x188),
        LOAD_LOCAL(0x183),
        STORE_LOCAL(0x187),
        COPY_ASYNC(0x1ae),
        HALF_PRODUCT(0x03c),
        INTEGER_PRODUCT(0x037),
        SPECIAL(0x108),
        SHUFFLE(0x189),
        BARRIER(0x11d),
        BRANCH(0x147),
        CALL(0x144),
        EXIT(0x14d),
        RETURN(0x150),
        NOTHING(0x118);

        private final int bits;

        Family(int bits) {
            this.bits = bits;
        }
    }

    private static final int FAMILY = 0x1ff;
    private static final int ALWAYS = 7;
    private static final int NEVER = 15;
    private static final int WORDS_OF_16_BYTES = 6;
    private static final int EX2 = 8;

    /** A call leads to what is seldom needed (a division, a subnormal number): no shortest way goes through one. */
    private static final int CALL_COST = 1000;

    static final int UNREACHABLE = Integer.MAX_VALUE;

    final String name;
    final int registers;
    /** Bytes of a thread in local memory: arrays and spilled registers. */
    final int frame;
    /** Bytes of a block, without dynamic ones. */
    final long sharedBytes;

    private final int capability;
    private final long[] words;

    MachineCode(String name, int capability, long[] words, int registers, int frame, long sharedBytes) {
        this.name = name;
        this.capability = capability;
        this.words = words;
        this.registers = registers;
        this.frame = frame;
        this.sharedBytes = sharedBytes;
    }

    /** Instructions, without those that fill up the end. */
    int instructions() {
        return length() - count(Family.NOTHING);
    }

    int length() {
        return words.length / 2;
    }

    private long low(int i) {
        return words[2 * i];
    }

    private long high(int i) {
        return words[2 * i + 1];
    }

    /** Of those that may run: what never does keeps the card from known faults. */
    boolean is(int i, Family family) {
        return (low(i) & FAMILY) == family.bits && (low(i) >>> 12 & 0xf) != NEVER;
    }

    int count(Family family) {
        return all(family).size();
    }

    /** The places of a family's instructions. */
    List<Integer> all(Family family) {
        List<Integer> places = new ArrayList<>();
        for (int i = 0; i < length(); i++) {
            if (is(i, family)) {
                places.add(i);
            }
        }
        return places;
    }

    /** Loads from device memory, or copies to shared memory, of 16 bytes a lane. */
    int wideLoads() {
        return (int) all(Family.LOAD_GLOBAL).stream()
                        .filter(i -> (high(i) >>> 9 & 7) == WORDS_OF_16_BYTES)
                        .count()
                + count(Family.COPY_ASYNC);
    }

    int localAccesses() {
        return count(Family.LOAD_LOCAL) + count(Family.STORE_LOCAL);
    }

    int products() {
        return count(Family.HALF_PRODUCT) + count(Family.INTEGER_PRODUCT);
    }

    /** Whether it is a power of two of a number. */
    boolean isExponential(int i) {
        return is(i, Family.SPECIAL) && (high(i) >>> 8 & 0xff) == EX2;
    }

    /** Blocks of so many threads that fit a multiprocessor by registers, which are given out by 256 a warp. */
    int blocks(int threads) {
        int ofWarp = Math.ceilDiv(registers * 32, 256) * 256;
        return 65536 / (ofWarp * (threads / 32));
    }

    private boolean isAlways(int i) {
        return (low(i) >>> 12 & 0xf) == ALWAYS;
    }

    /** Of a branch that everything takes: without a predicate of lanes or of the warp, and not only where lanes have diverged. */
    private boolean isJump(int i) {
        return isAlways(i) && (low(i) & 0xfff) == 0x947 && (high(i) >>> 23 & 0x1f) == ALWAYS;
    }

    /** Where a branch leads. */
    int target(int i) {
        long quarters = low(i) >>> 34 | (high(i) & 0x3ffff) << 30;
        long offset = quarters << 16 >> 16;
        offset = capability >= 90 ? (offset << 8 | low(i) >>> 16 & 0xff) * 4 : offset * 4;
        return (int) (i + 1 + offset / 16);
    }

    private int[] successors(int i) {
        if (is(i, Family.BRANCH)) {
            return isJump(i) ? new int[] {target(i)} : new int[] {target(i), i + 1};
        }
        boolean ends = is(i, Family.EXIT) || is(i, Family.RETURN);
        return ends && isAlways(i) ? new int[0] : new int[] {i + 1};
    }

    /** The fewest instructions from one, with it, to every other, without it. */
    int[] shortest(int from) {
        int[] fewest = new int[length()];
        Arrays.fill(fewest, UNREACHABLE);
        PriorityQueue<int[]> open = new PriorityQueue<>((a, b) -> Integer.compare(a[0], b[0]));
        fewest[from] = 0;
        open.add(new int[] {0, from});
        while (!open.isEmpty()) {
            int[] next = open.remove();
            int at = next[1];
            if (next[0] > fewest[at]) {
                continue;
            }
            int cost = next[0] + (is(at, Family.CALL) ? CALL_COST : 1);
            for (int to : successors(at)) {
                if (to >= 0 && to < length() && cost < fewest[to]) {
                    fewest[to] = cost;
                    open.add(new int[] {cost, to});
                }
            }
        }
        return fewest;
    }

    /** The fewest instructions from one back to it; {@link #UNREACHABLE} outside of loops. */
    int cycle(int i) {
        int fewest = UNREACHABLE;
        for (int next : successors(i)) {
            int rest = shortest(next)[i];
            fewest = rest == UNREACHABLE ? fewest : Math.min(fewest, rest + 1);
        }
        return fewest;
    }

    /** Loops without loops in them, each from its first instruction to the branch back. */
    List<int[]> innerLoops() {
        List<int[]> loops = new ArrayList<>();
        for (int i : all(Family.BRANCH)) {
            if (target(i) < i) {
                loops.add(new int[] {target(i), i});
            }
        }
        return loops.stream()
                .filter(a -> loops.stream().noneMatch(b -> b != a && b[0] >= a[0] && b[1] <= a[1]))
                .toList();
    }
}
