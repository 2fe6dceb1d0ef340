package io.groupreduce;

import io.groupreduce.error.InvalidDataException;
import java.util.Arrays;
import java.util.BitSet;

/** A set of tokens, such as those that a grammar allows next. Immutable; any number of requests and threads may share one. */
public final class TokenSet {
    /** The last of them, if there is one, is not 0. */
    private final long[] words;
    /** Whether the bits are those of tokens that are not in the set. */
    private final boolean complement;

    private TokenSet(long[] words, boolean complement) {
        int used = words.length;
        while (used > 0 && words[used - 1] == 0) {
            used--;
        }
        this.words = Arrays.copyOf(words, used);
        this.complement = complement;
    }

    /**
     * These tokens.
     *
     * @throws InvalidDataException if one is below 0
     */
    public static TokenSet of(int... tokens) {
        return new TokenSet(words(tokens), false);
    }

    /** The tokens whose bits are set. */
    public static TokenSet of(BitSet tokens) {
        return new TokenSet(tokens.toLongArray(), false);
    }

    /** The tokens whose bits are set, bit {@code t % 64} of word {@code t / 64} for token t; the words are copied. */
    public static TokenSet ofWords(long... words) {
        return new TokenSet(words, false);
    }

    /**
     * All tokens but these.
     *
     * @throws InvalidDataException if one is below 0
     */
    public static TokenSet allExcept(int... tokens) {
        return new TokenSet(words(tokens), true);
    }

    /** The tokens that are in both, such as those of a grammar without one that is banned. */
    public TokenSet and(TokenSet other) {
        boolean both = complement && other.complement;
        long[] common = new long[Math.max(words.length, other.words.length)];
        for (int w = 0; w < common.length; w++) {
            long in = word(w) & other.word(w);
            common[w] = both ? ~in : in;
        }
        return new TokenSet(common, both);
    }

    private static long[] words(int[] tokens) {
        int largest = -1;
        for (int token : tokens) {
            if (token < 0) {
                throw new InvalidDataException("A set of tokens cannot hold " + token + "; tokens count from 0.");
            }
            largest = Math.max(largest, token);
        }
        long[] words = new long[wordsOf(largest + 1)];
        for (int token : tokens) {
            words[token >> 6] |= 1L << token;
        }
        return words;
    }

    /** Words that hold a bit for each of so many tokens. */
    static int wordsOf(int tokens) {
        return (int) ((tokens + 63L) >> 6);
    }

    /** Whether a token is in the set. */
    public boolean contains(int token) {
        return token >= 0 && (word(token >> 6) >>> token & 1) != 0;
    }

    /** The largest token that was named, to be in the set or not; -1 if there was none. */
    int largestNamed() {
        int last = words.length - 1;
        return last < 0 ? -1 : (last << 6) + 63 - Long.numberOfLeadingZeros(words[last]);
    }

    private long word(int index) {
        long named = index < words.length ? words[index] : 0;
        return complement ? ~named : named;
    }

    /** A bit for each of 64 tokens. */
    private long window(long first) {
        int word = (int) (first >> 6);
        int shift = (int) first & 63;
        return shift == 0 ? word(word) : word(word) >>> shift | word(word + 1) << -shift;
    }

    /**
     * Writes a bit for each of {@code count} tokens from {@code first} on, bit 0 for the first, and zeros after the last.
     *
     * @return how many of them are in the set
     */
    int copyTo(long[] target, int first, int count) {
        int in = 0;
        for (int w = 0; w < wordsOf(count); w++) {
            long bits = window(first + ((long) w << 6));
            int valid = count - (w << 6);
            target[w] = valid < 64 ? bits & (1L << valid) - 1 : bits;
            in += Long.bitCount(target[w]);
        }
        return in;
    }

    /**
     * Clears the bits of its tokens, among bits as {@link #copyTo} writes them.
     *
     * @return how many are left
     */
    int removeFrom(long[] target, int first, int count) {
        int left = 0;
        for (int w = 0; w < wordsOf(count); w++) {
            target[w] &= ~window(first + ((long) w << 6));
            left += Long.bitCount(target[w]);
        }
        return left;
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof TokenSet set && set.complement == complement && Arrays.equals(set.words, words);
    }

    @Override
    public int hashCode() {
        return 31 * Arrays.hashCode(words) + Boolean.hashCode(complement);
    }

    /** For a person: how many tokens were named. */
    @Override
    public String toString() {
        long named = Arrays.stream(words).map(Long::bitCount).sum();
        return (complement ? "all tokens but " : "tokens: ") + named;
    }
}
