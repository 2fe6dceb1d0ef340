package io.groupreduce.benchmarks.head;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** What a peer needs after its matrix product, over logits that lie in memory: one pass each, at the speed of reading. */
final class LogitScan {
    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final int LANES = SPECIES.length();
    private static final int STEP = 4 * LANES;

    /** Numbers whose exponentials are summed in binary32 before the sum goes on in binary64. */
    private static final int BLOCK = 64 * STEP;

    private LogitScan() {}

    /**
     * Offers {@code count} logits from byte {@code at} on to a list; the first has position {@code first}. Four vectors at a
     * time are looked at only if their maximum gets into the list, which is rare after the first few.
     */
    static void top(MemorySegment logits, long at, int first, int count, TopList list) {
        float least = list.least();
        int i = 0;
        for (long from = at; i <= count - STEP; i += STEP, from += (long) STEP * Float.BYTES) {
            FloatVector a = FloatVector.fromMemorySegment(SPECIES, logits, from, ORDER);
            FloatVector b = FloatVector.fromMemorySegment(SPECIES, logits, from + (long) LANES * Float.BYTES, ORDER);
            FloatVector c = FloatVector.fromMemorySegment(SPECIES, logits, from + 2L * LANES * Float.BYTES, ORDER);
            FloatVector d = FloatVector.fromMemorySegment(SPECIES, logits, from + 3L * LANES * Float.BYTES, ORDER);
            if (a.max(b).max(c.max(d)).compare(VectorOperators.GT, least).anyTrue()) {
                least = offer(logits, from, first + i, STEP, list);
            }
        }
        offer(logits, at + (long) i * Float.BYTES, first + i, count - i, list);
    }

    private static float offer(MemorySegment logits, long at, int first, int count, TopList list) {
        for (int i = 0; i < count; i++) {
            list.offer(logits.get(ValueLayout.JAVA_FLOAT, at + (long) i * Float.BYTES), first + i);
        }
        return list.least();
    }

    /** The largest of {@code count} logits from byte {@code at} on. */
    static float max(MemorySegment logits, long at, int count) {
        FloatVector a = FloatVector.broadcast(SPECIES, Float.NEGATIVE_INFINITY);
        FloatVector b = a;
        FloatVector c = a;
        FloatVector d = a;
        int i = 0;
        for (long from = at; i <= count - STEP; i += STEP, from += (long) STEP * Float.BYTES) {
            a = a.max(FloatVector.fromMemorySegment(SPECIES, logits, from, ORDER));
            b = b.max(FloatVector.fromMemorySegment(SPECIES, logits, from + (long) LANES * Float.BYTES, ORDER));
            c = c.max(FloatVector.fromMemorySegment(SPECIES, logits, from + 2L * LANES * Float.BYTES, ORDER));
            d = d.max(FloatVector.fromMemorySegment(SPECIES, logits, from + 3L * LANES * Float.BYTES, ORDER));
        }
        float most = a.max(b).max(c.max(d)).reduceLanes(VectorOperators.MAX);
        for (; i < count; i++) {
            most = Math.max(most, logits.get(ValueLayout.JAVA_FLOAT, at + (long) i * Float.BYTES));
        }
        return most;
    }

    /** sum exp(logit - most) of {@code count} logits from byte {@code at} on. */
    static double sumOfExponentials(MemorySegment logits, long at, int count, float most) {
        double sum = 0;
        for (int i = 0; i < count; i += BLOCK) {
            sum += block(logits, at + (long) i * Float.BYTES, Math.min(BLOCK, count - i), most);
        }
        return sum;
    }

    private static double block(MemorySegment logits, long at, int count, float most) {
        FloatVector a = FloatVector.zero(SPECIES);
        FloatVector b = a;
        int i = 0;
        for (long from = at; i <= count - 2 * LANES; i += 2 * LANES, from += 2L * LANES * Float.BYTES) {
            FloatVector x = FloatVector.fromMemorySegment(SPECIES, logits, from, ORDER);
            FloatVector y = FloatVector.fromMemorySegment(SPECIES, logits, from + (long) LANES * Float.BYTES, ORDER);
            a = a.add(x.sub(most).lanewise(VectorOperators.EXP));
            b = b.add(y.sub(most).lanewise(VectorOperators.EXP));
        }
        double sum = a.add(b).reduceLanes(VectorOperators.ADD);
        for (; i < count; i++) {
            sum += Math.exp(logits.get(ValueLayout.JAVA_FLOAT, at + (long) i * Float.BYTES) - most);
        }
        return sum;
    }
}
