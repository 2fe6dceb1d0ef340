package io.groupreduce;

import io.groupreduce.api.DeviceAnswers;
import io.groupreduce.error.InvalidOptionException;
import io.groupreduce.spi.Question;

/** What requests ask whose answers stay on the device: a choice among all tokens, for each row. */
final class DeviceRequests {
    final double[] temperatures;
    final long[] keys;

    /**
     * Takes the requests of a batch.
     *
     * @throws InvalidOptionException naming the row of a request that needs the host
     */
    DeviceRequests(Request[] requests, int states, DeviceAnswers answers, TokenRange range) {
        Request.requireEach(requests, states);
        if (range.partial()) {
            throw new InvalidOptionException(
                    "A head with a part of the vocabulary cannot leave answers on the device; use Answers and merge.");
        }
        int most = Math.min(range.count(), Question.LONGEST_LIST);
        if (answers.top() > most) {
            throw new InvalidOptionException("Lists of " + answers.top()
                    + " tokens cannot be left on the device; give at most " + most + ", or use Answers.");
        }
        temperatures = new double[states];
        keys = new long[states];
        for (int s = 0; s < states; s++) {
            String needed = needed(requests[s]);
            if (needed != null) {
                throw new InvalidOptionException("Row " + s + " asks for " + needed
                        + ", which cannot be left on the device; leave it out, or use Answers.");
            }
            boolean draws = requests[s].draws();
            temperatures[s] = draws ? requests[s].temperature() : requests[s].chooses() ? 0 : -1;
            keys[s] = draws ? requests[s].noiseKey() : 0;
        }
    }

    /** What of a request needs the host, or {@code null}. */
    private static String needed(Request request) {
        if (request.draws() && !request.sampling().keepsAll()) {
            return "top-k, top-p or min-p";
        }
        if (!request.allowsAll()) {
            return "tokens that are allowed or banned";
        }
        for (int i = 0; i < request.named(); i++) {
            if (request.alters(i)) {
                return "a bias or a penalty";
            }
        }
        if (request.scored().length > 0) {
            return "scores of tokens";
        }
        if (request.top() > 0) {
            return "a list of its own";
        }
        return request.probabilities() == Probabilities.DRAWN ? "probabilities of what is drawn" : null;
    }
}
