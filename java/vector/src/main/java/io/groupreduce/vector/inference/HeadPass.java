package io.groupreduce.vector.inference;

import static io.groupreduce.vector.inference.Codes.TILE;
import static io.groupreduce.vector.kernel.Lanes.NR;

import io.groupreduce.internal.select.Drawing;
import io.groupreduce.internal.select.FullRanking;
import io.groupreduce.internal.select.Ranking;
import io.groupreduce.vector.kernel.Lanes;
import io.groupreduce.vector.kernel.Workers;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The memory of a query and its work, a block of hidden states at a time: {@link #take} computes their coordinates, {@link #ask} answers
 * a question about them in one pass over all tiles of the head. Answers may be read until the next of these.
 *
 * <pre>x = (L_p[i] . z_b[0 : k_p]) scale_i + bias_i</pre>
 *
 * <p>Coordinates are shared out by panels of directions; then the tiles, some of them a task, the number and order of which depend on
 * the head alone. A single state goes straight over the codes and may leave tiles out ({@link SingleSweep}); several share the decoding of
 * a tile and one matrix product ({@link BatchSweep}). Logits of a tile go into the running softmax of the task, the worker's top tokens or
 * noise, and are forgotten. Sums of tasks are merged in order, tokens have a total order: nothing depends on who computed what.
 */
final class HeadPass {
    /** States taken together: whole rows of the matrix product. */
    static final int MOST_STATES = 44 * Lanes.MR;

    /** Below this many bytes of work a second thread costs more than it saves. */
    private static final long SHARED_BYTES = 1 << 19;

    private static final int TASKS = 256;
    /** The end of a task costs an exponential for every lane of every state, so it should not come too soon. */
    private static final int FEWEST_TILES = 16;

    private static final int MOST_TILES = 32;

    /** One of so many tasks goes first, to find what the rest is compared with. */
    private static final int LEAD = 16;

    private final Workers workers;
    private final PackedHead head;
    private final TailBounds bounds;
    private final StateProjection projection;
    private final Scratch[] scratch;
    private final RunningSoftmax.Merged sums = new RunningSoftmax.Merged();
    private final FullRanking full;
    private final int tilesOfTask;
    private final int tasks;
    private final long headBytes;
    private int states;
    private Question question;

    /**
     * What a pass is to find.
     *
     * @param k how many top tokens
     * @param summed whether the log-sum-exp is wanted, of logits divided by the temperature
     * @param inverse 1 / temperature
     * @param tolerance the most that leaving out may change a log-sum-exp
     * @param drawn whether tokens are to be drawn from the whole vocabulary
     * @param temperature of the draw
     * @param target receives all logits; {@code null} if they are not wanted
     * @param first the place of the first state in the caller's batch, and its row in {@code target}
     */
    record Question(
            int k,
            boolean summed,
            float inverse,
            double tolerance,
            boolean drawn,
            double temperature,
            long seed,
            MemorySegment target,
            int first) {
        static Question top(int k, boolean summed, double temperature, double tolerance) {
            // At extreme temperatures only the largest logit counts, or all count alike; the inverse itself must stay a
            // number that empty places do not survive.
            float inverse = (float) Math.clamp(1 / temperature, 1e-30, 1e30);
            return new Question(k, summed, inverse, tolerance, false, 0, 0, null, 0);
        }

        static Question draw(double temperature, long seed, int first) {
            return new Question(0, false, 1, 0, true, temperature, seed, null, first);
        }

        static Question logits(MemorySegment target, int first) {
            return new Question(0, false, 1, 0, false, 0, 0, target, first);
        }

        /** Whether the answer can do without some tokens. */
        boolean prunable() {
            return target == null && (k > 0 || drawn || summed) && (!summed || tolerance > 0);
        }
    }

    /** Memory of one worker. */
    static final class Scratch {
        /** Floats of a panel. */
        static final int PANEL = TileKernel.DIRECTIONS * NR;

        final RunningSoftmax softmax = new RunningSoftmax();
        final Ranking ranking = new Ranking();
        final NoiseSearch noise = new NoiseSearch();
        final float[] part = new float[TILE];
        float[] logits = new float[0];
        /** Multiplications of a single state that were made, of how many. */
        double made;

        double all;
        private float[] panels;
        private float[] tables = new float[0];
        private PackedHead.Group tablesOf;

        /** The tables of states for a group, which neighbouring tiles have in common. */
        float[] tables(PackedHead.Group group, StateProjection projection, int states) {
            if (tablesOf != group) {
                tablesOf = group;
                int numbers = group.layout().tableNumbers();
                if (tables.length < Lanes.padRows(states) * numbers) {
                    tables = new float[Lanes.padRows(states) * numbers];
                }
                int index = projection.index(group.basis());
                for (int state = 0; state < states; state++) {
                    int from = state * projection.stride(index);
                    group.layout().tables(projection.z[index], from, tables, state * numbers);
                }
            }
            return tables;
        }

        /** TILE / NR panels of {@link #PANEL} floats; only batches need them. */
        float[] panels() {
            if (panels == null) {
                panels = new float[TILE / NR * PANEL];
            }
            return panels;
        }

        private void start(Question question, int states) {
            int needed = Lanes.padRows(states) * TILE;
            if (logits.length < needed) {
                logits = new float[needed];
            }
            if (question.k > 0) {
                ranking.start(states, question.k);
            }
            if (question.drawn) {
                noise.start(states, question.seed, question.first, question.temperature);
            }
            made = 0;
            all = 0;
            tablesOf = null;
        }
    }

    /** Some tasks of a pass: the way over their tiles, and what becomes of the logits. */
    abstract static class Sweep implements Workers.Task {
        final PackedHead head;
        final StateProjection projection;
        final Question question;
        private final HeadPass pass;
        private final int firstTask;

        /** The tasks from this one on. */
        Sweep(HeadPass pass, int firstTask) {
            this.pass = pass;
            this.firstTask = firstTask;
            head = pass.head;
            projection = pass.projection;
            question = pass.question;
        }

        @Override
        public final void run(int task, int worker) {
            Scratch s = pass.scratch[worker];
            int number = firstTask + task;
            if (question.summed) {
                s.softmax.start(pass.states);
            }
            int end = Math.min(head.tiles(), (number + 1) * pass.tilesOfTask);
            for (int tile = number * pass.tilesOfTask; tile < end; tile++) {
                sweep(tile, s);
            }
            if (question.summed) {
                pass.sums.take(number, s.softmax, question.inverse);
            }
        }

        /** Computes the logits of a tile and has them consumed, or leaves the tile out. */
        abstract void sweep(int tile, Scratch s);

        /**
         * Takes in the logits of a state, which start at {@code at}.
         *
         * @param noise at least what noise adds to one of them
         */
        final void consume(int state, int at, int tile, double noise, Scratch s) {
            int place = tile * TILE;
            int rows = head.group(tile).rows(tile);
            if (question.k > 0) {
                PackedHead.offer(s.ranking, state, s.logits, at, TILE, rows, head.tokens, place);
            }
            if (question.drawn) {
                s.noise.add(state, s.logits, at, rows, head.tokens, place, noise);
            }
            if (question.target != null) {
                long row = ((long) question.first + state) * head.tokenCount();
                for (int i = 0; i < rows; i++) {
                    question.target.setAtIndex(
                            ValueLayout.JAVA_FLOAT_UNALIGNED, row + head.tokens[place + i], s.logits[at + i]);
                }
            }
        }
    }

    /** {@code bounds} is {@code null} where nothing is left out. */
    HeadPass(Workers workers, PackedHead head, TailBounds bounds) {
        this.workers = workers;
        this.head = head;
        this.bounds = bounds;
        projection = new StateProjection(head);
        full = new FullRanking(head.tokenCount());
        tilesOfTask = Math.clamp(Math.ceilDiv(head.tiles(), TASKS), FEWEST_TILES, MOST_TILES);
        tasks = Math.ceilDiv(head.tiles(), tilesOfTask);
        headBytes = head.bytes();
        scratch = new Scratch[workers.count()];
        for (int w = 0; w < scratch.length; w++) {
            scratch[w] = new Scratch();
        }
    }

    /**
     * Takes up states of a batch and computes their coordinates.
     *
     * @param end the first state that is not to be taken
     * @return how many were taken, at most {@link #MOST_STATES}
     */
    int take(float[] hidden, int first, int end) {
        states = Math.min(MOST_STATES, end - first);
        projection.reserve(states);
        System.arraycopy(hidden, first * head.columns, projection.hidden(), 0, states * head.columns);
        share(projection, projection.tasks(), projection.bytes() * states);
        if (states == 1) {
            projection.prepareSingle();
        }
        return states;
    }

    private void share(Workers.Task task, int count, long bytes) {
        if (bytes < SHARED_BYTES) {
            for (int t = 0; t < count; t++) {
                task.run(t, 0);
            }
        } else {
            workers.runOrAlone(count, task);
        }
    }

    /** Answers a question about the states that were taken. */
    void ask(Question asked) {
        question = asked;
        if (asked.summed) {
            sums.start(tasks, states);
        }
        for (Scratch s : scratch) {
            s.start(asked, states);
        }
        if (states > 1) {
            share(new BatchSweep(this, states), tasks, headBytes * states);
        } else if (bounds != null && asked.prunable() && bounds.worthTrying()) {
            askBounded();
        } else {
            share(new SingleSweep(this), tasks, headBytes);
        }
        for (int w = 1; w < scratch.length; w++) {
            if (asked.k > 0) {
                scratch[0].ranking.merge(scratch[w].ranking, states);
            }
            if (asked.drawn) {
                scratch[0].noise.merge(scratch[w].noise, states);
            }
        }
    }

    /** Some tasks first; what they find tells what the others may leave out. */
    private void askBounded() {
        int lead = Math.max(1, tasks / LEAD);
        share(new SingleSweep(this), lead, headBytes * lead / tasks);
        share(new SingleSweep(this, lead, bounds, limit(lead)), tasks - lead, headBytes);
        double made = 0;
        double all = 0;
        for (Scratch s : scratch) {
            made += s.made;
            all += s.all;
        }
        bounds.add(all == 0 ? 1 : made / all);
    }

    /**
     * After the first tasks: the logit below which a token matters to nobody. With a sum, tokens are left out that together add no
     * more than the tolerance to it, which must not depend on the threads; without, every worker compares with its own list too.
     */
    private float limit(int lead) {
        float found = Float.POSITIVE_INFINITY;
        if (question.k > 0) {
            Ranking merged = scratch[0].ranking;
            for (int w = 1; w < scratch.length; w++) {
                merged.merge(scratch[w].ranking, 1);
                scratch[w].ranking.start(1, question.k);
            }
            found = merged.threshold(0);
        }
        for (int w = 1; question.drawn && w < scratch.length; w++) {
            scratch[0].noise.merge(scratch[w].noise, 1);
            scratch[w].noise.merge(scratch[0].noise, 1);
        }
        if (question.summed) {
            float maximum = sums.maximum(0, lead);
            double sum = sums.sum(0, lead, maximum, question.inverse);
            double negligible = Math.log(question.tolerance * sum / head.tokenCount());
            found = Math.min(found, (float) (maximum + negligible / question.inverse));
        }
        return found;
    }

    /** The states and their coordinates. */
    StateProjection projection() {
        return projection;
    }

    /** Whether a state has coordinates; without, some logits would pass comparisons in silence, and there is no answer. */
    boolean finite(int state) {
        return projection.finite(state);
    }

    /** The top tokens found. */
    Ranking ranking() {
        return scratch[0].ranking;
    }

    /** The k tokens of largest logit of a single state that was taken, k of any size. */
    Ranking rankAll(int k) {
        ask(Question.logits(full.target(), 0));
        return full.best(k);
    }

    /** The token drawn; {@link Drawing#NONE} of a state without an answer. */
    int drawn(int state) {
        return finite(state) ? scratch[0].noise.token(state) : Drawing.NONE;
    }

    /** sum exp((x - m) / T) with m the largest logit. */
    double sum(int state) {
        return sums.sum(state, tasks, sums.maximum(state, tasks), question.inverse);
    }

    /** log sum exp(x / T); not a number of a state without an answer. */
    double logSumExp(int state) {
        return finite(state) ? sums.logSumExp(state, tasks, question.inverse) : Double.NaN;
    }
}
