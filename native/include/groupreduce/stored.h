// Rows of numbers as files store them: the bytes of io.groupreduce.matrix.EncodedMatrix. A row is a stream of bits, the
// lowest of a byte first. A codec is told by the bits of a number: 32 for F32, 16 for BF16, 8, 4, 3 for INT8, INT4,
// INT3.
#pragma once
#include <stdint.h>

// A scale format is told by its bytes.
enum GrScaleBytes { GR_NO_SCALE = 0, GR_SCALE_LOG8 = 1, GR_SCALE_BF16 = 2, GR_SCALE_F32 = 4 };

struct GrStoredRows {
    uint8_t* codes;   // row_bytes a row; a multiple of 4 for F32 and of 2 for BF16
    uint8_t* scales;  // scales_per_row * scale_bytes a row
    int32_t row_bytes;
    int32_t width;
    int32_t bits;
    int32_t block;           // numbers that share a scale
    int32_t scales_per_row;  // 0 for F32 and BF16
    int32_t scale_bytes;     // GrScaleBytes
};
static_assert(sizeof(GrStoredRows) == 40, "as Java writes it");
