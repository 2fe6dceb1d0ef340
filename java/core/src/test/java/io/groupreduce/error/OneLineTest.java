package io.groupreduce.error;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import org.junit.jupiter.api.Test;

class OneLineTest {
    @Test
    void whatATerminalObeysIsSpelledOut() {
        assertEquals("a\\u000ab", OneLine.of("a\nb"));
        assertEquals("\\u001b[31mred\\u0007", OneLine.of("\u001b[31mred\u0007"));
        assertEquals("\\u009b2J\\u007f\\u0085", OneLine.of("\u009b2J\u007f\u0085"));
        assertEquals("\\u2028\\u2029", OneLine.of("\u2028\u2029"));
        assertEquals("\\u202egpj.exe\\u2066\\ufeff", OneLine.of("\u202egpj.exe\u2066\ufeff"));
        assertEquals("half \\ud83d, tag \\udb40\\udc41", OneLine.of("half \ud83d, tag \udb40\udc41"));
    }

    @Test
    void ordinaryTextIsLeftAsItIs() {
        for (String text :
                new String[] {"", "lm_head.weight", "größer 数据 \ud83d\ude00 نمی\u200cخواهم", "back\\slash"}) {
            assertSame(text, OneLine.of(text));
        }
    }

    @Test
    void messagesOfFailuresAreOneLine() {
        assertEquals("tensor \\u001b]0;x\\u0007", new InvalidDataException("tensor \u001b]0;x\u0007").getMessage());
    }
}
