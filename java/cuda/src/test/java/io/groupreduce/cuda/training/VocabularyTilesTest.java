package io.groupreduce.cuda.training;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.cuda.TestDevice;
import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.matrix.DType;
import io.groupreduce.matrix.GroupPlan;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/** Every row has one place, in the section of its operand. */
class VocabularyTilesTest {
    @Test
    void placesOrderTheRowsOfATileByOperand() {
        try (Arena arena = Arena.ofShared()) {
            TrainingCase c = new TrainingCase(arena, 1, 333, DType.F32);
            VocabularyTiles tiles = new VocabularyTiles(c.compressed, 100);
            assertEquals(100, tiles.tileRows());
            assertEquals(3, tiles.sections(), "two bases and dense rows");
            assertEquals(19, tiles.width(0));
            assertEquals(8, tiles.width(1));
            assertTrue(tiles.isDense(2));
            assertEquals(c.columns, tiles.width(2));
            assertEquals(c.columns, tiles.widest());
            boolean[] seen = new boolean[c.rows];
            for (int first = 0; first < c.rows; first += 100) {
                int tile = tiles.tileAt(first);
                assertEquals(first, tiles.first(tile));
                assertEquals(Math.min(100, c.rows - first), tiles.count(tile));
                int place = first;
                for (int section = 0; section < tiles.sections(); section++) {
                    assertEquals(place, tiles.from(tile, section));
                    int before = -1;
                    for (; place < tiles.from(tile, section) + tiles.size(tile, section); place++) {
                        int row = tiles.order()[place];
                        assertEquals(section, sectionOf(c, row), "row " + row);
                        assertTrue(before < row && row >= first && row < first + 100, "rows keep their order");
                        before = row;
                    }
                }
                assertTrue(tiles.hasEmptyRows(tile));
                for (; place < first + tiles.count(tile); place++) {
                    assertEquals(3, sectionOf(c, tiles.order()[place]), "a row that stores nothing");
                }
            }
            for (int place = 0; place < c.rows; place++) {
                assertTrue(!seen[tiles.order()[place]], "each row once");
                seen[tiles.order()[place]] = true;
                assertEquals(place, tiles.placeOf()[tiles.order()[place]]);
            }
        }
    }

    private static int sectionOf(TrainingCase c, int row) {
        GroupPlan plan = c.compressed.groups().get(c.compressed.group(row));
        return plan.isDense() ? 2 : plan.rank() == 0 ? 3 : plan.basis();
    }

    /** Whatever goes wrong half-way, nothing that was taken for a size stays when the owner gives up. */
    @Test
    void tilesThatDoNotFitLeaveNothing() {
        Device device = TestDevice.open();
        StackOverflowError error = new StackOverflowError("planted");
        device.run(() -> {
            Owned owner = new Owned(device);
            int found = VocabularyTiles.fitting(owner, 4096, (owned, rows) -> {
                owned.allocate(1, "a tile");
                if (rows > 1024) {
                    throw new OutOfDeviceMemoryException("planted", 1);
                }
                return rows;
            });
            assertEquals(1024, found);
            assertEquals(1, device.openAllocations());
            assertSame(
                    error,
                    assertThrows(
                            StackOverflowError.class,
                            () -> VocabularyTiles.fitting(owner, 4096, (owned, rows) -> {
                                owned.allocate(1, "a tile");
                                throw error;
                            })));
            owner.closeAfter(error);
        });
        TestDevice.assertNothingLeaked();
    }
}
