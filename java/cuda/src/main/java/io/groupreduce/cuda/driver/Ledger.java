package io.groupreduce.cuda.driver;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** Which memory of a device is open, and what for. */
final class Ledger {
    private static final int NAMED = 3;

    private final Map<AutoCloseable, Entry> open = new LinkedHashMap<>();

    synchronized void opened(DeviceMemory memory, String purpose) {
        open.put(memory, new Entry(purpose, memory.bytes(), false, false));
    }

    /**
     * @param own whether the device keeps it for itself until it is closed
     */
    synchronized void opened(PinnedMemory memory, String purpose, boolean own) {
        open.put(memory, new Entry(purpose, memory.segment().byteSize(), true, own));
    }

    synchronized void closed(AutoCloseable memory) {
        open.remove(memory);
    }

    /** Open allocations, without those that the device keeps for itself. */
    synchronized long count() {
        return open.values().stream().filter(e -> !e.own).count();
    }

    /** All open allocations, the newest first. */
    synchronized List<AutoCloseable> newestFirst() {
        return List.copyOf(open.keySet()).reversed();
    }

    /** The largest purposes with their bytes on the card or in page-locked memory, for a message; empty when nothing is open. */
    synchronized String largest(boolean pinned) {
        Map<String, Long> bytes = new TreeMap<>();
        open.values().stream().filter(e -> e.pinned == pinned).forEach(e -> bytes.merge(e.purpose, e.bytes, Long::sum));
        return bytes.entrySet().stream()
                .sorted(Map.Entry.<String, Long>comparingByValue(Comparator.reverseOrder())
                        .thenComparing(Map.Entry.comparingByKey()))
                .limit(NAMED)
                .map(e -> e.getKey() + " " + size(e.getValue()))
                .collect(Collectors.joining(", "));
    }

    /** Bytes as people read them. */
    static String size(long bytes) {
        if (bytes < 1 << 10) {
            return bytes + " bytes";
        }
        if (bytes < 1 << 20) {
            return String.format(Locale.ROOT, "%.1f KiB", bytes / 1024.0);
        }
        if (bytes < 1 << 30) {
            return String.format(Locale.ROOT, "%.1f MiB", bytes / 1048576.0);
        }
        return String.format(Locale.ROOT, "%.1f GiB", bytes / 1073741824.0);
    }

    private record Entry(String purpose, long bytes, boolean pinned, boolean own) {}
}
