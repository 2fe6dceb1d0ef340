package io.groupreduce.backend;

/**
 * A place a row can go to.
 *
 * @param basis the basis, or {@link CompressionWorkspace#NO_BASIS} for dense: the residual is 0
 * @param rank how many of the basis's directions a row keeps there; at most what {@code decompose} was asked for
 * @param price what the row's bytes there cost, in units of loss
 */
public record Candidate(int basis, int rank, double price) {
    /** A candidate where the row is stored as it is. */
    public static Candidate dense(double price) {
        return new Candidate(CompressionWorkspace.NO_BASIS, 0, price);
    }

    public boolean isDense() {
        return basis == CompressionWorkspace.NO_BASIS;
    }
}
