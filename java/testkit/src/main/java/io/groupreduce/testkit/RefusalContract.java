package io.groupreduce.testkit;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.Answers;
import io.groupreduce.Probabilities;
import io.groupreduce.Request;
import io.groupreduce.SoftmaxHead;
import io.groupreduce.States;
import io.groupreduce.TokenSet;
import io.groupreduce.api.HeadOptions;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.matrix.DType;
import io.groupreduce.spi.ComputeBackend;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.BitSet;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/**
 * What a {@link SoftmaxHead} refuses, each time in one sentence that names the row or what else is wrong, and goes on working. Not public: part of {@link
 * InferenceContract}.
 */
abstract class RefusalContract extends HeadContract {
    private static final int STATES = 3;

    /** A head on a small matrix, and what it answered before it was asked anything wrong. */
    private record Asked(SoftmaxHead head, float[] hidden, int[] expected) {
        int rows() {
            return head.vocabularySize();
        }

        /** Refused is a batch whose last request is changed. */
        void refuses(String sentence, Consumer<Request> change) {
            Request[] requests = requests(Request.greedy().copy());
            change.accept(requests[STATES - 1]);
            refuses(sentence, requests);
        }

        void refuses(String sentence, Request... requests) {
            refuses(
                    sentence,
                    InvalidDataException.class,
                    () -> head.answer(States.of(hidden), requests, Answers.of(STATES)));
        }

        void refuses(String sentence, Class<? extends GroupReduceException> type, Runnable query) {
            String message = assertThrows(type, query::run, sentence).getMessage();
            assertTrue(message.contains(sentence), message);
            assertTrue(message.endsWith(".") && !message.contains("\n") && !message.contains(". "), message);
            assertArrayEquals(expected, head.greedy(States.of(hidden)), "after: " + message);
        }

        static Request[] requests(Request last) {
            return IntStream.range(0, STATES)
                    .mapToObj(s ->
                            s == STATES - 1 ? last : Request.greedy().top(3).probabilities(Probabilities.MODEL))
                    .toArray(Request[]::new);
        }
    }

    private interface Refusal {
        void ask(Asked asked) throws Exception;
    }

    private void refused(Refusal refusal) throws Exception {
        try (InferenceCase c = InferenceCase.chunks(61);
                ComputeBackend tested = backend(1);
                SoftmaxHead head = SoftmaxHead.of(tested, c.matrix, c.bias, HeadOptions.defaults())) {
            float[] hidden = Arrays.copyOf(c.hidden, STATES * c.matrix.columns());
            refusal.ask(new Asked(head, hidden, head.greedy(States.of(hidden))));
        }
    }

    @Test
    void badRequestsAreRefusedByTheirRow() throws Exception {
        refused(asked -> {
            int n = asked.rows();
            String row = "request of row 2 ";
            asked.refuses(row + "allows no token", request -> request.allow(TokenSet.of()));
            asked.refuses(row + "allows no token", request -> request.allow(TokenSet.of(new BitSet())));
            asked.refuses(
                    row + "allows no token",
                    request -> request.allow(
                            TokenSet.allExcept(IntStream.range(0, n).toArray())));
            asked.refuses(row + "names token " + n, request -> request.allow(TokenSet.of(1, n)));
            asked.refuses(row + "names token " + n, request -> request.allow(TokenSet.allExcept(n)));
            asked.refuses(
                    row + "names token 640",
                    request -> request.allow(TokenSet.ofWords(1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)));
            asked.refuses(row + "names token " + n, request -> request.score(0, n));
            asked.refuses(row + "names token " + (n + 7), request -> request.bias(n + 7, 1));
            asked.refuses(row + "names token " + n, request -> request.prompt(n).repetitionPenalty(1.1));
            asked.refuses(row + "names token " + Integer.MAX_VALUE, request -> request.accept(Integer.MAX_VALUE));
            asked.refuses("Row 2 has no request", Asked.requests(null));
            asked.refuses("2 requests for 3 hidden states", Request.greedy(), Request.greedy());
            asked.refuses("0 requests for 3 hidden states");
            asked.refuses(
                    "room for the answers of 2 rows",
                    InvalidDataException.class,
                    () -> asked.head.answer(States.of(asked.hidden), Asked.requests(Request.look()), Answers.of(2)));
        });
    }

