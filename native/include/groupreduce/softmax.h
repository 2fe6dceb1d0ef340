// Parameters of the fused low-rank softmax kernels: what Java writes and native/kernels/softmax*.cu read.
//
// The product: for hidden states h (B x D), z_b = R_b h for every basis b, and logit_i = L_i z_b[0 : k] + bias_i (a
// dense group has z = h, a zero group has k = 0). Neither the B x N logits nor a decoded factor ever lies in memory.
//
// Packed layout. A group's rows (slots, in the order of their tokens) lie in strips of 32: two m16 tiles of an mma.
// What pads is a number or a code 0. Within a strip, columns go in blocks of 32, of which every lane finds what it feeds to
// the tensor cores.
//   F32   a slice of 16 columns is 4 pieces of 512 bytes, 16 a lane. Of tile t = 0, 1 a lane has the numbers (row,
//         column) = (r, c), (r, c+1), (r+8, c), (r+8, c+1), (r, c+8), (r, c+9), (r+8, c+8), (r+8, c+9) with r = 16 t +
//         lane / 4, c = 16 slice + 2 (lane % 4): eight in this order; piece 2 t + h holds numbers 4 h .. 4 h + 3
//   BF16  a slice is 2 pieces of 512 bytes, 16 a lane: piece t holds the eight numbers of tile t
//   codes A block is as wide as its widest code: 1, 2, 3, 4, 5, 6 or 8 bits. Widths never rise, so a strip is runs of
//         blocks by width. A block of b bits is b words of 32 bits for every lane: pieces of 512 bytes with four words
//         a lane each, then one of 256 with two, then one of 128 with one, as b asks for. At most 16 columns at the end
//         are half a block: 2, 4 or 8 bits, half the words.
// What a lane holds of a block of codes: pair p = 0..3 is the row 8 p + lane / 4 of the strip; its lower codes are of
// columns 4 (lane % 4) + i of the block and its upper ones of those 16 further on, i = 0..3 being the byte of a word.
//   8 bits  word 2 p: lower codes; 2 p + 1: upper ones                                     (half: word p: lower codes)
//   4 bits  word p: lower codes in bits 0-3, upper ones in 4-7                   (half: word p / 2, from bit 4 (p % 2))
//   3 bits  word p < 3: lower codes in bits 0-2, upper ones in 4-6; pair 3: bit n of a lower code is bit 3 of word n,
//           of an upper one bit 7
//   2 bits  word p / 2: lower codes from bit 2 (p % 2), upper ones from 4 + 2 (p % 2)       (half: word 0, from bit 2 p)
//   1 bit   word 0: lower codes in bit p, upper ones in bit 4 + p
//   6 bits  word p: bits 0-3 of lower codes in bits 0-3, bits 2-5 of upper ones in 4-7; word 4 + p / 2, turned right by
//           4 (p % 2): bits 0-1 of upper codes in bits 2-3, bits 4-5 of lower ones in 4-5
//   5 bits  word p: bits 0-3 of lower codes in bits 0-3, bits 1-4 of upper ones in 4-7; word 4, turned right by 2 p: bit
//           0 of upper codes in bit 3, bit 4 of lower ones in 4
// A right factor R_b is packed in the same way, its rows being directions, and so is read by the same code with h as
// the operand.
//
// Operands (z or h) that meet F32 or BF16 are split into three bfloat16 terms by cutting (8 + 8 + 8 bits), an F32
// number of a left factor too; products of terms are summed down to 2^-24 of the whole in binary32 (three mma a slice;
// six for F32). Operands that meet codes are four signed bytes of a whole number, in units of a power of two (two mma a
// block and two states); sums are exact. Either way results are as good as plain binary32, save that an operand which
// meets codes is known to 2^-31 of the largest one of its state, times what its profile multiplies both by.
#pragma once
#include <stdint.h>

#include "groupreduce/stored.h"

// Blocks of a strip of codes, by width.
struct GrRuns {
    uint16_t blocks[8];  // [b - 1]: whole blocks of b bits; there are none of 7: [6] is the bits of the half at the end
};
static_assert(sizeof(GrRuns) == 16, "as Java writes it");

// A packed matrix: the left factor or dense rows of a group, or the right factor of a basis. Lies in device memory.
struct GrPacked {
    const uint8_t* codes;   // packed strips, one after the other; null when there are no columns
    const uint8_t* scales;  // as stored, row-major, rows padded to 32; null for F32 and BF16
    const float* bias;      // per slot, or null
    const int32_t* tokens;  // per slot; null for a right factor
    int64_t strip_bytes;    // a multiple of 128
    int32_t rows;           // slots that count; the last strip may hold fewer than 32
    int32_t operand;        // where its operand begins in a row of z, or -1 when the operand is the hidden state itself
    GrRowForm form;         // as stored; scales are one a row or one for every 32 columns; width 0 for a zero group
    GrRuns runs;            // of codes
};
static_assert(sizeof(GrPacked) == 120, "as Java writes it");

