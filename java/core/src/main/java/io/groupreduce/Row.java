package io.groupreduce;

import io.groupreduce.api.Sampling;
import io.groupreduce.internal.select.Drawing;
import io.groupreduce.internal.select.FullRanking;
import io.groupreduce.internal.select.GumbelNoise;
import io.groupreduce.internal.select.KeyedLogit;
import io.groupreduce.internal.select.WholeDraw;
import io.groupreduce.spi.Question;
import java.util.Arrays;

/**
 * The answer to one request: {@link #collect} takes in what the questions of its {@link RowPlan} found and decides, {@link #decideFrom} decides
 * from all logits what lists could not, {@link #merge} makes one answer of those of two parts of a vocabulary. Its memory serves one answer
 * after the other.
 */
final class Row {
    private static final int NONE = -1;

    private final RowPlan plan = new RowPlan();
    private Request request;

    /** The tokens that were fetched, and the model's logits of them. */
    private int[] fetched = {};

    private float[] fetchedLogits = {};
    private int fetchedCount;

    /** The model's likeliest tokens. */
    private final TokenList top = new TokenList();
    /** Of the model's distribution, sum exp(y - largest). */
    private float modelLargest;

    private double modelSum;

    /** What is chosen from, with logits as altered. */
    private final TokenList candidates = new TokenList();
    /** Of what is chosen from, sum exp((y - largest) / T). */
    private float largest;

    private double sum;

    /** The chosen token, its logit as altered and as the model has it, and the noise that drew it. */
    private int token;

    private float logit;
    private float tokenModelLogit;
    private double noise;
    private long noiseKey;

    /** Of the tokens to be scored, the model's logits and those as altered; NaN outside the range. */
    private float[] scoreLogits = {};

    private float[] scoreAltered = {};
    private int scores;

    // What the request was when it was asked.
    private double temperature;
    private boolean chose;
    private boolean asDrawn;
    private boolean summed;
    private int wantedTop;

    /** What is to be found. */
    RowPlan plan() {
        return plan;
    }

    /**
     * Takes in what was found and decides.
     *
     * @param chosen logits of the tokens that were fetched, from {@code at} on
     * @return whether everything is a number
     */
    boolean collect(float[] chosen, int at) {
        request = plan.request();
        temperature = request.temperature();
        noiseKey = request.noiseKey();
        chose = request.chooses();
        asDrawn = request.probabilities() == Probabilities.DRAWN;
        summed = request.probabilities() != Probabilities.NONE;
        wantedTop = request.top();
        if (!collectFetched(chosen, at)
                || !plan.model().answered()
                || !plan.other().answered()) {
            return false;
        }
        Asked model = plan.model();
        modelLargest = model.largest();
        modelSum = model.sum();
        int listed = Math.min(plan.topCount(), model.listed());
        top.take(
                model.listTokens(),
                model.listLogits(),
                listed,
                first(),
                plan.range().count() - listed);
        token = NONE;
        largest = Float.NEGATIVE_INFINITY;
        sum = 0;
        candidates.clear(0);
        if (plan.choosing() != null) {
            collectCandidates();
            decide();
        }
        collectScores();
        tokenModelLogit = modelLogit(token, logit);
        return true;
    }

    private int first() {
        return plan.range().first();
    }

    private boolean collectFetched(float[] chosen, int at) {
        fetchedCount = plan.fetchedCount();
        reserveFetched(fetchedCount);
        boolean finite = true;
        for (int i = 0; i < fetchedCount; i++) {
            fetched[i] = plan.fetched(i) + first();
            fetchedLogits[i] = chosen[at + i];
            finite &= Float.isFinite(fetchedLogits[i]);
        }
        return finite;
    }

    private void reserveFetched(int room) {
        if (fetched.length < room) {
            fetched = Arrays.copyOf(fetched, 2 * room);
            fetchedLogits = Arrays.copyOf(fetchedLogits, 2 * room);
        }
    }

