#include "model.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "iree/runtime/api.h"
#include "signature.h"

struct smartmem_model {
  iree_runtime_instance_t* instance;
  iree_runtime_session_t* session;
};

static _Thread_local char last_error[1024];

const char* smartmem_model_error(void) { return last_error; }

// Keeps the text of a failed status, frees it and returns its code.
static int report(iree_status_t status) {
  if (iree_status_is_ok(status)) return 0;
  int code = (int)iree_status_code(status);
  iree_host_size_t length = 0;
  if (!iree_status_format(status, sizeof(last_error), last_error, &length)) {
    snprintf(last_error, sizeof(last_error), "IREE's status code %d", code);
  }
  iree_status_ignore(status);
  return code;
}

static iree_status_t open_session(const char* module_path, smartmem_model* model) {
  iree_runtime_instance_options_t instance_options;
  iree_runtime_instance_options_initialize(&instance_options);
  iree_runtime_instance_options_use_all_available_drivers(&instance_options);
  IREE_RETURN_IF_ERROR(iree_runtime_instance_create(
      &instance_options, iree_allocator_system(), &model->instance));

  iree_hal_device_t* device = NULL;
  IREE_RETURN_IF_ERROR(iree_runtime_instance_try_create_default_device(
      model->instance, iree_make_cstring_view(SMARTMEM_MODEL_DRIVER), &device));
  iree_runtime_session_options_t session_options;
  iree_runtime_session_options_initialize(&session_options);
  iree_status_t status = iree_runtime_session_create_with_device(
      model->instance, &session_options, device,
      iree_runtime_instance_host_allocator(model->instance), &model->session);
  iree_hal_device_release(device);
  if (!iree_status_is_ok(status)) return status;
  return iree_runtime_session_append_bytecode_module_from_file(model->session,
                                                               module_path);
}

// Makes IREE load the library in place of the Vulkan loader. Where IREE cannot, it takes the
// loader itself, and kernels that read images crash: so this loads the library, too.
static iree_status_t use_library(const char* path) {
  if (!path && !SMARTMEM_MODEL_NEEDS_LIBRARY) return iree_ok_status();
  if (!path) {
    return iree_make_status(IREE_STATUS_INVALID_ARGUMENT,
                            "the model needs libsmartmem_vulkan.so");
  }
  if (!dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    return iree_make_status(IREE_STATUS_NOT_FOUND, "%s", dlerror());
  }
  if (setenv("IREE_HAL_VULKAN_LIBVULKAN_PATH", path, 1)) {
    return iree_make_status(IREE_STATUS_RESOURCE_EXHAUSTED, "no memory");
  }
  return iree_ok_status();
}

int smartmem_model_open(const char* module_path, const char* library_path,
                        smartmem_model** model) {
  *model = NULL;
  int fault = report(use_library(library_path));
  if (fault) return fault;
  smartmem_model* made = calloc(1, sizeof(*made));
  if (!made) return report(iree_make_status(IREE_STATUS_RESOURCE_EXHAUSTED, "no memory"));
  int code = report(open_session(module_path, made));
  if (code) {
    smartmem_model_close(made);
  } else {
    *model = made;
  }
  return code;
}

void smartmem_model_close(smartmem_model* model) {
  if (!model) return;
  iree_runtime_session_release(model->session);
  iree_runtime_instance_release(model->instance);
  free(model);
}

// Memory that both the host and the device see, through which tensors are copied. IREE's own
// copies between host and device ask for memory that is the host's alone, which a device does
// not have where all memory is shared, as on software devices and many phones.
static iree_status_t make_staging(iree_runtime_session_t* session, size_t bytes,
                                  iree_hal_buffer_t** staging) {
  return iree_hal_allocator_allocate_buffer(
      iree_runtime_session_device_allocator(session),
      (iree_hal_buffer_params_t){
          .type = IREE_HAL_MEMORY_TYPE_HOST_VISIBLE | IREE_HAL_MEMORY_TYPE_DEVICE_VISIBLE,
          .usage = IREE_HAL_BUFFER_USAGE_TRANSFER | IREE_HAL_BUFFER_USAGE_MAPPING_SCOPED,
      },
      bytes, staging);
}

static iree_status_t copy(iree_runtime_session_t* session, iree_hal_buffer_t* source,
                          iree_hal_buffer_t* target, size_t bytes) {
  return iree_hal_device_transfer_d2d(iree_runtime_session_device(session), source, 0, target,
                                      0, bytes, IREE_HAL_TRANSFER_BUFFER_FLAG_DEFAULT,
                                      iree_infinite_timeout());
}

static iree_status_t upload(iree_runtime_session_t* session, const void* data,
                            iree_hal_buffer_t* buffer, size_t bytes) {
  if (!bytes) return iree_ok_status();
  iree_hal_buffer_t* staging = NULL;
  IREE_RETURN_IF_ERROR(make_staging(session, bytes, &staging));
  iree_status_t status = iree_hal_buffer_map_write(staging, 0, data, bytes);
  if (iree_status_is_ok(status)) status = copy(session, staging, buffer, bytes);
  iree_hal_buffer_release(staging);
  return status;
}