// Strips of one group, which follow each other, of what a block of threads does: warp w of the 8 takes those from w
// strips / 8 on.
struct GrSegment {
    int32_t group, first_strip, strips;
    // A tile is up to 8 strips of a warp that follow each other: tile t of warp w has the number first_tile + w n + t
    // where n = ceil(ceil(strips / 8) / 8), and may be empty.
    int32_t first_tile;
};
static_assert(sizeof(GrSegment) == 16, "as Java writes it");

// Up to 8 strips of one group.
struct GrTile {
    int32_t group;
    int32_t first_strip;
    int32_t strips;
};
static_assert(sizeof(GrTile) == 12, "as Java writes it");

// Rows as they are stored in a file, to packed strips; launched per matrix.
struct GrPackParams {
    GrStoredRows stored;
    uint8_t* packed;
    int64_t strip_bytes;
    GrRuns runs;
    int32_t rows, strips;
};
// kernel gr_pack: block 256, grid.x covers strips * ceil(width / 32) warps (a warp packs a block of its strip)

// z = R h for every basis. Block 256: 8 warps share the width of one strip of directions and add up in a fixed order;
// grid.x = strips of all right factors (GrTile with strips = 1), grid.y = blocks of 8 states. Dynamic shared bytes:
// GR_RING_BYTES + panel_bytes.
struct GrProjectParams {
    const GrPacked* rights;
    const GrTile* tiles;  // one a strip, tile.group numbers rights
    const float* hidden;  // states x columns
    float* z;             // states x directions; rights[b].operand says where basis b begins, a multiple of 32
    const float* log8;    // 256 scales of ScaleFormat.LOG8
    int32_t states, columns, directions;
    int32_t panel_bytes;  // see GrSoftmaxParams; n = 8
};
// kernel gr_project; z of padding rows comes out 0

// What is asked about a state, in device memory. A token that is not open has no logit, no share in the sum, no place
// in the list and is not drawn.
struct GrQuestion {
    const uint32_t* open;  // bit t % 32 of word t / 32 for token t; null for all tokens
    uint64_t noise;        // GumbelNoise.key
    double temperature;    // of the draw; 0: none is wanted
    float sum_scale;       // 1 / the temperature of the sum; positive
    int32_t state;         // the row of hidden and z
    int32_t listed;        // tokens of its list; one and none take no list kernels
    int32_t unused;
};
static_assert(sizeof(GrQuestion) == 40, "as Java writes it");

// What a block found over all its tiles for one question.
struct GrPartial {
    uint64_t best;   // key of the largest logit, 0 for none
    float sum;       // of exp((logit - the largest) * sum_scale)
    float drawn;     // logit of the token drawn
    int32_t token;   // drawn, -1 for none
    int32_t broken;  // whether a logit was NaN or +infinity
};
static_assert(sizeof(GrPartial) == 24, "as Java makes room for it");

// A key orders logits, the largest first and of equal ones the lower token: (bits of the logit made monotonic) << 32 |
// ~token. -0 counts as 0. 0 is no key, and the logit -infinity has none. NaN becomes the largest.

// What logits are made of; they come out as cap * tanh(logit / cap) where there is a cap.
struct GrInputs {
    const GrPacked* groups;
    const float* hidden;  // states x columns
    const float* z;       // states x directions
    const float* log8;    // 256 scales of ScaleFormat.LOG8
    int32_t columns, directions;
    float cap;  // 0 for none
};

// Shared memory of a block of 256 for packed numbers on their way: asynchronous copies are four pieces of 1,024 bytes a
// warp.
#define GR_RING_BYTES 32768

// Shared memory for operands of a block of 32 columns: of F32 and BF16, of codes by pairs of states (bytes, and where
// sums begin).
#define GR_TERM_BYTES 1536
#define GR_DIGIT_BYTES 288

// One pass over the whole head: persistent blocks of 256 threads, each over the segments first_segment[b] ..
// first_segment[b + 1] - 1. grid.y = blocks of n questions, for the kernels gr_softmax_2, _4, _8 (n = 2, 4, 8). Dynamic
// shared bytes: GR_RING_BYTES + panel_bytes. What is null is not wanted.
struct GrSoftmaxParams {
    GrInputs inputs;
    const GrQuestion* questions;
    const GrSegment* segments;
    const int32_t* first_segment;  // grid.x + 1
    GrPartial* partial;            // count x grid.x
    uint64_t* tile_keys;           // count x tile_count: the best key of every tile, or null
    float* logits;                 // count x vocabulary by token, or null; not of tokens that are not open
    int32_t count;              // questions
    int32_t tile_count, vocabulary;
    // What there is for operands: a group whose columns need more (GR_TERM_BYTES, or n / 2 * GR_DIGIT_BYTES, for every
    // 32) takes them in chunks. A multiple of 16 that holds 32 columns at least.
    int32_t panel_bytes;
    int32_t masked;  // whether some questions have tokens that are not open
    int32_t drawn;   // whether some questions want a draw
};