    private void collectCandidates() {
        Asked asked = plan.choosing();
        boolean open = plan.openCount() > 0;
        if (open && plan.sums()) {
            largest = asked.largest();
            sum = asked.sum();
        }
        if (open && plan.drawsFromAll()) {
            consider(asked.drawn() + first(), asked.drawnLogit());
        }
        int listed = open && plan.listing() ? Math.min(plan.length(), asked.listed()) : 0;
        candidates.clear(listed + plan.candidatesFetched());
        candidates.take(
                asked.listTokens(),
                asked.listLogits(),
                listed,
                first(),
                open && plan.listing() ? plan.openCount() - listed : 0);
        long least = candidates.least();
        for (int i = 0; i < plan.candidatesFetched(); i++) {
            int named = request.find(fetched[i]);
            float altered = named < 0 ? fetchedLogits[i] : request.altered(named, fetchedLogits[i]);
            if (plan.sums()) {
                add(altered, 1);
            }
            if (plan.drawsFromAll()) {
                consider(fetched[i], altered);
            }
            if (plan.listing() && Long.compareUnsigned(KeyedLogit.key(altered, fetched[i]), least) > 0) {
                candidates.add(fetched[i], altered);
            } else if (plan.listing()) {
                candidates.miss();
            }
        }
        if (candidates.count() > listed) {
            candidates.sort();
        }
    }

    /** Adds {@code share exp(y / T)} to the sum over what is chosen from. */
    private void add(float y, double share) {
        if (y > largest) {
            sum = sum * Math.exp(((double) largest - y) / temperature) + share;
            largest = y;
        } else {
            sum += share * Math.exp(((double) y - largest) / temperature);
        }
    }

    /** Takes a token if it beats the one drawn so far. Compared are differences: at a temperature near 0 a logit divided by it has no meaning. */
    private void consider(int name, float altered) {
        double its = GumbelNoise.of(GumbelNoise.hash(noiseKey, name));
        double ahead =
                token == NONE ? Double.POSITIVE_INFINITY : ((double) altered - logit) / temperature + (its - noise);
        if (ahead > 0 || ahead == 0 && name < token) {
            token = name;
            logit = altered;
            noise = its;
        }
    }

    /** Chooses among the candidates, unless they do not tell or the token was drawn from all. */
    private void decide() {
        if (candidates.count() == 0 || !chose || plan.drawsFromAll()) {
            return;
        }
        int place = 0;
        if (request.draws()) {
            Sampling sampling = request.sampling();
            int listed = candidates.count();
            long missing = candidates.missing();
            if (sampling.topK() > 0) {
                if (listed < sampling.topK() && missing > 0) {
                    return;
                }
                listed = Math.min(listed, sampling.topK());
                missing = 0;
            }
            place = Drawing.draw(
                    candidates.tokens(),
                    candidates.logits(),
                    listed,
                    missing,
                    totalOverCandidates(),
                    sampling,
                    noiseKey);
        }
        if (place != Drawing.NONE) {
            token = candidates.token(place);
            logit = candidates.logit(place);
        }
    }

    /** The sum over what is chosen from, relative to the likeliest candidate. */
    private double totalOverCandidates() {
        return sum * Math.exp(((double) largest - candidates.logit(0)) / temperature);
    }

    /** The model's logit of a token that was fetched, else {@code otherwise}. */
    private float modelLogit(int name, float otherwise) {
        for (int i = 0; i < fetchedCount; i++) {
            if (fetched[i] == name) {
                return fetchedLogits[i];
            }
        }
        return otherwise;
    }

    private void collectScores() {
        int[] scored = request.scored();
        scores = scored.length;
        if (scoreLogits.length < scores) {
            scoreLogits = new float[scores];
            scoreAltered = new float[scores];
        }
        int at = plan.candidatesFetched();
        for (int i = 0; i < scores; i++) {
            int name = scored[i];
            scoreLogits[i] = plan.range().holds(name) ? fetchedLogits[at++] : Float.NaN;
            int named = request.find(name);
            float altered = named < 0 ? scoreLogits[i] : request.altered(named, scoreLogits[i]);
            scoreAltered[i] = request.allows(name) ? altered : Float.NEGATIVE_INFINITY;
        }
    }

    /** Whether it takes all logits of the state to go on. */
    boolean isOpen() {
        return plan.topCount() > Question.LONGEST_LIST
                || plan.choosing() != null && plan.length() > Question.LONGEST_LIST
                || isUndecided();
    }

    private boolean isUndecided() {
        return chose && token == NONE && !plan.range().partial();
    }

