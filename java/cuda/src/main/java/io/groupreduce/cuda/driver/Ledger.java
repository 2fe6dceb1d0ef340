package io.groupreduce.cuda.driver;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;

/** What of a device is open, and what for. */
final class Ledger {
    private static final int NAMED = 3;

    private final Map<AutoCloseable, Entry> open = new LinkedHashMap<>();

    /** Notes an event, or what else takes next to no memory. */
    synchronized <T extends AutoCloseable> T opened(T handle) {
        open.put(handle, new Entry("", 0, false, true));
        return handle;
    }

    synchronized DeviceMemory opened(DeviceMemory memory, String purpose) {
        open.put(memory, new Entry(purpose, memory.bytes(), false, false));
        return memory;
    }

    /**
     * @param own whether the device keeps it for itself until it is closed
     */
    synchronized PinnedMemory opened(PinnedMemory memory, String purpose, boolean own) {
        open.put(memory, new Entry(purpose, memory.segment().byteSize(), true, own));
        return memory;
    }

    synchronized void closed(AutoCloseable resource) {
        open.remove(resource);
    }

    /** Open allocations, without those that the device keeps for itself. */
    synchronized long count() {
        return open.values().stream().filter(e -> !e.own).count();
    }

    /** All that is open, in the order in which it was opened. */
    synchronized List<AutoCloseable> all() {
        return List.copyOf(open.keySet());
    }

    /** The largest purposes with their bytes on the card or in page-locked memory, for a message; empty when nothing is open. */
    synchronized String largest(boolean pinned) {
        Map<String, Long> bytes = new TreeMap<>();
        open.values().stream()
                .filter(e -> e.bytes > 0 && e.pinned == pinned)
                .forEach(e -> bytes.merge(e.purpose, e.bytes, Long::sum));
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