    @Test
    void whatWasNotAskedIsNotAnswered() throws Exception {
        refused(asked -> {
            Answers answers = Answers.of(STATES);
            asked.head.answer(States.of(asked.hidden), Asked.requests(Request.look()), answers);
            asked.refuses("row 2 no token", InvalidOptionException.class, () -> answers.token(2));
            asked.refuses("row 2 no log-probabilities", InvalidOptionException.class, () -> answers.logSumExp(2));
            assertThrows(IndexOutOfBoundsException.class, () -> answers.token(STATES));
            assertThrows(IndexOutOfBoundsException.class, () -> answers.topToken(0, 3));
            asked.refuses("row 2 no likeliest", InvalidOptionException.class, () -> answers.topToken(2, 0));
            asked.refuses("row 0 no scores", InvalidOptionException.class, () -> answers.scoreLogit(0, 0));
            asked.refuses("rows cannot be merged", InvalidDataException.class, () -> {
                Answers one = Answers.of(1);
                asked.head.answer(States.of(asked.hidden).first(1), new Request[] {Request.look()}, one);
                answers.merge(one);
            });
        });
    }

    @Test
    void statesThatAreNoneAreRefused() throws Exception {
        refused(asked -> {
            int columns = asked.head.hiddenSize();
            Class<InvalidDataException> data = InvalidDataException.class;
            try (Arena arena = Arena.ofShared()) {
                MemorySegment segment = arena.allocate(4L * STATES * columns + 8, 4);
                long whole = 4L * STATES * columns;
                for (long bytes : new long[] {0, 4, whole - 4, whole + 4}) {
                    States states = States.of(segment.asSlice(0, bytes), DType.F32);
                    asked.refuses("whole states of " + columns, data, () -> asked.head.greedy(states));
                }
                States odd = States.of(segment.asSlice(0, whole - 1), DType.F32);
                asked.refuses("no whole numbers of type F32", data, () -> asked.head.greedy(odd));
                // Of a narrower type the same memory holds more numbers.
                States halves = States.of(segment.asSlice(0, whole / 2), DType.F32);
                asked.refuses("whole states", data, () -> asked.head.greedy(halves));
                asked.refuses(
                        "stride",
                        data,
                        () -> asked.head.greedy(States.of(segment, DType.F32).every(columns - 1)));
                asked.refuses(
                        STATES + 1 + " states",
                        data,
                        () -> asked.head.greedy(States.of(asked.hidden).first(STATES + 1)));
                asked.refuses(
                        "states",
                        data,
                        () -> asked.head.greedy(States.of(asked.hidden).from(1)));
                asked.refuses(
                        "states",
                        data,
                        () -> asked.head.greedy(States.of(asked.hidden).from(1L << 40)));
                asked.refuses("type I8", InvalidOptionException.class, () -> States.of(segment, DType.I8));
            }
            States freed = States.of(freed(4L * columns), DType.F32);
            asked.refuses("arena that is closed", data, () -> asked.head.greedy(freed));
            float[] nan = asked.hidden.clone();
            nan[columns + 2] = Float.NaN;
            asked.refuses("Hidden state 1 holds NaN at index 2", data, () -> asked.head.greedy(States.of(nan)));
            try (Arena confined = Arena.ofConfined()) {
                States foreign = States.of(confined.allocate(4L * columns, 4), DType.F32);
                Thread other = new Thread(
                        () -> asked.refuses("confined to another thread", data, () -> asked.head.greedy(foreign)));
                Throwable[] thrown = new Throwable[1];
                other.setUncaughtExceptionHandler((thread, e) -> thrown[0] = e);
                other.start();
                other.join();
                assertFalse(thrown[0] != null, () -> String.valueOf(thrown[0]));
                asked.head.greedy(foreign);
            }
        });
    }

    private static MemorySegment freed(long bytes) {
        try (Arena arena = Arena.ofShared()) {
            return arena.allocate(bytes, 4);
        }
    }
}
