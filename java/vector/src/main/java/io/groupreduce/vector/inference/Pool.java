package io.groupreduce.vector.inference;

import java.util.concurrent.atomic.AtomicReferenceArray;
import java.util.function.Supplier;

/** Scratch memory for calls that may run at the same time; what does not fit is left to the garbage collector. */
final class Pool<T> {
    private static final int PLACES = 32;

    private final AtomicReferenceArray<T> free = new AtomicReferenceArray<>(PLACES);
    private final Supplier<T> maker;

    Pool(Supplier<T> maker) {
        this.maker = maker;
    }

    /** Something that nobody else has; give it back with {@link #release}. */
    T acquire() {
        for (int i = 0; i < PLACES; i++) {
            T found = free.get(i) == null ? null : free.getAndSet(i, null);
            if (found != null) {
                return found;
            }
        }
        return maker.get();
    }

    void release(T used) {
        for (int i = 0; i < PLACES; i++) {
            if (free.get(i) == null && free.compareAndSet(i, null, used)) {
                return;
            }
        }
    }
}
