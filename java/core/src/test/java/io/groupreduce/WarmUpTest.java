package io.groupreduce;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.HeadFixture.StubBackend;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.ClosedHeadException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.spi.Chosen;
import io.groupreduce.spi.Question;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class WarmUpTest {
    private final SoftmaxHead head = SoftmaxHead.of(
            new ReferenceBackend(), HeadFixture.matrix("head", 3), HeadFixture.bias(), HeadOptions.defaults());

    @Test
    void answersAreTheSameAfterwards() {
        float[] hidden = new float[2 * HeadFixture.COLUMNS];
        hidden[1] = 1;
        int[] before = head.greedy(States.of(hidden));
        head.warmUp();
        head.warmUp(1, 3, 2 * HeadFixture.ROWS);
        assertArrayEquals(before, head.greedy(States.of(hidden)));
    }

    @Test
    void badSizesAreRefusedAndTheHeadGoesOn() {
        for (int bad : new int[] {0, -1, Integer.MIN_VALUE, Integer.MAX_VALUE}) {
            InvalidOptionException e = assertThrows(InvalidOptionException.class, () -> head.warmUp(1, bad));
            assertTrue(e.getMessage().startsWith("A batch to warm up for has " + bad + " hidden states; give 1 to "));
        }
        head.warmUp(1);
    }

    @Test
    void headsHardlyLearnFromItWhatPays() {
        for (double tolerance : new double[] {0, 1e-3}) {
            AtomicInteger bounded = new AtomicInteger();
            AtomicInteger all = new AtomicInteger();
            StubBackend counting = new StubBackend() {
                @Override
                public void answer(float[] hidden, int states, Question[] questions, int count, Chosen chosen) {
                    super.answer(hidden, states, questions, count, chosen);
                    all.getAndIncrement();
                    bounded.addAndGet(
                            Arrays.stream(questions, 0, count)
                                            .allMatch(q -> q.sumTemperature() == 0 || q.tolerance() > 0)
                                    ? 1
                                    : 0);
                }
            };
            HeadOptions options = HeadOptions.defaults().withLogSumExpTolerance(tolerance);
            SoftmaxHead.of(counting, HeadFixture.matrix("head", 3), null, options)
                    .warmUp(1);
            assertEquals(4, bounded.get(), "of " + all);
            assertTrue(all.get() >= 16);
        }
    }

    @Test
    void aClosedHeadSaysSo() {
        head.close();
        assertThrows(ClosedHeadException.class, () -> head.warmUp(1));
    }
}
