package io.groupreduce.internal.packed;

/**
 * How likely the codes of a row are. A coordinate is a whole number of the row's steps; how large it is expected to be follows from the
 * deviation of its direction, from the step, and from how much larger than expected the coordinates before it were. That gives one of
 * {@link #CLASSES} classes, a quarter of an octave each, and a class has a table of magnitudes. Signs are coded as they are.
 *
 * <p>Of a class beyond the last table, magnitudes are halved until one of the tables of the last octave fits, and the bits that this cuts
 * off are coded as they are: the distribution is nearly flat over them.
 *
 * <p>How much larger a row is than its directions tell, its gain, is found as it is coded: each magnitude moves the logarithm of the gain
 * by its score under a geometric distribution, {@code (m - E) / (1 + E)}, over {@link #MEMORY}. All of it in whole numbers, so that every
 * reader finds the same.
 */
public final class CoordinateModel {
    /** Magnitudes of a table: 0 to 14, and more. */
    static final int TOKENS = 16;

    /** Classes with a table of their own. */
    static final int CLASSES = 24;

    /** Bits of a magnitude beyond the last token. */
    static final int ESCAPE_BITS = 7;

    private static final int ESCAPE = TOKENS - 1;

    /** The largest magnitude. */
    private static final int LARGEST = Byte.MAX_VALUE;

    /** Classes of an octave. */
    private static final int OCTAVE = 4;

    /** Deviation and step are bytes in eighths of an octave, classes are quarters, and gains 256ths of a class. */
    private static final int UNIT = 256;

    private static final int EIGHTH = UNIT / 2;

    /** The class of a deviation of one step. */
    private static final int ONE_STEP = 16;

    private static final int LAST = CLASSES + 5 * OCTAVE - 1;

    /** A gain of e is 4 / ln 2 classes. */
    private static final int CLASSES_A_NEPER = (int) Math.rint(UNIT * OCTAVE / Math.log(2));

    /** Coordinates that a row's gain is found from, about: one moves its logarithm by its score over so many. */
    private static final int MEMORY = 35;

    private final SymbolTable[] tables;
    /** Entry class * TOKENS + token: how a magnitude moves the gain. */
    private final int[] moves = new int[CLASSES * TOKENS];

    /** Tables of all classes. */
    CoordinateModel(SymbolTable[] tables) {
        this.tables = tables;
        for (int c = 0; c < CLASSES; c++) {
            int sum = 0;
            for (int t = 1; t < TOKENS; t++) {
                sum += t * tables[c].frequency(t);
            }
            int mean = sum * UNIT / Rans.TOTAL;
            for (int t = 0; t < TOKENS; t++) {
                moves[c * TOKENS + t] = Math.floorDiv(CLASSES_A_NEPER * (t * UNIT - mean), MEMORY * (UNIT + mean));
            }
        }
    }

    /** A model to count with before any counts are there: geometric distributions. */
    public static CoordinateModel first() {
        double[][] seen = new double[CLASSES][TOKENS];
        for (int c = 0; c < CLASSES; c++) {
            double deviation = Math.pow(2, (c - ONE_STEP) / (double) OCTAVE);
            double decay = Math.exp(-1.2 / deviation);
            double zero = 1 - Math.exp(-0.7 / deviation);
            double rest = 1 - zero;
            seen[c][0] = zero;
            for (int t = 1; t < TOKENS; t++) {
                seen[c][t] = t == ESCAPE ? rest : rest * (1 - decay);
                rest *= decay;
            }
        }
        return of(seen);
    }

    /** The model of tokens seen, by class. */
    static CoordinateModel of(double[][] seen) {
        SymbolTable[] tables = new SymbolTable[CLASSES];
        for (int c = 0; c < CLASSES; c++) {
            tables[c] = SymbolTable.of(seen[c]);
        }
        return new CoordinateModel(tables);
    }

    SymbolTable table(int of) {
        return tables[of];
    }

    /** What the symbols of a row go to. */
    public interface Sink {
        /** A magnitude, or its upper bits, under a table. */
        void token(int table, int token);

        /** Bits as they are. */
        void bits(int value, int bits);
    }

    /**
     * Tells the symbols of a row.
     *
     * @param codes whole numbers of steps, -127 to 127, from {@code from} on
     * @param count how many
     * @param deviations of the directions, bytes of {@link io.groupreduce.matrix.ScaleFormat#LOG8}
     * @param step the row's, likewise, less its gain
     */
    public void walk(byte[] codes, int from, int count, int[] deviations, int step, Sink sink) {
        int gain = 0;
        for (int j = 0; j < count; j++) {
            int c = classOf(deviations[j] - step, gain);
            int shift = shift(c);
            int table = c - shift * OCTAVE;
            int code = codes[from + j];
            int magnitude = Math.abs(code);
            int token = Math.min(magnitude >> shift, ESCAPE);
            sink.token(table, token);
            if (token == ESCAPE) {
                sink.bits((magnitude >> shift) - ESCAPE, ESCAPE_BITS);
            }
            if (shift > 0) {
                sink.bits(magnitude & (1 << shift) - 1, shift);
            }
            if (magnitude > 0) {
                sink.bits(code < 0 ? 1 : 0, 1);
            }
            gain += moves[table * TOKENS + token];
        }
    }

    /** Codes a row. */
    void encode(Rans.Encoder encoder, byte[] codes, int from, int count, int[] deviations, int step) {
        walk(codes, from, count, deviations, step, new Sink() {
            @Override
            public void token(int table, int token) {
                tables[table].put(encoder, token);
            }

            @Override
            public void bits(int value, int bits) {
                encoder.putBits(value, bits);
            }
        });
    }

    /**
     * Reads the codes of a row, as {@link #walk} told them.
     *
     * @throws IllegalArgumentException if one is beyond 127; the message is a sentence without its end
     */
    void read(Rans.Decoder decoder, byte[] codes, int from, int count, int[] deviations, int step) {
        int gain = 0;
        for (int j = 0; j < count; j++) {
            int c = classOf(deviations[j] - step, gain);
            int shift = shift(c);
            int table = c - shift * OCTAVE;
            int token = tables[table].take(decoder);
            int magnitude = token;
            if (token == ESCAPE) {
                magnitude += decoder.takeBits(ESCAPE_BITS);
            }
            if (shift > 0) {
                magnitude = magnitude << shift | decoder.takeBits(shift);
            }
            if (magnitude > LARGEST) {
                throw new IllegalArgumentException("a code of " + magnitude + " steps is packed");
            }
            boolean negative = magnitude > 0 && decoder.takeBits(1) == 1;
            codes[from + j] = (byte) (negative ? -magnitude : magnitude);
            gain += moves[table * TOKENS + token];
        }
    }

    private static int classOf(int eighths, int gain) {
        return Math.clamp(eighths * EIGHTH + gain + ONE_STEP * UNIT + EIGHTH >> 8, 0, LAST);
    }

    /** By how many bits magnitudes of a class are cut. */
    private static int shift(int c) {
        return c < CLASSES ? 0 : (c - CLASSES) / OCTAVE + 1;
    }
}
