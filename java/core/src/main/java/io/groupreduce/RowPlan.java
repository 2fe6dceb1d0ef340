package io.groupreduce;

import io.groupreduce.api.Sampling;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.internal.select.Drawing;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.spi.Question;
import java.util.Arrays;

/**
 * What a session is to find for one request: two questions at most, one about the model's own distribution, one about that which is chosen from;
 * where nothing tells them apart, one is enough. Tokens whose logits the request alters are not open to the second: they are fetched one by one, and {@link Row}
 * puts both together. If few tokens are allowed, all of them are fetched and it is not asked.
 */
final class RowPlan {
    /** Where only one in so many tokens is allowed, fetching them costs less than a pass over all. */
    private static final int FEW = 32;

    private static final TokenSet EVERY = TokenSet.allExcept();

    private final Asked model = new Asked();
    private final Asked other = new Asked();
    private Asked choosing;
    private Request request;
    private TokenRange range;
    private int state;
    private long[] open = {};
    private int openCount;
    private int topCount;
    private int length;
    private int rankedLength;
    private boolean listing;
    private int[] fetched = {};
    private int fetchedCount;
    private int candidatesFetched;

    /** Which questions and tokens the request takes. */
    void plan(Request asked, int ofState, TokenRange tokens, String matrix, double tolerance) {
        request = asked;
        state = ofState;
        range = tokens;
        if (asked.largestNamed() >= tokens.vocabulary()) {
            throw new InvalidDataException("The request of row " + state + " names token " + asked.largestNamed()
                    + ", but '" + matrix + "' has only tokens 0 to " + (tokens.vocabulary() - 1) + ".");
        }
        model.clear(state);
        other.clear(state);
        fetchedCount = 0;
        candidatesFetched = 0;
        choosing = null;
        boolean asDrawn = asked.probabilities() == Probabilities.DRAWN;
        if (asked.probabilities() == Probabilities.MODEL) {
            model.sum(1, tolerance);
        }
        topCount = asDrawn ? 0 : Math.min(asked.top(), range.count());
        model.list(topCount);
        planChoice(asDrawn, tolerance);
        for (int scored : asked.scored()) {
            if (range.holds(scored)) {
                fetch(scored - range.first());
            }
        }
    }

    private void planChoice(boolean asDrawn, double tolerance) {
        Sampling sampling = request.sampling();
        boolean filtered = filtered();
        length = asDrawn ? request.top() : 0;
        if (filtered && sampling.topK() > 0) {
            length = Math.max(length, sampling.topK());
        } else if (filtered) {
            // A part cannot ask again for more.
            length = Math.max(length, range.partial() ? Question.LONGEST_LIST : Drawing.FIRST_LIST);
        } else if (request.chooses() && !request.draws()) {
            length = Math.max(length, 1);
        }
        double sumAt = sums() ? request.temperature() : 0;
        double drawAt = drawsFromAll() ? request.temperature() : 0;
        if (length == 0 && sumAt == 0 && drawAt == 0) {
            return;
        }
        listing = length > 0;
        boolean altered = alter();
        rankedLength = Math.min(length, openCount + candidatesFetched);
        length = Math.min(length, openCount);
        boolean twoSums = sumAt > 0 && sumAt != 1 && request.probabilities() == Probabilities.MODEL;
        choosing = altered || twoSums ? other : model;
        if (openCount == 0) {
            return;
        }
        if (altered) {
            other.openTo(open);
        }
        choosing.list(length);
        if (sumAt > 0) {
            choosing.sum(sumAt, filtered ? 0 : tolerance);
        }
        if (drawAt > 0) {
            choosing.draw(drawAt, GumbelNoise.shifted(request.noiseKey(), range.first()));
        }
    }

    /** Whether top-k, top-p or min-p take tokens away. */
    private boolean filtered() {
        return request.draws() && !request.sampling().keepsAll();
    }

    /** Whether the draw is from all that is allowed. */
    boolean drawsFromAll() {
        return request.draws() && request.sampling().keepsAll();
    }

    /** Whether the sum over what is chosen from is needed. */
    boolean sums() {
        return request.probabilities() == Probabilities.DRAWN
                || filtered()
                        && request.sampling().topK() == 0
                        && request.sampling().topP() < 1;
    }

    /** Finds which tokens are open and which are fetched; whether what is chosen from is another distribution than the model's. */
    private boolean alter() {
        boolean altered = !request.allowsAll();
        openCount = range.count();
        if (altered) {
            openTo(request.allowed() == null ? EVERY : request.allowed());
            if (request.banned() != null) {
                openCount = request.banned().removeFrom(open, range.first(), range.count());
            }
            if (openCount == 0 && !range.partial()) {
                throw new InvalidDataException(
                        "The request of row " + state + " allows no token; allow one at least, or all with null.");
            }
            if (openCount <= range.count() / FEW) {
                fetchOpen();
            }
        }
        for (int i = 0; i < request.named() && (openCount > 0 || !altered); i++) {
            if (request.alters(i) && range.holds(request.namedToken(i))) {
                if (!altered) {
                    altered = true;
                    openTo(EVERY);
                }
                int row = request.namedToken(i) - range.first();
                if ((open[row >> 6] >>> row & 1) != 0) {
                    open[row >> 6] &= ~(1L << row);
                    openCount--;
                    fetch(row);
                }
            }
        }
        candidatesFetched = fetchedCount;
        return altered;
    }

    private void openTo(TokenSet allowed) {
        int words = TokenSet.wordsOf(range.count());
        open = open.length < words ? new long[words] : open;
        openCount = allowed.copyTo(open, range.first(), range.count());
    }

    private void fetchOpen() {
        for (int w = 0; w < TokenSet.wordsOf(range.count()); w++) {
            for (long bits = open[w]; bits != 0; bits &= bits - 1) {
                fetch((w << 6) + Long.numberOfTrailingZeros(bits));
            }
        }
        openCount = 0;
    }

    private void fetch(int row) {
        if (fetchedCount == fetched.length) {
            fetched = Arrays.copyOf(fetched, Math.max(16, 2 * fetchedCount));
        }
        fetched[fetchedCount++] = row;
    }

    /** What is asked of the model's distribution. */
    Asked model() {
        return model;
    }

    /** What is asked of the distribution that is chosen from, if that is another. */
    Asked other() {
        return other;
    }

    /** Writes the tokens that are fetched. */
    void fetchedTo(int[] target, int at) {
        System.arraycopy(fetched, 0, target, at, fetchedCount);
    }

    Request request() {
        return request;
    }

    TokenRange range() {
        return range;
    }

    /** The question that tells what is chosen from; {@code null} if nothing is to be known of it. */
    Asked choosing() {
        return choosing;
    }

    /** How many tokens are open to that question; it is not asked if there are none. */
    int openCount() {
        return openCount;
    }

    /** How many of the model's likeliest tokens are wanted. */
    int topCount() {
        return topCount;
    }

    /** How many of the likeliest open tokens the choice looks at; they may be more than a question lists. */
    int length() {
        return length;
    }

    /** How many of the likeliest tokens the choice looks at, those that are fetched among them. */
    int rankedLength() {
        return rankedLength;
    }

    /** Whether the choice looks at a list. */
    boolean listing() {
        return listing;
    }

    /** Tokens that are fetched, counted from the first of the range: those to choose from, then those to be scored. */
    int fetched(int index) {
        return fetched[index];
    }

    /** How many tokens are fetched. */
    int fetchedCount() {
        return fetchedCount;
    }

    /** How many of them are chosen from. */
    int candidatesFetched() {
        return candidatesFetched;
    }
}
