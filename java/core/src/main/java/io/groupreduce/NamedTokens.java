package io.groupreduce;

import io.groupreduce.error.InvalidDataException;
import java.util.Arrays;

/** What a request knows of single tokens, in the order in which they were first named. */
final class NamedTokens {
    private Entry[] entries = new Entry[16];
    /** Open addressing, linear probing: one more than an index, 0 for an empty place. */
    private int[] table = new int[64];

    private int size;
    private int largest = -1;

    /** One token. */
    static final class Entry {
        final int token;
        double bias;
        boolean seen;
        int accepted;

        Entry(int token) {
            this.token = token;
        }
    }

    void copyFrom(NamedTokens other) {
        for (int i = 0; i < other.size; i++) {
            Entry from = other.entries[i];
            Entry to = entry(from.token);
            to.bias = from.bias;
            to.seen = from.seen;
            to.accepted = from.accepted;
        }
    }

    int size() {
        return size;
    }

    Entry at(int index) {
        return entries[index];
    }

    /** The largest token, -1 for none. */
    int largest() {
        return largest;
    }

    /** The index of a token, or -1. */
    int find(int token) {
        return table[slot(token)] - 1;
    }

    /** Of a token that is not there, a new entry. */
    Entry entry(int token) {
        if (token < 0) {
            throw new InvalidDataException("A request names token " + token + "; tokens count from 0.");
        }
        int slot = slot(token);
        if (table[slot] > 0) {
            return entries[table[slot] - 1];
        }
        if (size == entries.length) {
            grow();
            slot = slot(token);
        }
        Entry entry = new Entry(token);
        entries[size++] = entry;
        table[slot] = size;
        largest = Math.max(largest, token);
        return entry;
    }

    private int slot(int token) {
        int mask = table.length - 1;
        int slot = token * 0x9E3779B1 >>> 7 & mask;
        while (table[slot] > 0 && entries[table[slot] - 1].token != token) {
            slot = slot + 1 & mask;
        }
        return slot;
    }

    private void grow() {
        entries = Arrays.copyOf(entries, 2 * size);
        table = new int[8 * size];
        for (int i = 0; i < size; i++) {
            table[slot(entries[i].token)] = i + 1;
        }
    }
}
