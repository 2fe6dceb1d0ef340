// Rows of numbers as files store them: the bytes of io.groupreduce.matrix.EncodedMatrix. A row is a stream of bits, the
// lowest of a byte first. Numbers have 32 bits (binary32) or 16 (bfloat16), or they are codes of 8 bits or fewer, whose
// widths never rise along the row: so the eight ends of the widths are all that finds a number.
#pragma once
#include <stdint.h>

// A scale format is told by its bytes.
enum GrScaleBytes { GR_NO_SCALE = 0, GR_SCALE_LOG8 = 1, GR_SCALE_BF16 = 2, GR_SCALE_F32 = 4 };

// A code c of b bits is the value (2 c + 1 - 2^b) half(b) for b below 8, and c - 128 for b = 8: signed bytes. Byte b of
// this number is half(b); io.groupreduce.matrix.CodeValues.
#define GR_CODE_HALVES 0x010204070c142000ull

// Which scales are tried: io.groupreduce.matrix.ScaleSearch.
#define GR_NEAR 64
#define GR_WIDE_BITS 6
#define GR_DEVIATION 40
#define GR_UP 1.5422108f
#define GR_DOWN 0.6209289f

struct GrRowForm {
    int32_t row_bytes;
    int32_t width;
    int32_t bits;            // of the first number
    int32_t block;           // numbers that share a scale
    int32_t scales_per_row;  // 0 where numbers are no codes
    int32_t scale_bytes;     // GrScaleBytes
    int32_t at_least[8];     // [b - 1]: how many numbers have b bits or more; only where they are codes
};
static_assert(sizeof(GrRowForm) == 56, "as Java writes it");

struct GrStoredRows {
    uint8_t* codes;   // row_bytes a row; a multiple of 4 for binary32 and of 2 for bfloat16
    uint8_t* scales;  // scales_per_row * scale_bytes a row
    GrRowForm form;
    int32_t first;  // the number of its first row among those that a kernel takes; 0 where it takes rows of one matrix
};
static_assert(sizeof(GrStoredRows) == 80, "as Java writes it");
