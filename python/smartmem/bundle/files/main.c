// Runs the model on the files inputs/*.bin, writes outputs/*.bin and tells how long it takes.
//
//   run_model [RUNS]
//
// It looks for all files in the folder in which it is started.

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "model.h"
#include "signature.h"

static void* read_file(const char* path, size_t bytes) {
  FILE* file = fopen(path, "rb");
  void* data = malloc(bytes ? bytes : 1);
  size_t found = file && data ? fread(data, 1, bytes, file) : 0;
  int is_whole = file && data && found == bytes && fgetc(file) == EOF;
  if (file) fclose(file);
  if (is_whole) return data;
  fprintf(stderr, "error: cannot read %zu bytes from %s\n", bytes, path);
  free(data);
  return NULL;
}

static int write_file(const char* path, const void* data, size_t bytes) {
  FILE* file = fopen(path, "wb");
  int is_written = file && fwrite(data, 1, bytes, file) == bytes;
  if (file && fclose(file)) is_written = 0;
  if (!is_written) fprintf(stderr, "error: cannot write %s\n", path);
  return is_written;
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec * 1e-6;
}

static int by_size(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static int run_all(smartmem_model* model, const void* const* inputs, void* const* outputs,
                   int runs) {
  double* times = malloc(sizeof(double) * (size_t)runs);
  if (!times) return 1;
  int code = smartmem_model_run(model, inputs, outputs);  // also compiles the kernels
  for (int i = 0; i < runs && !code; ++i) {
    double start = now_ms();
    code = smartmem_model_run(model, inputs, outputs);
    times[i] = now_ms() - start;
  }
  if (code) {
    fprintf(stderr, "error: %s\n", smartmem_model_error());
  } else {
    qsort(times, (size_t)runs, sizeof(double), by_size);
    printf("%d runs: median %.3f ms, least %.3f ms, copies included\n", runs,
           times[runs / 2], times[0]);
  }
  free(times);
  return code;
}

int main(int argc, char** argv) {
  int runs = argc > 1 ? atoi(argv[1]) : 10;
  if (runs < 1) {
    fprintf(stderr, "usage: %s [RUNS]\n", argv[0]);
    return 2;
  }
  // Arrays of at least one element: a model may have no inputs.
  const void* inputs[SMARTMEM_MODEL_INPUTS + 1];
  void* outputs[SMARTMEM_MODEL_OUTPUTS + 1];
  for (size_t i = 0; i < SMARTMEM_MODEL_INPUTS; ++i) {
    inputs[i] = read_file(smartmem_model_inputs[i].file, smartmem_model_inputs[i].bytes);
    if (!inputs[i]) return 1;
  }
  for (size_t i = 0; i < SMARTMEM_MODEL_OUTPUTS; ++i) {
    outputs[i] = malloc(smartmem_model_outputs[i].bytes + 1);
    if (!outputs[i]) return 1;
  }
  smartmem_model* model = NULL;
  const char* library = SMARTMEM_MODEL_NEEDS_LIBRARY ? "./libsmartmem_vulkan.so" : NULL;
  if (smartmem_model_open("model.vmfb", library, &model)) {
    fprintf(stderr, "error: %s\n", smartmem_model_error());
    return 1;
  }
  int failed = run_all(model, inputs, outputs, runs);
  for (size_t i = 0; i < SMARTMEM_MODEL_OUTPUTS && !failed; ++i) {
    const smartmem_tensor* tensor = &smartmem_model_outputs[i];
    failed = !write_file(tensor->file, outputs[i], tensor->bytes);
  }
  smartmem_model_close(model);
  for (size_t i = 0; i < SMARTMEM_MODEL_INPUTS; ++i) free((void*)inputs[i]);
  for (size_t i = 0; i < SMARTMEM_MODEL_OUTPUTS; ++i) free(outputs[i]);
  return failed ? 1 : 0;
}
