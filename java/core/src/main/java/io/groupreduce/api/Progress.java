package io.groupreduce.api;

/** Hears where a long run is. Called from the thread that runs it, a few times a second at most. */
@FunctionalInterface
public interface Progress {
    /** Hears nothing. */
    Progress NONE = (step, fraction) -> {};

    /**
     * A step begins or moved on.
     *
     * @param step what is being done, for a person
     * @param fraction how much of the whole run is done, 0 to 1
     */
    void at(String step, double fraction);
}
