package io.groupreduce.cuda.compress;

import io.groupreduce.spi.Candidate;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * Where the energies that candidates keep are found: a slot for every pair of basis and rank that is asked for, ranks
 * ascending within a basis, so that one pass over the coordinates in a basis fills all its slots.
 *
 * @param bases the bases in use, ascending
 * @param ends per slot, its rank
 * @param ofCandidate per candidate its slot, {@link #KEEPS_NOTHING} for rank 0, {@link #KEEPS_ALL} for a dense one
 */
record CandidateSlots(List<Used> bases, int[] ends, int[] ofCandidate) {
    /** GR_KEEPS_NOTHING of compress.h. */
    static final int KEEPS_NOTHING = -1;

    /** GR_KEEPS_ALL of compress.h. */
    static final int KEEPS_ALL = -2;

    /**
     * A basis in use.
     *
     * @param longest the largest rank asked for
     * @param first its first slot
     * @param slots how many it has
     */
    record Used(int basis, int longest, int first, int slots) {}

    static CandidateSlots of(List<Candidate> candidates) {
        TreeMap<Integer, TreeSet<Integer>> ranks = new TreeMap<>();
        for (Candidate c : candidates) {
            if (!c.isDense() && c.rank() > 0) {
                ranks.computeIfAbsent(c.basis(), b -> new TreeSet<>()).add(c.rank());
            }
        }
        List<Used> used = new ArrayList<>();
        List<Integer> ends = new ArrayList<>();
        int[] ofCandidate = new int[candidates.size()];
        ranks.forEach((basis, wanted) -> {
            used.add(new Used(basis, wanted.last(), ends.size(), wanted.size()));
            ends.addAll(wanted);
        });
        for (int c = 0; c < ofCandidate.length; c++) {
            Candidate candidate = candidates.get(c);
            ofCandidate[c] = candidate.isDense() ? KEEPS_ALL : KEEPS_NOTHING;
            for (Used basis : used) {
                if (basis.basis() == candidate.basis() && candidate.rank() > 0) {
                    ofCandidate[c] = basis.first()
                            + ranks.get(basis.basis()).headSet(candidate.rank()).size();
                }
            }
        }
        return new CandidateSlots(
                List.copyOf(used), ends.stream().mapToInt(Integer::intValue).toArray(), ofCandidate);
    }
}
