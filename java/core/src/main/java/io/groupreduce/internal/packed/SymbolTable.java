package io.groupreduce.internal.packed;

import java.util.Arrays;

/**
 * How likely the symbols of one context are, in parts of {@link Rans#TOTAL}, each at least 1: any symbol can be coded.
 *
 * <p>A file stores a byte b a symbol, which stands for {@code round(2^(b / 16))} parts; the likeliest symbol, the first of the largest
 * bytes, gets what is missing to the total instead. A sixteenth of an octave off costs a symbol a thousandth of a bit.
 */
public final class SymbolTable {
    private static final int STEPS = 16;

    private static final int[] PARTS = parts();

    private final byte[] stored;
    private final int[] starts;
    /** By place in the range, the symbol that lies there; made when a decoder first asks. */
    private byte[] symbols;

    /**
     * Reads a table, of at most 256 symbols.
     *
     * @throws IllegalArgumentException if the symbols leave the likeliest one nothing; the message is a sentence without its end
     */
    SymbolTable(byte[] stored) {
        this.stored = stored;
        int n = stored.length;
        int likeliest = 0;
        int sum = 0;
        for (int s = 0; s < n; s++) {
            int b = stored[s] & 0xff;
            if (b >= PARTS.length) {
                throw new IllegalArgumentException("a symbol is said to take 2^(" + b + " / 16) of 2^14 parts");
            }
            likeliest = b > (stored[likeliest] & 0xff) ? s : likeliest;
            sum += PARTS[b];
        }
        starts = new int[n + 1];
        int most = Rans.TOTAL - sum + PARTS[stored[likeliest] & 0xff];
        if (most < 1) {
            throw new IllegalArgumentException("symbols take more than all parts of a table");
        }
        for (int s = 0; s < n; s++) {
            starts[s + 1] = starts[s] + (s == likeliest ? most : PARTS[stored[s] & 0xff]);
        }
    }

    private static int[] parts() {
        int[] parts = new int[STEPS * Rans.PRECISION + 1];
        for (int b = 0; b < parts.length; b++) {
            parts[b] = (int) Math.rint(Math.pow(2, (double) b / STEPS));
        }
        return parts;
    }

    /** The table nearest to how often symbols were seen. */
    public static SymbolTable of(double[] seen) {
        int n = seen.length;
        double sum = Arrays.stream(seen).sum();
        byte[] stored = new byte[n];
        int likeliest = 0;
        int used = 0;
        for (int s = 0; s < n; s++) {
            double parts = sum > 0 ? Rans.TOTAL * (seen[s] / sum) : (double) Rans.TOTAL / n;
            int b = (int) Math.rint(STEPS * Math.log(Math.max(1, parts)) / Math.log(2));
            stored[s] = (byte) Math.min(b, PARTS.length - 1);
            likeliest = b > (stored[likeliest] & 0xff) ? s : likeliest;
            used += PARTS[stored[s] & 0xff];
        }
        // Rare symbols were rounded up to 1: the likeliest one pays, and if it cannot, those below it.
        for (int s = 0; used - PARTS[stored[likeliest] & 0xff] >= Rans.TOTAL; s = (s + 1) % n) {
            if (s != likeliest && (stored[s] & 0xff) > 0) {
                used -= PARTS[stored[s] & 0xff];
                stored[s]--;
                used += PARTS[stored[s] & 0xff];
            }
        }
        return new SymbolTable(stored);
    }

    /** What a file stores. */
    byte[] stored() {
        return stored;
    }

    int frequency(int symbol) {
        return starts[symbol + 1] - starts[symbol];
    }

    /** Bits that a symbol takes. */
    double bits(int symbol) {
        return Rans.PRECISION - Math.log(frequency(symbol)) / Math.log(2);
    }

    void put(Rans.Encoder encoder, int symbol) {
        encoder.put(starts[symbol], frequency(symbol));
    }

    int take(Rans.Decoder decoder) {
        if (symbols == null) {
            symbols = lookup();
        }
        int symbol = symbols[decoder.slot()] & 0xff;
        decoder.take(starts[symbol], frequency(symbol));
        return symbol;
    }

    private byte[] lookup() {
        byte[] all = new byte[Rans.TOTAL];
        for (int s = 0; s + 1 < starts.length; s++) {
            Arrays.fill(all, starts[s], starts[s + 1], (byte) s);
        }
        return all;
    }
}
