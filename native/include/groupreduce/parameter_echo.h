// Parameters of kernels/parameter_echo.cu.
#pragma once

#include <stdint.h>

struct ParameterEchoParams {
    int32_t count;  // of values to be carried through shared memory
    double real;
    float single;
    int64_t wide;
    int32_t last;
    double* out;  // [4 + count]
};
