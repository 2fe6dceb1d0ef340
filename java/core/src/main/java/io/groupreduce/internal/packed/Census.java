package io.groupreduce.internal.packed;

import java.util.Arrays;

/** Counts the symbols of rows, so that tables can be made of them and their size be told before they are coded. */
public final class Census implements CoordinateModel.Sink {
    private final double[][] tokens = new double[CoordinateModel.CLASSES][CoordinateModel.TOKENS];
    private double plain;

    @Override
    public void token(int table, int token) {
        tokens[table][token]++;
    }

    @Override
    public void bits(int value, int bits) {
        plain += bits;
    }

    public void add(Census other) {
        plain += other.plain;
        for (int c = 0; c < tokens.length; c++) {
            for (int t = 0; t < tokens[c].length; t++) {
                tokens[c][t] += other.tokens[c][t];
            }
        }
    }

    public CoordinateModel model() {
        return CoordinateModel.of(tokens);
    }

    /** Bits that a model's tables take for them. */
    public double bits(CoordinateModel model) {
        double bits = plain;
        for (int c = 0; c < tokens.length; c++) {
            for (int t = 0; t < tokens[c].length; t++) {
                bits += tokens[c][t] * model.table(c).bits(t);
            }
        }
        return bits;
    }

    /** Bits that tables of these counts take for them. */
    public double bits() {
        double bits = plain;
        for (double[] table : tokens) {
            bits += bits(table);
        }
        return bits;
    }

    /** Bits that a table of such counts takes for all that was counted. */
    public static double bits(double[] seen) {
        if (Arrays.stream(seen).allMatch(s -> s == 0)) {
            return 0;
        }
        SymbolTable table = SymbolTable.of(seen);
        double bits = 0;
        for (int s = 0; s < seen.length; s++) {
            bits += seen[s] == 0 ? 0 : seen[s] * table.bits(s);
        }
        return bits;
    }
}
