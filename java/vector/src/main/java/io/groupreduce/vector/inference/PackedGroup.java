package io.groupreduce.vector.inference;

import io.groupreduce.matrix.Codec;

/**
 * The rows of one group as a loaded head keeps them.
 *
 * @param kept how numbers are kept, see {@link Codes}
 * @param basis which projection of the hidden state the rows meet; {@link PackedHead#HIDDEN} the hidden state itself
 * @param rank k, directions of a row; 0 where rows are zero
 * @param segment directions that share a scale; {@code rank} where the scale is the row's
 * @param rows how many
 * @param firstTile the number of its first tile among all of the head
 * @param at where its codes begin
 * @param segmentScales per tile and segment TILE scales; {@code null} where a row has one
 */
record PackedGroup(
        Codec kept, int basis, int rank, int segment, int rows, int firstTile, long at, float[] segmentScales) {
    int tiles() {
        return Math.ceilDiv(rows, Codes.TILE);
    }

    /** How many rows a tile has. */
    int rows(int tile) {
        return Math.min(Codes.TILE, rows - (tile - firstTile) * Codes.TILE);
    }

    int segments() {
        return segmentScales == null ? 1 : Math.ceilDiv(rank, segment);
    }

    long tileBytes() {
        return rank == 0 ? 0 : Codes.tileBytes(kept, rank);
    }

    /** Where the codes of a direction of a tile begin; the direction is the first of those kept together. */
    long codesAt(int tile, int direction) {
        return at + (tile - firstTile) * tileBytes() + Codes.tileBytes(kept, direction);
    }

    /** Where the TILE scales of a segment of a tile begin in {@link #segmentScales}. */
    int scalesAt(int tile, int segmentNumber) {
        return ((tile - firstTile) * segments() + segmentNumber) * Codes.TILE;
    }
}
