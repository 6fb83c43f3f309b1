// The functions of dev.smartmem.Native (android/src/main/kotlin/dev/smartmem/Model.kt).

#include <jni.h>
#include <stdlib.h>

#include "model.h"
#include "signature.h"

enum { KIND_INPUTS = 0 };

#define NATIVE(result, name) JNIEXPORT result JNICALL Java_dev_smartmem_Native_##name

static void throw_new(JNIEnv* env, const char* name, const char* text) {
  jclass type = (*env)->FindClass(env, name);
  if (type) (*env)->ThrowNew(env, type, text);  // else an exception is pending already
}

static void throw_model_error(JNIEnv* env) {
  throw_new(env, "dev/smartmem/ModelException", smartmem_model_error());
}

static const smartmem_tensor* tensor_of(jint kind, jint number) {
  return kind == KIND_INPUTS ? &smartmem_model_inputs[number] : &smartmem_model_outputs[number];
}

NATIVE(jlong, open)(JNIEnv* env, jclass type, jstring module, jstring library) {
  (void)type;
  const char* module_path = (*env)->GetStringUTFChars(env, module, NULL);
  if (!module_path) return 0;
  const char* library_path = library ? (*env)->GetStringUTFChars(env, library, NULL) : NULL;
  smartmem_model* model = NULL;
  if (!library || library_path) {
    if (smartmem_model_open(module_path, library_path, &model)) throw_model_error(env);
  }
  if (library_path) (*env)->ReleaseStringUTFChars(env, library, library_path);
  (*env)->ReleaseStringUTFChars(env, module, module_path);
  return (jlong)(intptr_t)model;
}

// The addresses of direct buffers. Model.kt has checked their number and sizes.
static int addresses(JNIEnv* env, jobjectArray buffers, void** found) {
  jsize count = (*env)->GetArrayLength(env, buffers);
  for (jsize i = 0; i < count; ++i) {
    jobject buffer = (*env)->GetObjectArrayElement(env, buffers, i);
    found[i] = (*env)->GetDirectBufferAddress(env, buffer);
    (*env)->DeleteLocalRef(env, buffer);
    if (found[i]) continue;
    throw_new(env, "java/lang/IllegalArgumentException", "a buffer is not direct");
    return 0;
  }
  return 1;
}

NATIVE(void, run)
(JNIEnv* env, jclass type, jlong handle, jobjectArray inputs, jobjectArray outputs) {
  (void)type;
  // Arrays of at least one element: a model may have no inputs.
  void* sources[SMARTMEM_MODEL_INPUTS + 1];
  void* targets[SMARTMEM_MODEL_OUTPUTS + 1];
  if (!addresses(env, inputs, sources) || !addresses(env, outputs, targets)) return;
  smartmem_model* model = (smartmem_model*)(intptr_t)handle;
  if (smartmem_model_run(model, (const void* const*)sources, targets)) throw_model_error(env);
}

NATIVE(void, close)(JNIEnv* env, jclass type, jlong handle) {
  (void)env, (void)type;
  smartmem_model_close((smartmem_model*)(intptr_t)handle);
}

NATIVE(jint, count)(JNIEnv* env, jclass type, jint kind) {
  (void)env, (void)type;
  return kind == KIND_INPUTS ? SMARTMEM_MODEL_INPUTS : SMARTMEM_MODEL_OUTPUTS;
}

NATIVE(jstring, name)(JNIEnv* env, jclass type, jint kind, jint number) {
  (void)type;
  return (*env)->NewStringUTF(env, tensor_of(kind, number)->name);
}

NATIVE(jlongArray, shape)(JNIEnv* env, jclass type, jint kind, jint number) {
  (void)type;
  const smartmem_tensor* tensor = tensor_of(kind, number);
  jlongArray made = (*env)->NewLongArray(env, (jsize)tensor->rank);
  if (!made) return NULL;
  for (size_t i = 0; i < tensor->rank; ++i) {
    jlong extent = tensor->shape[i];
    (*env)->SetLongArrayRegion(env, made, (jsize)i, 1, &extent);
  }
  return made;
}

NATIVE(jint, bytes)(JNIEnv* env, jclass type, jint kind, jint number) {
  (void)env, (void)type;
  return (jint)tensor_of(kind, number)->bytes;
}

NATIVE(jint, elementType)(JNIEnv* env, jclass type, jint kind, jint number) {
  (void)env, (void)type;
  return (jint)tensor_of(kind, number)->element_type;
}
