package io.groupreduce.testkit;

import java.util.SplittableRandom;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** Which tokens a question is open to. */
enum OpenTokens {
    ALL,
    SECOND,
    ALL_BUT_ONE,
    /** Any, or the last of its group, which stands where a tile of rows is seldom full. */
    ONE,
    LAST,
    ONE_GROUP,
    RANDOM;

    /** Bits of tokens, and a word after them that means nothing; {@code null} for all. One is open at least. */
    long[] of(InferenceCase c, SplittableRandom random) {
        int rows = c.matrix.rows();
        int one = random.nextInt(rows);
        int group = c.matrix.group(one);
        int share = 1 + random.nextInt(30);
        return switch (this) {
            case ALL -> null;
            case SECOND -> bits(rows, token -> token % 2 == 0);
            case ALL_BUT_ONE -> bits(rows, token -> token != one || rows == 1);
            case ONE -> {
                IntStream same = IntStream.range(0, rows).filter(token -> c.matrix.group(token) == group);
                int only = share % 2 == 0 ? one : same.max().getAsInt();
                yield bits(rows, token -> token == only);
            }
            case LAST -> bits(rows, token -> token == rows - 1);
            case ONE_GROUP -> bits(rows, token -> c.matrix.group(token) == group);
            case RANDOM -> bits(rows, token -> token == one || random.nextInt(share) == 0);
        };
    }

    private static long[] bits(int rows, IntPredicate open) {
        long[] bits = new long[(rows + 63) / 64 + 1];
        bits[bits.length - 1] = -1;
        for (int token = 0; token < rows; token++) {
            bits[token >> 6] |= open.test(token) ? 1L << token : 0;
        }
        return bits;
    }
}
