package io.groupreduce.cuda.machinecode;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;

/**
 * Reads the kernels of a cubin, which is an ELF file: code in {@code .text.KERNEL}, shared memory as the size of {@code .nv.shared.KERNEL},
 * registers and stack among the attributes of {@code .nv.info}.
 */
final class Cubin {
    private static final int SYMTAB = 2;

    private static final int REGISTERS = 0x2f;
    private static final int FRAME = 0x11;

    /** What every block of a card of compute capability 9.0 and later has besides, and its section counts. */
    private static final long RESERVED_SHARED = 1024;

    private record Section(String name, int type, int at, long bytes) {}

    private final ByteBuffer file;
    private final Map<String, Section> sections = new HashMap<>();

    private Cubin(byte[] bytes) {
        file = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
        int table = (int) file.getLong(0x28);
        int size = file.getShort(0x3a);
        int names = table + size * file.getShort(0x3e);
        for (int s = 0; s < file.getShort(0x3c); s++) {
            int at = table + s * size;
            String name = text((int) file.getLong(names + 0x18) + file.getInt(at));
            sections.put(
                    name,
                    new Section(name, file.getInt(at + 4), (int) file.getLong(at + 0x18), file.getLong(at + 0x20)));
        }
    }

    private String text(int at) {
        int end = at;
        while (file.get(end) != 0) {
            end++;
        }
        return new String(file.array(), at, end - at, StandardCharsets.US_ASCII);
    }

    /** The kernels of a file by name. {@code capability}: 80 for sm_80, 90 for sm_90a. */
    static Map<String, MachineCode> read(Path path, int capability) throws IOException {
        return new Cubin(Files.readAllBytes(path)).kernels(capability);
    }

    private Map<String, MachineCode> kernels(int capability) {
        Map<String, Integer> registers = attributes(REGISTERS);
        Map<String, Integer> frames = attributes(FRAME);
        Map<String, MachineCode> kernels = new TreeMap<>();
        for (Section text : sections.values()) {
            if (text.name.startsWith(".text.")) {
                String name = text.name.substring(".text.".length());
                Section shared = sections.get(".nv.shared." + name);
                long sharedBytes = shared == null ? 0 : shared.bytes - (capability >= 90 ? RESERVED_SHARED : 0);
                long[] code = new long[(int) text.bytes / Long.BYTES];
                file.slice(text.at, (int) text.bytes)
                        .order(ByteOrder.LITTLE_ENDIAN)
                        .asLongBuffer()
                        .get(code);
                kernels.put(
                        name,
                        new MachineCode(name, capability, code, registers.get(name), frames.get(name), sharedBytes));
            }
        }
        return kernels;
    }

    /** An attribute by the name of the function that has it: pairs of a symbol and a number. */
    private Map<String, Integer> attributes(int attribute) {
        Section info = sections.get(".nv.info");
        Map<String, Integer> found = new HashMap<>();
        for (int at = info.at; at < info.at + info.bytes; ) {
            int format = file.get(at);
            int bytes = format == 4 ? file.getShort(at + 2) : 0;
            if (format == 4 && file.get(at + 1) == attribute) {
                found.put(symbol(file.getInt(at + 4)), file.getInt(at + 8));
            }
            at += 4 + bytes;
        }
        return found;
    }

    private String symbol(int number) {
        Section table = sections.values().stream()
                .filter(s -> s.type == SYMTAB)
                .findFirst()
                .orElseThrow();
        return text(sections.get(".strtab").at + file.getInt(table.at + 24 * number));
    }
}
