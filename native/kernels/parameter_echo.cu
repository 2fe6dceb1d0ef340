// The driver layer's own check on a machine: out = (real, single, wide, last, 0, 1, ..., count - 1), with the last part
// carried through dynamic shared memory, above 48 KiB too. One block; 8 count bytes of shared memory, 8 (4 + count)
// written. Twin: ParameterEcho in the tests of io.groupreduce.cuda.driver.
#include "groupreduce/device.h"
#include "groupreduce/parameter_echo.h"

GR_KERNEL(gr_parameter_echo, ParameterEchoParams, 256) {
    GR_DYNAMIC_SHARED(double, carried);
    for (int i = static_cast<int>(threadIdx.x); i < p.count; i += static_cast<int>(blockDim.x)) {
        carried[p.count - 1 - i] = static_cast<double>(i);
    }
    gr::sync_block();
    for (int i = static_cast<int>(threadIdx.x); i < p.count; i += static_cast<int>(blockDim.x)) {
        p.out[4 + i] = carried[p.count - 1 - i];
    }
    if (threadIdx.x == 0) {
        p.out[0] = p.real;
        p.out[1] = static_cast<double>(p.single);
        p.out[2] = static_cast<double>(p.wide);
        p.out[3] = static_cast<double>(p.last);
    }
}
