# GROUPREDUCE_NVCC: the CUDA compiler, where there is one; of release GROUPREDUCE_NVCC_RELEASE.
find_program(GROUPREDUCE_NVCC nvcc
  HINTS ENV CUDACXX ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda
  PATH_SUFFIXES bin
  DOC "CUDA compiler, 12.0 or later")
if(GROUPREDUCE_NVCC AND NOT GROUPREDUCE_NVCC_RELEASE)
  execute_process(COMMAND ${GROUPREDUCE_NVCC} --version OUTPUT_VARIABLE version)
  string(REGEX MATCH "release ([0-9.]+)" version "${version}")
  set(GROUPREDUCE_NVCC_RELEASE ${CMAKE_MATCH_1} CACHE STRING "Release of the CUDA compiler" FORCE)
endif()

# GROUPREDUCE_COMPRESS: the smallest fatbins. A driver must be of 550.54 to unpack them; what nvcc 13 compiles needs a newer one anyway (580),
# what nvcc 12 compiles does not (525).
set(GROUPREDUCE_COMPRESS "")
if(GROUPREDUCE_NVCC_RELEASE VERSION_GREATER_EQUAL 13)
  set(GROUPREDUCE_COMPRESS -compress-mode=size)
endif()
