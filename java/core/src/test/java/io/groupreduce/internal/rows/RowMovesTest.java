package io.groupreduce.internal.rows;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.matrix.GroupPlan;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class RowMovesTest {
    private static final byte NONE = (byte) GroupPlan.DENSE;

    private final float[] weights = {1, 2, 1, 0, 1, 1, 1, 1};
    private final float[] energies = {1, 1, 3, 5, 1, 1, 1, 1};
    private final RowMoves moves = new RowMoves(weights, 0);

    private void expect(int[] joins, int[] leaves) {
        expect(moves, joins, leaves);
    }

    private void expect(RowMoves moves, int[] joins, int[] leaves) {
        for (int i = 0; i < weights.length; i++) {
            assertEquals(joins[i], moves.joins(i), "row " + i + " joins");
            assertEquals(leaves[i], moves.leaves(i), "row " + i + " leaves");
        }
    }

    private static int[] nowhere() {
        int[] rows = new int[8];
        Arrays.fill(rows, -1);
        return rows;
    }

    @Test
    void theFirstAssignmentIsComputedFromNothing() {
        moves.compare(new byte[] {0, 0, 0, 0, 1, 1, NONE, 1}, 2, energies);
        assertTrue(moves.afresh(0) && moves.afresh(1));
        assertEquals(6, moves.energy(0));
        assertEquals(3, moves.energy(1));
        expect(new int[] {0, 0, 0, -1, 1, 1, -1, 1}, nowhere());
    }

    @Test
    void aFewMovesAreCorrectedAndManyComputedAfresh() {
        moves.compare(new byte[] {0, 0, 0, 0, 0, 1, 1, 1}, 2, energies);
        moves.accept();
        moves.compare(new byte[] {0, 0, 0, 0, 0, 1, 1, 1}, 2, energies);
        assertFalse(moves.afresh(0) || moves.afresh(1));
        expect(nowhere(), nowhere());
        // Basis 0 loses one row of five; basis 2 is new.
        moves.compare(new byte[] {0, 0, 0, 0, 2, 1, 1, 1}, 3, energies);
        assertFalse(moves.afresh(0) || moves.afresh(1));
        assertTrue(moves.afresh(2));
        expect(new int[] {-1, -1, -1, -1, 2, -1, -1, -1}, new int[] {-1, -1, -1, -1, 0, -1, -1, -1});
        moves.accept();
        // Basis 1 keeps one row and loses two: what is left is less than what would be taken away.
        moves.compare(new byte[] {0, 0, 0, 0, 2, 1, NONE, 2}, 3, energies);
        assertTrue(moves.afresh(1));
        assertFalse(moves.afresh(2));
        expect(new int[] {-1, -1, -1, -1, -1, 1, -1, 2}, nowhere());
    }

    @Test
    void roundingErrorsDoNotPileUp() {
        byte[] here = {0, 0, 0, 0, 0, 0, 0, 1};
        byte[] there = {0, 0, 0, 0, 0, 0, 1, 1};
        moves.compare(here, 2, energies);
        moves.accept();
        int corrected = 0;
        boolean again = false;
        for (int round = 0; round < 200 && !again; round++) {
            moves.compare(round % 2 == 0 ? there : here, 2, energies);
            again = moves.afresh(0);
            corrected += again ? 0 : 1;
            moves.accept();
        }
        assertTrue(again, "energy of 1 in and out of a basis that holds 9 is too much some time");
        assertTrue(corrected > 50, "corrected " + corrected + " times before");
    }

    @Test
    void aBasisOfFewRowsTakesPartInNothingUntilItHasEnough() {
        RowMoves above = new RowMoves(weights, 4);
        above.compare(new byte[] {0, 0, 0, 0, 0, 1, 1, 1}, 2, energies);
        assertFalse(above.few(0));
        assertTrue(above.few(1));
        assertFalse(above.afresh(1));
        assertEquals(3, above.energy(1));
        expect(above, new int[] {0, 0, 0, -1, 0, -1, -1, -1}, nowhere());
        above.accept();
        assertArrayEquals(new int[] {5, 6, 7}, above.rows(1));
        // Basis 1 has enough rows now, of which only one is new; basis 0 is corrected as ever.
        above.compare(new byte[] {0, 0, 0, 0, 1, 1, 1, 1}, 2, energies);
        assertTrue(above.afresh(1));
        assertFalse(above.afresh(0));
        expect(above, new int[] {-1, -1, -1, -1, 1, 1, 1, 1}, new int[] {-1, -1, -1, -1, 0, -1, -1, -1});
        above.accept();
        // Basis 0 loses one too many: what it loses is not taken away from anything.
        above.compare(new byte[] {1, 0, 0, 0, 1, 1, 1, 1}, 2, energies);
        assertTrue(above.few(0));
        expect(above, new int[] {1, -1, -1, -1, -1, -1, -1, -1}, nowhere());
    }

    @Test
    void fewerBasesForgetTheirRowsAndForgettingStartsAgain() {
        moves.compare(new byte[] {0, 0, 0, 0, 1, 1, 1, 1}, 2, energies);
        moves.accept();
        moves.compare(new byte[] {0, 0, 0, 0, NONE, NONE, NONE, 0}, 1, energies);
        expect(new int[] {-1, -1, -1, -1, -1, -1, -1, 0}, nowhere());
        moves.accept();
        moves.forget();
        moves.compare(new byte[] {0, 0, 0, 0, NONE, NONE, NONE, 0}, 1, energies);
        assertTrue(moves.afresh(0));
        expect(new int[] {0, 0, 0, -1, -1, -1, -1, 0}, nowhere());
    }
}
