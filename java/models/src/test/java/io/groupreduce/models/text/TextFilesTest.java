package io.groupreduce.models.text;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.groupreduce.error.FileAccessException;
import io.groupreduce.error.GroupReduceException;
import io.groupreduce.error.InvalidDataException;
import io.groupreduce.error.MalformedFileException;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TextFilesTest {
    @TempDir
    Path directory;

    private Path write(String name, byte[] content) throws IOException {
        return Files.write(directory.resolve(name), content);
    }

    private Path write(String name, String content) throws IOException {
        return write(name, content.getBytes(StandardCharsets.UTF_8));
    }

    private static byte[] gzip(String content) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        try (GZIPOutputStream packed = new GZIPOutputStream(out)) {
            packed.write(content.getBytes(StandardCharsets.UTF_8));
        }
        return out.toByteArray();
    }

    private static List<TextFiles.Piece> pieces(InputStream standardInput, Path... files) {
        List<TextFiles.Piece> pieces = new ArrayList<>();
        try (TextFiles text = TextFiles.open(List.of(files), standardInput)) {
            for (TextFiles.Piece piece = text.next(); piece != null; piece = text.next()) {
                pieces.add(piece);
            }
            assertNull(text.next());
            boolean sized = !Arrays.asList(files).contains(TextFiles.STANDARD_INPUT);
            assertEquals(sized ? 1 : 0, text.fraction());
        }
        return pieces;
    }

    private static List<TextFiles.Piece> pieces(Path... files) {
        return pieces(InputStream.nullInputStream(), files);
    }

    @Test
    void filesFollowEachOtherPlainPackedOrFromStandardInput() throws IOException {
        InputStream standardInput = new ByteArrayInputStream(gzip("drei\n"));
        List<TextFiles.Piece> pieces = pieces(
                standardInput,
                write("a.txt", "\ufeffein ä 😀\r\n"),
                write("b.txt", gzip("zwei\n\nzwei")),
                TextFiles.STANDARD_INPUT);
        assertEquals(
                List.of(
                        new TextFiles.Piece("ein ä 😀\r\n", true),
                        new TextFiles.Piece("zwei\n\nzwei", true),
                        new TextFiles.Piece("drei\n", true)),
                pieces);
    }

    @Test
    void longFilesComeInPiecesThatEndWithALine() throws IOException {
        StringBuilder text = new StringBuilder();
        for (int line = 0; text.length() < 3 * TextFiles.PIECE; line++) {
            text.append("line ").append(line).append(" of ä text\n\n");
        }
        for (byte[] content : List.of(text.toString().getBytes(StandardCharsets.UTF_8), gzip(text.toString()))) {
            List<TextFiles.Piece> pieces = pieces(write("long", content));
            assertTrue(pieces.size() >= 3 && pieces.get(0).first());
            StringBuilder joined = new StringBuilder();
            for (TextFiles.Piece piece : pieces) {
                assertEquals(joined.isEmpty(), piece.first());
                assertTrue(piece.text().startsWith("line ") && piece.text().endsWith("\n\n"));
                joined.append(piece.text());
            }
            assertEquals(text.toString(), joined.toString());
        }
    }

    @Test
    void longLinesAreCutBetweenCharacters() throws IOException {
        for (String unit : List.of("a", "ä", "€", "😀")) {
            for (String before : List.of("", "a", "aa", "aaa")) {
                String text = before + unit.repeat(TextFiles.PIECE);
                List<TextFiles.Piece> pieces = pieces(write("line", text));
                StringBuilder joined = new StringBuilder();
                pieces.forEach(piece -> joined.append(piece.text()));
                assertEquals(text, joined.toString());
                assertTrue(pieces.get(0).text().getBytes(StandardCharsets.UTF_8).length >= TextFiles.PIECE - 4);
            }
        }
        assertEquals(
                2, pieces(write("blank", "a" + "\n".repeat(TextFiles.PIECE))).size());
    }

    @Test
    void partsOfAPackedFileAreReadFromAPipeThatWaitsBetweenThem() throws IOException {
        ByteArrayOutputStream parts = new ByteArrayOutputStream();
        parts.write(gzip("one\n"));
        parts.write(gzip("two\n"));
        InputStream slow = new FilterInputStream(new ByteArrayInputStream(parts.toByteArray())) {
            @Override
            public int read(byte[] to, int from, int count) throws IOException {
                return super.read(to, from, Math.min(1, count));
            }

            @Override
            public int available() {
                return 0;
            }
        };
        assertEquals(List.of(new TextFiles.Piece("one\ntwo\n", true)), pieces(slow, TextFiles.STANDARD_INPUT));
    }

    @Test
    void refusesWhatIsNoText() throws IOException {
        assertRefused(
                InvalidDataException.class, "byte 0xff at offset 3;", write("bad", new byte[] {'a', 'b', '\n', -1, 'c'
                }));
        String deep = "text\n".repeat(50_000);
        Path late = write("late", deep + "x");
        byte[] content = Files.readAllBytes(late);
        content[content.length - 1] = (byte) 0xe2; // The first of three.
        assertRefused(InvalidDataException.class, "byte 0xe2 at offset 250000;", write("late", content));
        assertRefused(InvalidDataException.class, "byte 0x00 at offset 1;", write("wide", "a\0b\0"));
        assertRefused(
                InvalidDataException.class,
                "byte 0x00 at offset 1 of what it unpacks to;",
                write("wide.gz", gzip("a\0b")));
        for (var charset : List.of(StandardCharsets.UTF_16LE, StandardCharsets.UTF_16BE)) {
            assertRefused(InvalidDataException.class, "UTF-16", write("utf16", "\ufefftext".getBytes(charset)));
        }
    }

    @Test
    void refusesWhatIsNotThere() throws IOException {
        assertRefused(FileAccessException.class, "does not exist", directory.resolve("none"));
        assertRefused(FileAccessException.class, "is a directory", directory);
        assertRefused(InvalidDataException.class, "is empty", write("empty", ""));
        assertRefused(InvalidDataException.class, "is empty", write("empty.gz", gzip("")));
        assertRefused(InvalidDataException.class, "is empty", write("mark", "\ufeff"));
        Path good = write("good", "text");
        assertThrows(InvalidDataException.class, () -> pieces(good, TextFiles.STANDARD_INPUT));
        assertThrows(InvalidDataException.class, () -> pieces(TextFiles.STANDARD_INPUT, TextFiles.STANDARD_INPUT));
    }

    @Test
    void refusesDamagedArchives() throws IOException {
        byte[] packed = gzip("some text\n".repeat(50));
        assertRefused(
                MalformedFileException.class,
                "it ends early",
                write("cut.gz", Arrays.copyOf(packed, packed.length - 9)));
        packed[packed.length - 6] ^= 1;
        assertRefused(MalformedFileException.class, "damaged gzip", write("sum.gz", packed));
    }

    private void assertRefused(Class<? extends GroupReduceException> kind, String reason, Path file) {
        String message = assertThrows(kind, () -> pieces(file)).getMessage();
        assertTrue(message.startsWith(file + " ") && message.contains(reason) && message.endsWith("."), message);
        assertFalse(message.contains("\n"));
    }
}
