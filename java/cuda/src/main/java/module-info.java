/** The GPU backend: JCuda for driver, memory and modules; the Foreign Function and Memory API for launches, cuBLAS and cuSOLVER. */
module io.groupreduce.cuda {
    requires io.groupreduce;
    requires jcuda;
    requires jcublas;
    requires jcusolver;

    provides io.groupreduce.spi.BackendProvider with
            io.groupreduce.cuda.CudaBackendProvider;
}
