package io.groupreduce;

import io.groupreduce.internal.select.KeyedLogit;
import java.util.Arrays;

/** The likeliest of some tokens, best first, ties to the lower token, and how many more there are. */
final class TokenList {
    private int[] tokens = {};
    private float[] logits = {};
    private long[] keys = {};
    private int count;
    private long missing;

    /** Forgets everything and makes room. */
    void clear(int room) {
        count = 0;
        missing = 0;
        reserve(room);
    }

    private void reserve(int room) {
        if (tokens.length < room) {
            tokens = Arrays.copyOf(tokens, room);
            logits = Arrays.copyOf(logits, room);
            keys = new long[room];
        }
    }

    /** Takes the first n of a list, the tokens of which count from {@code first}. */
    void take(int[] from, float[] itsLogits, int n, int first, long more) {
        clear(n);
        for (int i = 0; i < n; i++) {
            tokens[i] = from[i] + first;
            logits[i] = itsLogits[i];
        }
        count = n;
        missing = more;
    }

    /** Takes a token in at the end; {@link #sort} puts it in its place. */
    void add(int token, float logit) {
        tokens[count] = token;
        logits[count++] = logit;
    }

    /** Counts a token that is less likely than those listed. */
    void miss() {
        missing++;
    }

    void sort() {
        for (int i = 0; i < count; i++) {
            keys[i] = KeyedLogit.key(logits[i], tokens[i]);
        }
        KeyedLogit.sortInPlace(keys, count);
        for (int i = 0; i < count; i++) {
            tokens[i] = KeyedLogit.token(keys[i]);
            logits[i] = KeyedLogit.logit(keys[i]);
        }
    }

    /** Joins the list of other tokens. Below what one of both lists, its tokens and those that it lacks mix, so the joint list ends there. */
    void merge(TokenList other) {
        long mine = least();
        long others = other.least();
        long least = Long.compareUnsigned(mine, others) > 0 ? mine : others;
        int both = count + other.count;
        reserve(both);
        System.arraycopy(other.tokens, 0, tokens, count, other.count);
        System.arraycopy(other.logits, 0, logits, count, other.count);
        count = both;
        missing += other.missing;
        sort();
        while (count > 0 && Long.compareUnsigned(keys[count - 1], least) < 0) {
            count--;
            missing++;
        }
    }

    /** A {@link KeyedLogit} that no token that is missing exceeds. */
    long least() {
        return missing == 0 ? 0 : count == 0 ? -1 : KeyedLogit.key(logits[count - 1], tokens[count - 1]);
    }

    int count() {
        return count;
    }

    long missing() {
        return missing;
    }

    int token(int place) {
        return tokens[place];
    }

    float logit(int place) {
        return logits[place];
    }

    /** At least {@link #count} of them. */
    int[] tokens() {
        return tokens;
    }

    /** At least {@link #count} of them. */
    float[] logits() {
        return logits;
    }
}
