package io.groupreduce.models.text;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Small tokenizers of every kind, as files. */
public final class TokenizerFiles {
    private TokenizerFiles() {}

    /**
     * WordPiece as BERT has it, lower case: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, the 5, cat 6, ##s 7, sat 8, ',' 9, no token 10,
     * the added {@code <new>} 11, mat 12; texts are cut to 4 tokens and padded to 8, which a reader switches off.
     */
    public static final String BERT = """
            {"version": "1.0",
             "truncation": {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
             "padding": {"strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
                         "pad_type_id": 0, "pad_token": "[PAD]"},
             "added_tokens": [%s, %s, %s, %s, %s, %s],
             "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null,
                            "lowercase": true},
             "pre_tokenizer": {"type": "BertPreTokenizer"},
             "post_processor": {"type": "TemplateProcessing",
                "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                           {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]},
                                   "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}},
             "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
             "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                       "max_input_chars_per_word": 100,
                       "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "the": 5, "cat": 6, "##s": 7,
                                 "sat": 8, ",": 9, "mat": 12}}}
            """.formatted(
                    added(0, "[PAD]", true),
                    added(1, "[UNK]", true),
                    added(2, "[CLS]", true),
                    added(3, "[SEP]", true),
                    added(4, "[MASK]", true),
                    added(11, "<new>", false));

    /** Byte-level BPE as GPT-2 has it: a 0, b 1, space 2, line feed 3, TAB 4, CR 5, "ab" 6, " a" 7, and the special {@code <|end|>} 8. */
    public static final String GPT = """
            {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [%s], "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
             "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true},
             "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
             "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                       "fuse_unk": false, "byte_fallback": false,
                       "vocab": {"a": 0, "b": 1, "Ġ": 2, "Ċ": 3, "ĉ": 4, "č": 5, "ab": 6, "Ġa": 7},
                       "merges": ["a b", "Ġ a"]}}
            """.formatted(added(8, "<|end|>", true));

    /** Unigram as T5 has it: pad 0, {@code </s>} 1, unk 2, "▁" 3, "▁a" 4, "b" 5. */
    public static final String T5 =
            """
            {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [%s, %s, %s], "normalizer": null,
             "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
             "post_processor": {"type": "TemplateProcessing",
                "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
             "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true},
             "model": {"type": "Unigram", "unk_id": 2, "byte_fallback": false,
                       "vocab": [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["▁", -2.0], ["▁a", -1.0], ["b", -1.5]]}}
            """.formatted(added(0, "<pad>", true), added(1, "</s>", true), added(2, "<unk>", true));

    /** Whole words, split at blanks: the 0, cat 1; a word that is not there is refused. */
    public static final String WORDS = """
            {"version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
             "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
             "model": {"type": "WordLevel", "vocab": {"the": 0, "cat": 1}, "unk_token": "<none>"}}
            """;

    private static String added(int id, String token, boolean special) {
        return ("{\"id\": %d, \"content\": \"%s\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false,"
                        + " \"normalized\": false, \"special\": %s}")
                .formatted(id, token, special);
    }

    /** Writes one as {@code tokenizer.json} into a directory. */
    public static Path write(Path directory, String json) {
        try {
            return Files.writeString(directory.resolve("tokenizer.json"), json);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