    /**
     * Decides from all logits of the state, which are changed.
     *
     * @param all of the tokens of the range, from {@code at} on
     */
    void decideFrom(float[] all, int at, FullRanking ranking, WholeDraw draw) {
        int n = plan.range().count();
        if (plan.topCount() > Question.LONGEST_LIST) {
            rank(top, all, at, plan.topCount(), n, ranking);
        }
        if (plan.choosing() == null || plan.openCount() == 0) {
            return;
        }
        for (int row = 0; row < n && !request.allowsAll(); row++) {
            if (!request.allows(row + first())) {
                all[at + row] = Float.NEGATIVE_INFINITY;
            }
        }
        for (int i = 0; i < plan.candidatesFetched(); i++) {
            all[at + plan.fetched(i)] = request.altered(request.find(fetched[i]), fetchedLogits[i]);
        }
        if (plan.length() > Question.LONGEST_LIST) {
            rank(candidates, all, at, plan.rankedLength(), plan.openCount() + plan.candidatesFetched(), ranking);
            decide();
        }
        if (isUndecided()) {
            long key = GumbelNoise.shifted(noiseKey, first());
            double total = plan.sums() && candidates.count() > 0 ? totalOverCandidates() : Double.NaN;
            int row = draw.draw(all, at, n, total, request.sampling(), key);
            logit = all[at + row];
            token = row + first();
        }
        tokenModelLogit = modelLogit(token, logit);
    }

    private void rank(TokenList list, float[] all, int at, int length, long of, FullRanking ranking) {
        list.clear(length);
        ranking.best(all, at, plan.range().count(), length, list.tokens(), list.logits());
        list.take(list.tokens(), list.logits(), length, first(), of - length);
    }

    /** Takes over what the same request found among other tokens, and decides anew. */
    void merge(Row part) {
        top.merge(part.top);
        if (summed && !asDrawn) {
            float joint = Math.max(modelLargest, part.modelLargest);
            modelSum = modelSum * Math.exp((double) modelLargest - joint)
                    + part.modelSum * Math.exp((double) part.modelLargest - joint);
            modelLargest = joint;
        }
        if (part.sum > 0) {
            add(part.largest, part.sum);
        }
        for (int i = 0; i < scores; i++) {
            if (Float.isNaN(scoreLogits[i])) {
                scoreLogits[i] = part.scoreLogits[i];
                scoreAltered[i] = part.scoreAltered[i];
            }
        }
        reserveFetched(fetchedCount + part.fetchedCount);
        System.arraycopy(part.fetched, 0, fetched, fetchedCount, part.fetchedCount);
        System.arraycopy(part.fetchedLogits, 0, fetchedLogits, fetchedCount, part.fetchedCount);
        fetchedCount += part.fetchedCount;
        candidates.merge(part.candidates);
        if (!plan.drawsFromAll()) {
            token = NONE;
            decide();
        } else if (part.token != NONE) {
            consider(part.token, part.logit);
        }
        tokenModelLogit = modelLogit(token, logit);
    }

    /** Whether a token was to be chosen. */
    boolean chose() {
        return chose;
    }

    /** Whether probabilities were asked for. */
    boolean summed() {
        return summed;
    }

    /** The chosen token; -1 if a part has none to choose from, or the lists of parts do not tell. */
    int token() {
        return token;
    }

    /** log sum exp of the logits, divided by the temperature, that probabilities are made of. */
    double logSumExp() {
        return asDrawn ? largest / temperature + Math.log(sum) : modelLargest + Math.log(modelSum);
    }

    /** Differences first: at a temperature near 0 a logit divided by it has no meaning. A sum rounded to less than its largest term must not make more than 1. */
    private float logProbability(float y) {
        double relative = asDrawn
                ? ((double) y - largest) / temperature - Math.log(sum)
                : (double) y - modelLargest - Math.log(modelSum);
        return (float) Math.min(0, relative);
    }

    /** NaN without a chosen token. */
    float tokenLogProbability() {
        return token == NONE ? Float.NaN : logProbability(asDrawn ? logit : tokenModelLogit);
    }

    /** The list that the caller gets. */
    private TokenList list() {
        return asDrawn ? candidates : top;
    }

    /** Whether likeliest tokens were asked for. */
    boolean listed() {
        return wantedTop > 0;
    }

    int top() {
        return Math.min(wantedTop, list().count());
    }

    int topToken(int place) {
        return list().token(place);
    }

    float topLogit(int place) {
        return list().logit(place);
    }

    float topLogProbability(int place) {
        return logProbability(topLogit(place));
    }

    int scores() {
        return scores;
    }

    float scoreLogit(int index) {
        return scoreLogits[index];
    }

    float scoreLogProbability(int index) {
        return logProbability(asDrawn ? scoreAltered[index] : scoreLogits[index]);
    }
}
