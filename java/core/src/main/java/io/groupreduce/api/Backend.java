package io.groupreduce.api;

/**
 * One device that compresses, compares and answers queries, as {@link io.groupreduce.BackendSelection} starts it. Any number of heads,
 * tables and compressions may share one.
 */
public interface Backend extends AutoCloseable {
    /** A short name: {@code reference}, {@code vector}, {@code cuda:0}. */
    String name();

    /** One line for a person: the instruction set or the card, and how many threads. */
    String description();

    /** Frees what the backend holds; calling it again does nothing. What uses it is closed before. */
    @Override
    void close();
}
