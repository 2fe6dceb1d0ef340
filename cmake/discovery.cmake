# GROUPREDUCE_NVCC: the CUDA compiler, where there is one.
find_program(GROUPREDUCE_NVCC nvcc
  HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda
  PATH_SUFFIXES bin
  DOC "CUDA compiler, 12.0 or later")

# GROUPREDUCE_COMPRESS: the flag that makes a fatbin smallest, where nvcc has it.
set(GROUPREDUCE_COMPRESS "")
if(GROUPREDUCE_NVCC)
  execute_process(COMMAND ${GROUPREDUCE_NVCC} --help OUTPUT_VARIABLE help ERROR_QUIET)
  if(help MATCHES "compress-mode")
    set(GROUPREDUCE_COMPRESS -compress-mode=size)
  endif()
endif()
