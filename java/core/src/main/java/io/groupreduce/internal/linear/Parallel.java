package io.groupreduce.internal.linear;

import java.util.function.IntConsumer;

/** Runs numbered tasks on some threads and waits for all of them. A task may depend on its number only. */
@FunctionalInterface
public interface Parallel {
    void forEach(int tasks, IntConsumer task);
}
