package io.groupreduce;

import static io.groupreduce.SoftmaxHeadTest.assertFails;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.api.HeadOptions;
import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.internal.reference.ReferenceBackend;
import io.groupreduce.matrix.CompressedMatrix;
import org.junit.jupiter.api.Test;

/** Answers of parts that are not the whole's: what was asked wrong, and what no part has. */
class MergeTest {
    private final CompressedMatrix matrix = HeadFixture.matrix(HeadFixture.NAME, 1);
    private final States hidden = States.of(HeadFixture.hidden(1));

    private Answers ask(HeadOptions options, Request request) {
        Answers answers = Answers.of(1);
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, options)) {
            head.answer(hidden, new Request[] {request}, answers);
        }
        return answers;
    }

    private Answers ask(int first, int end, Request request) {
        return ask(HeadOptions.defaults().withPart(first, end), request);
    }

    @Test
    void noTokenIsMergedTwice() {
        Request request = Request.greedy();
        Answers merged = ask(0, 40, request);
        Class<InvalidDataException> data = InvalidDataException.class;
        assertFails(data, () -> merged.merge(merged), "tokens 0 to 39 of 101", "once");
        assertFails(data, () -> merged.merge(ask(39, 60, request)), "tokens 39 to 59 of 101");
        assertFails(data, () -> merged.merge(ask(HeadOptions.defaults(), request)), "tokens 0 to 100 of 101");
        HeadOptions padded = HeadOptions.defaults().withVocabulary(100).withPart(40, 100);
        assertFails(data, () -> merged.merge(ask(padded, request)), "tokens 40 to 99 of 100");
        merged.merge(ask(70, HeadFixture.ROWS, request));
        assertFails(data, () -> merged.merge(ask(60, 71, request)), "tokens 70 to 100");
        merged.merge(ask(40, 70, request));
        assertEquals(ask(HeadOptions.defaults(), request).token(0), merged.token(0));
    }

    @Test
    void aPartAloneNeitherDrawsNorKnowsProbabilities() {
        HeadOptions part = HeadOptions.defaults().withPart(0, 40);
        try (SoftmaxHead head = SoftmaxHead.of(new ReferenceBackend(), matrix, null, part)) {
            Class<InvalidOptionException> option = InvalidOptionException.class;
            Request request = Request.sample(Sampling.temperature(1), 1);
            assertFails(option, () -> head.sample(hidden, request), "only a part", "merge");
            assertEquals(0, request.step());
            assertFails(option, () -> head.logProbabilities(hidden, new int[] {3}), "only a part", "merge");
        }
        assertFails(
                InvalidOptionException.class,
                () -> ask(40, HeadFixture.ROWS + 1, Request.greedy()),
                "tokens 40 to 101 of",
                "0 to 100");
    }

    @Test
    void whatARequestBecomesLaterDoesNotMatter() {
        for (Sampling sampling :
                new Sampling[] {Sampling.temperature(5), Sampling.temperature(5).withTopK(60)}) {
            for (int seed = 0; seed < 50; seed++) {
                Request request = Request.sample(sampling, seed);
                int whole = ask(HeadOptions.defaults(), request).token(0);
                Answers merged = ask(0, 50, request);
                Answers second = ask(50, HeadFixture.ROWS, request);
                request.accept(whole);
                merged.merge(second);
                assertEquals(whole, merged.token(0), sampling + ", seed " + seed);
            }
        }
    }

    @Test
    void aPartWithoutATokenToChooseHasNoProbabilityOfOne() {
        for (Probabilities of : new Probabilities[] {Probabilities.MODEL, Probabilities.DRAWN}) {
            Request request = Request.greedy().allow(TokenSet.of(3, 4)).probabilities(of);
            Answers none = ask(50, HeadFixture.ROWS, request);
            assertEquals(-1, none.token(0));
            assertTrue(Float.isNaN(none.logProbability(0)), of.toString());
            none.merge(ask(0, 50, request));
            Answers whole = ask(HeadOptions.defaults(), request);
            assertEquals(whole.token(0), none.token(0));
            assertEquals(whole.logProbability(0), none.logProbability(0), 1e-5f);
        }
    }
}
