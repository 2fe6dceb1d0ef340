package io.groupreduce.vector.inference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

class CodeMemoryTest {
    @Test
    void memoryIsZeroedAlignedAndGivenBack() throws IOException {
        Path status = Path.of("/proc/self/status");
        assumeTrue(Files.isReadable(status), "only Linux tells the size of the address space");
        long bytes = 48L << 20;
        long before = addressSpace(status);
        for (int i = 0; i < 100; i++) {
            try (Arena arena = Arena.ofShared()) {
                MemorySegment memory = CodeMemory.allocate(arena, bytes);
                assertEquals(bytes, memory.byteSize());
                assertEquals(0, memory.address() % 64, "alignment");
                assertEquals(0, memory.get(ValueLayout.JAVA_BYTE, bytes - 1));
                memory.set(ValueLayout.JAVA_BYTE, bytes - 1, (byte) 1);
            }
        }
        // 100 times 48 MB if nothing were given back.
        assertTrue(addressSpace(status) - before < 1L << 30, "address space grew");
    }

    private static long addressSpace(Path status) throws IOException {
        String line = Files.readAllLines(status).stream()
                .filter(l -> l.startsWith("VmSize:"))
                .findFirst()
                .orElseThrow();
        return Long.parseLong(line.replaceAll("\\D", "")) << 10;
    }
}
