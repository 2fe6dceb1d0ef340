// Stored rows to packed strips, and packed strips back to rows of A^. Twins:
// io.groupreduce.vector.inference.TilePacker and RowReader, rows of
// io.groupreduce.internal.reference.ReferenceInference.
#include "softmax_strip.h"

namespace gr::softmax {
namespace {

constexpr int ROW_THREADS = 128;
constexpr int LEFT = 512;  // numbers of a left row that shared memory holds at a time

// The bits of a number of F32 or BF16 of this lane and tile: see softmax.h; 0 for what pads.
GR_DEVICE unsigned number_bits(const GrPackParams& p, int strip, int slice, int tile, int number) {
    const GrRowForm& form = p.stored.form;
    const int row = strip * STRIP + tile * 16 + lane() / 4 + number / 2 % 2 * 8;
    const int column = slice * 16 + lane() % 4 * 2 + number % 2 + number / 4 * 8;
    if (row >= p.rows || column >= form.width) {
        return 0;
    }
    const uint8_t* at = p.stored.codes + static_cast<int64_t>(row) * form.row_bytes;
    return form.bits == 32 ? reinterpret_cast<const unsigned*>(at)[column]
                           : reinterpret_cast<const unsigned short*>(at)[column];
}

GR_DEVICE void pack_slice(const GrPackParams& p, int strip, int slice) {
    const int bits = p.stored.form.bits;
    uint8_t* to = p.packed + strip * p.strip_bytes + slice * bits * 64;
    for (int piece = 0; piece < bits / 8; piece++) {
        unsigned four[4];
        GR_UNROLL
        for (int i = 0; i < 4; i++) {
            four[i] = bits == 32 ? number_bits(p, strip, slice, piece / 2, piece % 2 * 4 + i)
                                 : number_bits(p, strip, slice, piece, 2 * i) |
                                       number_bits(p, strip, slice, piece, 2 * i + 1) << 16;
        }
        reinterpret_cast<uint4*>(to + piece * 512)[lane()] = make_uint4(four[0], four[1], four[2], four[3]);
    }
}

// One word of this lane of a block of codes.
GR_DEVICE unsigned code_word(const GrPackParams& p, int strip, int block, int bits, bool half, int word) {
    unsigned packed = 0;
    for (int bit = 0; bit < 32; bit++) {
        const CodeBit from = code_bit(bits, half, word, bit);
        const int row = strip * STRIP + 8 * from.pair + lane() / 4;
        const int column = block * BLOCK_DIRECTIONS + (from.upper ? 16 : 0) + 4 * (lane() % 4) + from.byte;
        if (row < p.rows && column < p.stored.form.width) {
            const uint8_t* codes = p.stored.codes + static_cast<int64_t>(row) * p.stored.form.row_bytes;
            packed |= (stored::code(codes, stored::place(p.stored.form, column)) >> from.bit & 1) << bit;
        }
    }
    return packed;
}

GR_DEVICE void pack_codes(const GrPackParams& p, int strip, int block) {
    const BlockPlace place = block_place(p.runs, block);
    uint8_t* to = p.packed + strip * p.strip_bytes + place.offset;
    const int words = place.half ? place.bits / 2 : place.bits;
    for (int word = 0; word < words; word++) {
        *reinterpret_cast<unsigned*>(to + word_offset(words, word)) =
            code_word(p, strip, block, place.bits, place.half, word);
    }
}

// Numbers of 32 rows and columns of a packed matrix with their scales, 0 for what pads; by a warp.
struct NumberTile {
    float number[STRIP][BLOCK_DIRECTIONS + 1];
};

GR_DEVICE void decode_numbers(NumberTile& tile, const GrPacked& m, int strip, int block) {
    const uint8_t* at = m.codes + strip * m.strip_bytes;
    const int bits = m.form.bits;
    const int slices = min(2, (m.form.width + 15) / 16 - 2 * block);
    for (int i = 0; i < 16 * slices; i++) {
        const int slice = i / 16, t = i / 8 % 2, number = i % 8;
        const uint8_t* piece = at + (2 * block + slice) * bits * 64 + lane() * 16;
        const float found =
            bits == 32 ? reinterpret_cast<const float*>(piece + (2 * t + number / 4) * 512)[number % 4]
                       : from_bf16(reinterpret_cast<const unsigned short*>(piece + t * 512)[number]);
        tile.number[t * 16 + lane() / 4 + number / 2 % 2 * 8]
                   [slice * 16 + lane() % 4 * 2 + number % 2 + number / 4 * 8] = found;
    }
}

GR_DEVICE void decode_codes(NumberTile& tile, const GrPacked& m, int strip, int block, const float* log8) {
    const BlockPlace place = block_place(m.runs, block);
    const uint8_t* at = m.codes + strip * m.strip_bytes + place.offset;
    const int words = place.half ? place.bits / 2 : place.bits;
    unsigned word[8] = {}, a[2][4] = {};
    GR_UNROLL
    for (int i = 0; i < 8; i++) {
        word[i] = i < words ? *reinterpret_cast<const unsigned*>(at + word_offset(words, i)) : 0;
    }
    decode_any(word, place, a);
    GR_UNROLL
    for (int column = 0; column < 8; column++) {
        const int in_block = column / 4 * 16 + lane() % 4 * 4 + column % 4;
        const Direction direction = direction_of(m.form, block * BLOCK_DIRECTIONS + in_block);
        const float offset = 0.5f * static_cast<float>(direction.twice_offset);
        GR_UNROLL
        for (int pair = 0; pair < 4; pair++) {
            const unsigned code = a[pair / 2][pair % 2 + column / 4 * 2] >> column % 4 * 8 & 0xff;
            tile.number[8 * pair + lane() / 4][in_block] = direction.factor * (static_cast<float>(code) - offset);
        }
    }
    sync_warp();
    // A lane has a row.
    const int64_t row = static_cast<int64_t>(strip) * STRIP + lane();
    const int scale_block = scales_blocks(m.form) ? block : 0;
    const float scale = row < m.rows ? stored::scale(m.scales, m.form.scale_bytes,
                                                     row * m.form.scales_per_row + scale_block, log8)
                                     : 0;
    for (int column = 0; column < BLOCK_DIRECTIONS; column++) {
        tile.number[lane()][column] *= scale;
    }
}

GR_DEVICE void decode_tile(NumberTile& tile, const GrPacked& m, int strip, int block, const float* log8) {
    sync_warp();
    if (has_codes(m.form)) {
        decode_codes(tile, m, strip, block, log8);
    } else {
        decode_numbers(tile, m, strip, block);
    }
    sync_warp();
}

// What a block of gr_rows works with.
struct RowsMemory {
    NumberTile tiles[ROW_THREADS / WARP];
    float left[GR_ROWS_OF_BLOCK][LEFT];
};

// A row of a packed matrix, numbers first .. first + count - 1, by the warps of a block; count is 0 mod 32 but at the
// end.
GR_DEVICE void read_row(float* to, NumberTile& tile, const GrPacked& m, int slot, int first, int count,
                        const float* log8) {
    for (int at = warp() * BLOCK_DIRECTIONS; at < count; at += ROW_THREADS) {
        decode_tile(tile, m, slot / STRIP, (first + at) / BLOCK_DIRECTIONS, log8);
        if (at + lane() < count) {
            to[at + lane()] = tile.number[slot % STRIP][lane()];
        }
    }
}

}  // namespace

// Stored rows to packed strips.
//
//   packed(place of (i, k)) = stored(i, k)
//
// Shapes: rows x width stored, strips of 32 rows in blocks of 32 columns packed (see softmax.h); what pads is 0. Bytes:
// the stored rows once (a lane takes single numbers, neighbours in the same 32 bytes), the packed ones once. Never
// materialised: a number with its scale.
GR_KERNEL(gr_pack, GrPackParams, 256) {
    const int blocks = blocks_of(p.stored.form);
    const int64_t unit = thread_in_grid() / WARP;
    if (unit >= static_cast<int64_t>(p.strips) * blocks) {
        return;
    }
    const int strip = static_cast<int>(unit / blocks), block = static_cast<int>(unit % blocks);
    if (has_codes(p.stored.form)) {
        pack_codes(p, strip, block);
        return;
    }
    for (int slice = 2 * block; slice < 2 * block + 2 && slice * 16 < p.stored.form.width; slice++) {
        pack_slice(p, strip, slice);
    }
}

// Rows of A^.
//
//   row_j = sum_k left_k right_kj     (a dense group: left_j; a zero group: 0)
//
// Shapes: count x columns out; sums in binary32, k ascending. A block takes 8 rows, and for each basis that they are of
// decodes 32 x 32 numbers of the right factor at a time for all of them. Bytes: a row's packed strip and the right
// factors of its block, which the second-level cache keeps. Never materialised: a decoded right factor.
GR_KERNEL(gr_rows, GrRowsParams, 128, 4) {
    GR_SHARED(RowsMemory, memory, 1);
    RowsMemory& m = memory[0];
    NumberTile& tile = m.tiles[warp()];
    const int first = static_cast<int>(blockIdx.x) * GR_ROWS_OF_BLOCK, count = min(p.count - first, GR_ROWS_OF_BLOCK);
    const auto group_of = [&](int row) { return static_cast<int>(p.group_of[p.tokens[first + row]]); };
    const auto slot_of = [&](int row) { return p.slot_of[p.tokens[first + row]]; };
    float* to = p.rows + static_cast<int64_t>(first) * p.columns;
    for (int row = 0; row < count; row++) {
        const GrPacked& group = p.groups[group_of(row)];
        const int basis = p.basis_of[group_of(row)];
        if (basis < 0 && group.form.width > 0) {
            read_row(to + static_cast<int64_t>(row) * p.columns, tile, group, slot_of(row), 0, p.columns, p.log8);
            continue;
        }
        for (int j = static_cast<int>(threadIdx.x); j < p.columns; j += ROW_THREADS) {
            to[static_cast<int64_t>(row) * p.columns + j] = 0;
        }
    }
    for (int leader = 0; leader < count; leader++) {
        const int basis = p.basis_of[group_of(leader)];
        unsigned members = 0;  // rows of this basis; others have 0 for a left row
        int most = 0;
        for (int row = 0; row < count; row++) {
            if (basis >= 0 && p.basis_of[group_of(row)] == basis) {
                members |= 1u << row;
                most = max(most, static_cast<int>(p.groups[group_of(row)].form.width));
            }
        }
        if ((members & ((1u << leader) - 1)) != 0) {
            most = 0;  // an earlier row has led this basis
        }
        for (int k = 0; k < most; k += LEFT) {
            const int numbers = min(LEFT, most - k);
            sync_block();
            for (int i = static_cast<int>(threadIdx.x); i < GR_ROWS_OF_BLOCK * LEFT; i += ROW_THREADS) {
                m.left[i / LEFT][i % LEFT] = 0;
            }
            sync_block();
            for (int row = 0; row < count; row++) {
                const GrPacked& group = p.groups[group_of(row)];
                if ((members >> row & 1) != 0 && k < group.form.width) {
                    read_row(m.left[row], tile, group, slot_of(row), k, min(LEFT, group.form.width - k), p.log8);
                }
            }
            sync_block();
            for (int j = warp() * BLOCK_DIRECTIONS; j < p.columns; j += ROW_THREADS) {
                float sum[GR_ROWS_OF_BLOCK] = {};
                for (int at = 0; at < numbers; at += STRIP) {
                    decode_tile(tile, p.rights[basis], (k + at) / STRIP, j / BLOCK_DIRECTIONS, p.log8);
                    const int decoded = j + lane() < p.columns ? min(STRIP, numbers - at) : 0;
                    for (int i = 0; i < decoded; i++) {
                        GR_UNROLL
                        for (int row = 0; row < GR_ROWS_OF_BLOCK; row++) {
                            sum[row] = fma(m.left[row][at + i], tile.number[i][lane()], sum[row]);
                        }
                    }
                }
                GR_UNROLL
                for (int row = 0; row < GR_ROWS_OF_BLOCK; row++) {
                    if ((members >> row & 1) != 0 && j + lane() < p.columns) {
                        to[static_cast<int64_t>(row) * p.columns + j + lane()] += sum[row];
                    }
                }
            }
        }
    }
}

}  // namespace gr::softmax
