package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.spi.ComputeBackend;
import io.groupreduce.spi.InferenceProblem;
import io.groupreduce.spi.InferenceSession;
import io.groupreduce.spi.Question;
import io.groupreduce.testkit.MatrixBuilder.Numbers;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** The contract catches draws that are wrong, however likely the token, and lets those pass that a last bit decides. */
class WrongDrawTest {
    /** A backend whose questions are changed before it answers them. */
    private static final class Wrong extends InferenceContract {
        private final Map<String, Function<Question, Object>> changes;

        Wrong(Map<String, Function<Question, Object>> changes) {
            this.changes = changes;
        }

        @Override
        protected ComputeBackend backend(int threads) {
            ComputeBackend real = new ReferenceBackend();
            return proxy(ComputeBackend.class, real, (method, arguments) -> {
                if (!method.getName().equals("load")) {
                    return method.invoke(real, arguments);
                }
                InferenceSession session = real.load((InferenceProblem) arguments[0]);
                return proxy(InferenceSession.class, session, (called, given) -> {
                    if (called.getName().equals("answer") && given[2] instanceof Question[] questions) {
                        given[2] = Arrays.stream(questions)
                                .map(question -> question == null ? null : changed(question))
                                .toArray(Question[]::new);
                    }
                    return called.invoke(session, given);
                });
            });
        }

        private Question changed(Question question) {
            return proxy(Question.class, question, (method, arguments) -> {
                Function<Question, Object> change = changes.get(method.getName());
                return change == null ? method.invoke(question, arguments) : change.apply(question);
            });
        }

        @Override
        protected long mostAllocated(int threads) {
            return Long.MAX_VALUE;
        }

        @Override
        protected boolean prunes() {
            return false;
        }

        @Override
        protected boolean slow() {
            return true;
        }
    }

    private interface Handler {
        Object handle(Method method, Object[] arguments) throws ReflectiveOperationException;
    }

    private static <T> T proxy(Class<T> type, T real, Handler handler) {
        return type.cast(
                Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
                    try {
                        return method.getDeclaringClass() == Object.class
                                ? method.invoke(real, arguments)
                                : handler.handle(method, arguments);
                    } catch (InvocationTargetException e) {
                        throw e.getCause();
                    }
                }));
    }

    private static void assertCaught(String method, Function<Question, Object> change) {
        Wrong wrong = new Wrong(Map.of(method, change));
        assertThrows(AssertionError.class, wrong::answersMatchTheReference);
        assertThrows(AssertionError.class, wrong::equalStatesDrawEqualTokens);
    }

    @Test
    void noiseOfAnotherKeyIsCaught() {
        assertCaught("key", question -> question.key() ^ 1);
    }

    @Test
    void noiseThatDependsOnThePlaceInTheBatchIsCaught() {
        assertCaught("key", question -> question.key() + question.state());
    }

    @Test
    void anotherTemperatureIsCaught() {
        assertCaught("drawTemperature", question -> question.drawTemperature() * 1.5);
    }

    /** The questions as they are pass, or the rest would show nothing. */
    @Test
    void whatIsRightPasses() {
        new Wrong(Map.of()).equalStatesDrawEqualTokens();
    }

    /** At the temperature where the two best tie either passes; where a logit's error cannot bridge the gap only the best does. */
    @Test
    void theRunnerUpPassesWhereItTies() {
        try (InferenceCase c = InferenceCase.random(35, Numbers.SMOOTH)) {
            float[] logits = c.oracle().logits(0);
            double[] off = c.oracle().tolerances(0);
            int found = 0;
            for (long turn = 0; turn < 50 && found < 3; turn++) {
                long key = turn;
                int[] two = best(logits, key, 1);
                double noise = noise(key, two[0]) - noise(key, two[1]);
                double t = ((double) logits[two[1]] - logits[two[0]]) / noise;
                // How far the temperature is from it in units of the gap that is allowed.
                double step = (off[two[0]] + off[two[1]]) / Math.abs(noise);
                if (t <= 0.1 || !Arrays.equals(sorted(best(logits, key, t)), sorted(two))) {
                    continue;
                }
                found++;
                for (double near : new double[] {-0.9, 0.9}) {
                    for (int token : two) {
                        assertDrawn(c, key, t + near * step, token);
                    }
                }
                for (double beyond : new double[] {-3, 3}) {
                    // The noise may be off too.
                    double other = t + beyond * (step + t * 4e-6 / Math.abs(noise));
                    int[] order = best(logits, key, other);
                    assertDrawn(c, key, other, order[0]);
                    assertThrows(AssertionError.class, () -> assertDrawn(c, key, other, order[1]));
                }
            }
            assertTrue(found == 3, "only " + found + " pairs that tie somewhere");
        }
    }

    private static void assertDrawn(InferenceCase c, long key, double temperature, int token) {
        PlainQuestion question = new PlainQuestion(0, null).draw(temperature, key);
        question.answerDraw(token, c.oracle().logits(0)[token]);
        c.oracle().assertAnswer(0, question, "planted");
    }

    /** The two tokens of largest logit / temperature + noise. */
    private static int[] best(float[] logits, long key, double temperature) {
        return IntStream.range(0, logits.length)
                .boxed()
                .sorted((a, b) -> Double.compare(
                        logits[b] / temperature + noise(key, b), logits[a] / temperature + noise(key, a)))
                .limit(2)
                .mapToInt(Integer::intValue)
                .toArray();
    }

    private static int[] sorted(int[] two) {
        return Arrays.stream(two).sorted().toArray();
    }

    private static double noise(long key, int token) {
        return GumbelNoise.of(GumbelNoise.hash(key, token));
    }
}