// The answer to a question.
struct GrAnswer {
    double sum;     // of exp((logit - the largest) * sum_scale); NaN where there is no answer
    uint64_t best;  // key of the largest logit; 0 where there is no answer
    float drawn;    // logit of the token drawn; NaN without one
    int32_t token;  // drawn; -1 where none was wanted or there is no answer
};
static_assert(sizeof(GrAnswer) == 24, "as Java reads it");

// Merges the partials of every question in a fixed order. grid.x = questions, block 128.
struct GrFinishParams {
    const GrQuestion* questions;
    const GrPartial* partial;  // questions x blocks
    const float* z;            // states x directions: a coordinate that is not finite breaks the state
    GrAnswer* answers;
    int32_t blocks, directions;
};
// kernel gr_finish

// A token whose logit is wanted.
struct GrTarget {
    int32_t state;  // -1: nothing is wanted
    int32_t token;
};
static_assert(sizeof(GrTarget) == 8, "as Java writes it");

// Logits of given tokens by the same sums as gr_softmax. Block 256, grid.x = targets.
struct GrTargetParams {
    GrInputs inputs;
    const uint8_t* group_of;  // per token
    const int32_t* slot_of;   // per token
    const GrTarget* targets;
    float* logits;  // one a target
    int32_t count;  // targets
};
// kernel gr_target

// The k largest of n keys a question, all different (0 is no key and never taken). One block of 512 threads a question.
// Writes their places in any order (gr_select_places; -1 where there are no more) or the keys themselves, sorted
// descending, as tokens and logits (gr_select_sorted; -1 and NaN where there are no more). 1 <= k <= GR_MOST_SELECTED.
#define GR_MOST_SELECTED 1024
struct GrSelectParams {
    const GrQuestion* questions;  // k is `listed` where that is from 2 to k, else nothing is taken; null: k for all
    const uint64_t* keys;         // questions x n
    int32_t* places;              // questions x k
    int32_t* tokens;              // questions x k
    float* logits;                // questions x k
    int32_t n, k;
};
// kernels gr_select_places (writes places), gr_select_sorted (writes tokens and logits)

// The keys of all rows of chosen tiles, the logits as gr_softmax wrote them, or else computed by the same sums. grid.x
// = k, grid.y = questions, block 256.
struct GrRescoreParams {
    GrInputs inputs;
    const GrQuestion* questions;
    const GrTile* tiles;
    const int32_t* places;  // questions x k: tiles, -1 for none
    const float* logits;    // questions x vocabulary, or null: computed again
    // questions x k x 256, of lists of two and more; 0 where there is no row or its token is not open
    uint64_t* keys;
    int32_t k, vocabulary;
};
// kernel gr_rescore

// Rows of A^ as binary32. Block 128 for GR_ROWS_OF_BLOCK rows, grid.x covers them.
#define GR_ROWS_OF_BLOCK 8
struct GrRowsParams {
    const GrPacked* groups;
    const GrPacked* rights;
    const float* log8;
    const uint8_t* group_of;
    const int32_t* slot_of;
    const int32_t* basis_of;  // per group: its right factor, -1 for dense or zero
    const int32_t* tokens;    // count
    float* rows;              // count x columns
    int32_t columns, count;
};
// kernel gr_rows

// Hidden states of a caller's, as binary32 and multiplied by a number. grid.x covers columns, grid.y = states, block
// 256.
enum GrStateType { GR_STATES_F32 = 0, GR_STATES_F16 = 1, GR_STATES_BF16 = 2 };
struct GrStatesParams {
    const void* from;  // state s at s * stride numbers
    float* hidden;     // states x columns
    int64_t stride;
    int32_t type;  // GrStateType
    int32_t columns;
    float scale;
};
// kernel gr_states

// Writes questions about states first, first + 1, .. to their places: one a state, for all tokens, sums at temperature
// 1. Parameters of a launch need no memory of the host that would have to wait. One block of 64.
#define GR_MOST_ASKED 64
struct GrAskParams {
    GrQuestion* questions;
    int32_t first, count, listed;
    uint64_t noise[GR_MOST_ASKED];
    double temperature[GR_MOST_ASKED];  // negative: no token is chosen; 0: the likeliest; else drawn
};
// kernel gr_ask

// Answers to such questions, to where the caller wants them; what is null is not wanted. grid.x = questions, block 128.
struct GrDeliverParams {
    const GrQuestion* questions;
    const GrAnswer* answers;
    const int32_t* list_tokens;  // questions x listed, of lists of two and more
    const float* list_logits;
    int32_t* tokens;      // one a question: the chosen one; -1 without an answer, as everywhere
    float* logits;        // its logit; NaN without an answer, as everywhere
    double* log_sum_exp;  // one a question
    int32_t* to_tokens;   // questions x listed
    float* to_logits;     // questions x listed
    int32_t listed;
};
// kernel gr_deliver
