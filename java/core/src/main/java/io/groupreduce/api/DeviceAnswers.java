package io.groupreduce.api;

import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.InvalidOptionException;

/**
 * Where on a GPU the answers to a batch of B hidden states go: buffers of the caller's, by their device addresses. Immutable; what has no
 * buffer is not written. Of a state whose numbers leave binary32, tokens are -1 and numbers NaN.
 */
public final class DeviceAnswers {
    private static final DeviceAnswers NONE = new DeviceAnswers(0, 0, 0, 0, 0, 0);

    private final long tokens;
    private final long logits;
    private final long logSumExp;
    private final int listed;
    private final long listTokens;
    private final long listLogits;

    private DeviceAnswers(long tokens, long logits, long logSumExp, int listed, long listTokens, long listLogits) {
        this.tokens = tokens;
        this.logits = logits;
        this.logSumExp = logSumExp;
        this.listed = listed;
        this.listTokens = listTokens;
        this.listLogits = listLogits;
    }

    /** Nothing is wanted yet. */
    public static DeviceAnswers none() {
        return NONE;
    }

    /**
     * The same with chosen tokens and their logits.
     *
     * @param tokenAddress of B numbers of 32 bits; -1 where a request chooses nothing
     * @param logitAddress of B binary32 numbers, 0 where they are not wanted
     * @throws InvalidDataException if an address is no multiple of 4, or that of the tokens is 0
     */
    public DeviceAnswers tokens(long tokenAddress, long logitAddress) {
        return new DeviceAnswers(
                required(tokenAddress, "tokens", Integer.BYTES),
                aligned(logitAddress, "logits", Float.BYTES),
                logSumExp,
                listed,
                listTokens,
                listLogits);
    }

    /**
     * The same with log sum_i exp(logit_i) at temperature 1.
     *
     * @param address of B binary64 numbers
     * @throws InvalidDataException if it is 0 or no multiple of 8
     */
    public DeviceAnswers logSumExp(long address) {
        long checked = required(address, "log-sum-exps", Double.BYTES);
        return new DeviceAnswers(tokens, logits, checked, listed, listTokens, listLogits);
    }

    /**
     * The same with the k likeliest tokens of each state, best first, ties to the lower token, and their logits.
     *
     * @param tokenAddress of B x k numbers of 32 bits
     * @param logitAddress of B x k binary32 numbers
     * @throws InvalidOptionException if k is below 1; a head refuses more than its tokens, and more than 1,024
     * @throws InvalidDataException if an address is 0 or no multiple of 4
     */
    public DeviceAnswers top(int k, long tokenAddress, long logitAddress) {
        if (k < 1) {
            throw new InvalidOptionException("The number of likeliest tokens k is " + k + "; give at least 1.");
        }
        return new DeviceAnswers(
                tokens,
                logits,
                logSumExp,
                k,
                required(tokenAddress, "tokens of lists", Integer.BYTES),
                required(logitAddress, "logits of lists", Float.BYTES));
    }

    private static long required(long address, String what, int bytes) {
        if (address == 0) {
            throw new InvalidDataException(
                    "The address for the " + what + " is 0; give one of memory of the GPU, or leave them out.");
        }
        return aligned(address, what, bytes);
    }

    private static long aligned(long address, String what, int bytes) {
        if (address % bytes != 0) {
            throw new InvalidDataException("The address for the " + what + ", 0x" + Long.toHexString(address)
                    + ", is no multiple of " + bytes + "; give one that is.");
        }
        return address;
    }

    /** The address of chosen tokens; 0 for none. */
    public long tokens() {
        return tokens;
    }

    /** The address of their logits; 0 for none. */
    public long logits() {
        return logits;
    }

    /** The address of log-sum-exps; 0 for none. */
    public long logSumExp() {
        return logSumExp;
    }

    /** k; 0 for no lists. */
    public int top() {
        return listed;
    }

    /** The address of the lists' tokens. */
    public long topTokens() {
        return listTokens;
    }

    /** The address of the lists' logits. */
    public long topLogits() {
        return listLogits;
    }
}
