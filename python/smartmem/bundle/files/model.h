// Runs a model that SmartMem compiled, with IREE's runtime.
//
// One model is used by one thread at a time; several models can run beside each other.

#ifndef SMARTMEM_MODEL_H_
#define SMARTMEM_MODEL_H_

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct smartmem_model smartmem_model;

// Loads the module in the file `module_path` on the first device that runs it.
//
// `library_path` is the file libsmartmem_vulkan.so, for a module that reads its buffers as
// images (SMARTMEM_MODEL_NEEDS_LIBRARY in signature.h); NULL otherwise. IREE's runtime loads
// it in place of the Vulkan loader, for the whole process: open such models first.
//
// Returns 0, or a status code of IREE; smartmem_model_error tells what happened.
int smartmem_model_open(const char* module_path, const char* library_path,
                        smartmem_model** model);

// Runs the model once. `inputs` and `outputs` hold one address for each tensor, in the order
// of signature.h: contiguous elements, row by row. Returns when the outputs are written.
int smartmem_model_run(smartmem_model* model, const void* const* inputs,
                       void* const* outputs);

// Frees the model; NULL is allowed.
void smartmem_model_close(smartmem_model* model);

// The last error in this thread.
const char* smartmem_model_error(void);

#ifdef __cplusplus
}
#endif

#endif  // SMARTMEM_MODEL_H_