static iree_status_t download(iree_runtime_session_t* session, iree_hal_buffer_t* buffer,
                              void* data, size_t bytes) {
  if (!bytes) return iree_ok_status();
  iree_hal_buffer_t* staging = NULL;
  IREE_RETURN_IF_ERROR(make_staging(session, bytes, &staging));
  iree_status_t status = copy(session, buffer, staging, bytes);
  if (iree_status_is_ok(status)) status = iree_hal_buffer_map_read(staging, 0, data, bytes);
  iree_hal_buffer_release(staging);
  return status;
}

static iree_status_t push_input(iree_runtime_session_t* session, iree_runtime_call_t* call,
                                const smartmem_tensor* tensor, const void* data) {
  iree_hal_dim_t shape[SMARTMEM_MODEL_MAX_RANK];
  for (size_t i = 0; i < tensor->rank; ++i) shape[i] = (iree_hal_dim_t)tensor->shape[i];
  iree_hal_buffer_t* buffer = NULL;
  IREE_RETURN_IF_ERROR(iree_hal_allocator_allocate_buffer(
      iree_runtime_session_device_allocator(session),
      (iree_hal_buffer_params_t){
          .type = IREE_HAL_MEMORY_TYPE_DEVICE_LOCAL,
          .access = IREE_HAL_MEMORY_ACCESS_ALL,
          .usage = IREE_HAL_BUFFER_USAGE_DEFAULT,
      },
      tensor->bytes, &buffer));
  iree_hal_buffer_view_t* view = NULL;
  iree_status_t status = upload(session, data, buffer, tensor->bytes);
  if (iree_status_is_ok(status)) {
    status = iree_hal_buffer_view_create(
        buffer, tensor->rank, shape, tensor->element_type,
        IREE_HAL_ENCODING_TYPE_DENSE_ROW_MAJOR,
        iree_runtime_session_host_allocator(session), &view);
  }
  if (iree_status_is_ok(status)) {
    status = iree_runtime_call_inputs_push_back_buffer_view(call, view);
  }
  iree_hal_buffer_view_release(view);
  iree_hal_buffer_release(buffer);
  return status;
}

// What is copied has as many bytes as signature.h says: the view must be of that shape and type.
static iree_status_t check_output(iree_hal_buffer_view_t* view, const smartmem_tensor* tensor) {
  int fits = iree_hal_buffer_view_shape_rank(view) == tensor->rank &&
             iree_hal_buffer_view_element_type(view) == tensor->element_type &&
             iree_hal_buffer_view_byte_length(view) == tensor->bytes;
  for (size_t i = 0; fits && i < tensor->rank; ++i) {
    fits = iree_hal_buffer_view_shape_dim(view, i) == (iree_hal_dim_t)tensor->shape[i];
  }
  if (fits) return iree_ok_status();
  return iree_make_status(IREE_STATUS_FAILED_PRECONDITION,
                          "the module's output %s is not of the shape and type in signature.h: "
                          "both must be of one bundle",
                          tensor->name);
}

static iree_status_t pop_output(iree_runtime_session_t* session, iree_runtime_call_t* call,
                                const smartmem_tensor* tensor, void* data) {
  iree_hal_buffer_view_t* view = NULL;
  IREE_RETURN_IF_ERROR(iree_runtime_call_outputs_pop_front_buffer_view(call, &view));
  iree_status_t status = check_output(view, tensor);
  if (iree_status_is_ok(status)) {
    status = download(session, iree_hal_buffer_view_buffer(view), data, tensor->bytes);
  }
  iree_hal_buffer_view_release(view);
  return status;
}

static iree_status_t run(iree_runtime_session_t* session, iree_runtime_call_t* call,
                         const void* const* inputs, void* const* outputs) {
  for (size_t i = 0; i < SMARTMEM_MODEL_INPUTS; ++i) {
    IREE_RETURN_IF_ERROR(push_input(session, call, &smartmem_model_inputs[i], inputs[i]));
  }
  IREE_RETURN_IF_ERROR(iree_runtime_call_invoke(call, /*flags=*/0));
  for (size_t i = 0; i < SMARTMEM_MODEL_OUTPUTS; ++i) {
    IREE_RETURN_IF_ERROR(pop_output(session, call, &smartmem_model_outputs[i], outputs[i]));
  }
  return iree_ok_status();
}

int smartmem_model_run(smartmem_model* model, const void* const* inputs,
                       void* const* outputs) {
  iree_runtime_call_t call;
  int code = report(iree_runtime_call_initialize_by_name(
      model->session, iree_make_cstring_view(SMARTMEM_MODEL_FUNCTION), &call));
  if (code) return code;
  code = report(run(model->session, &call, inputs, outputs));
  iree_runtime_call_deinitialize(&call);
  return code;
}
