package io.groupreduce.cuda.training;

import io.groupreduce.cuda.driver.Device;
import io.groupreduce.cuda.driver.DeviceMemory;
import io.groupreduce.cuda.driver.Kernel;
import io.groupreduce.cuda.driver.OutOfDeviceMemoryException;
import io.groupreduce.cuda.driver.Owned;
import io.groupreduce.cuda.driver.Parameters;
import io.groupreduce.internal.select.KeyedLogit;
import java.lang.foreign.MemorySegment;

/**
 * The k best tokens of each of some hidden states, kept on the card while the vocabulary goes by: sets of keys, all
 * different, which the host sorts at the end. 16 k bytes a state.
 */
final class TopTokens {
    private final Device device;
    private final int k;
    private final DeviceMemory[] best = new DeviceMemory[2];
    private final Kernel kernel;
    private final Parameters parameters = new Parameters(128);
    /** Which of the two holds the best keys so far. */
    private int current;

    /**
     * Room for lists.
     *
     * @param k the length of a list, at least 1 and at most the number of all rows
     * @throws OutOfDeviceMemoryException if there is no room
     */
    TopTokens(Owned owned, int states, int k) {
        device = owned.device();
        this.k = k;
        kernel = device.kernel("gr_pair_top");
        for (int b = 0; b < best.length; b++) {
            best[b] = owned.allocate((long) Long.BYTES * k * states, "the best tokens");
        }
    }

    /**
     * Adds the logits of a tile for some states; tiles come in order, and the states of a tile before the next tile.
     *
     * @param logits device address of the logits of those states
     * @param bias device address of what is added to them, by row; 0 for none
     * @param order device address of the token at every place when logits are by place, 0 when they are by row
     * @param scratch device address of one key a row of a tile and state
     */
    void add(
            CudaLogitTiles pair,
            int tile,
            int firstState,
            int states,
            long logits,
            long bias,
            long order,
            long scratch) {
        VocabularyTiles tiles = pair.tiles();
        long list = (long) Long.BYTES * k * firstState;
        parameters.reset().address(logits, bias, order);
        parameters.address(best[current].address() + list, best[1 - current].address() + list, scratch);
        parameters.i32(tiles.first(tile), tiles.count(tile), pair.stride(), k, Math.min(k, tiles.first(tile)));
        kernel.launch(states, pair.threads(tile), parameters);
    }

    /** All states of a tile were added. */
    void endTile() {
        current = 1 - current;
    }

    /**
     * Waits until the card is through and writes the tokens of the first states, best first, from {@code target[at]}
     * on.
     */
    void read(int states, int[] target, int at) {
        long[] keys = new long[Math.multiplyExact(states, k)];
        device.download(best[current], 0, MemorySegment.ofArray(keys));
        for (int state = 0; state < states; state++) {
            int from = state * k;
            KeyedLogit.sort(keys, from, from + k);
            for (int i = from; i < from + k; i++) {
                target[at + i] = KeyedLogit.token(keys[i]);
            }
        }
    }
}
