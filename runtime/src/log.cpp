#include "log.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>

#ifdef __ANDROID__
#include <android/log.h>
#endif

namespace smartmem {
namespace {

struct Log {
  std::mutex mutex;
  SmartMemVulkanLog callback = nullptr;
  void* user_data = nullptr;
  std::string last_error;
};

// Never destroyed: threads of the application may outlive static objects.
Log& state() {
  static Log* log = new Log;
  return *log;
}

int stderr_level() {
  static const int level = [] {
    const char* value = std::getenv("SMARTMEM_VULKAN_LOG");
    return value && *value ? std::atoi(value) : int{SMARTMEM_VULKAN_LOG_WARNING};
  }();
  return level;
}

void print(SmartMemVulkanLogLevel level, const char* text) {
  if (level > stderr_level()) return;
  static const char* const kNames[] = {"", "error", "warning", "info"};
#ifdef __ANDROID__
  static const int kPriorities[] = {0, ANDROID_LOG_ERROR, ANDROID_LOG_WARN, ANDROID_LOG_INFO};
  __android_log_print(kPriorities[level], "smartmem_vulkan", "%s", text);
#endif
  std::fprintf(stderr, "smartmem_vulkan: %s: %s\n", kNames[level], text);
}

}  // namespace

void log(SmartMemVulkanLogLevel level, const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  Log& log = state();
  const std::lock_guard<std::mutex> lock(log.mutex);
  if (level == SMARTMEM_VULKAN_LOG_ERROR) log.last_error = text;
  if (log.callback) {
    log.callback(level, text, log.user_data);
  } else {
    print(level, text);
  }
}

Counters& counters() {
  static Counters* counters = new Counters;
  return *counters;
}

}  // namespace smartmem

void smartmem_vulkan_set_log(SmartMemVulkanLog callback, void* user_data) {
  smartmem::Log& log = smartmem::state();
  const std::lock_guard<std::mutex> lock(log.mutex);
  log.callback = callback;
  log.user_data = user_data;
}

size_t smartmem_vulkan_take_error(char* text, size_t size) {
  smartmem::Log& log = smartmem::state();
  const std::lock_guard<std::mutex> lock(log.mutex);
  const size_t length = log.last_error.size();
  if (text && size) {
    const size_t copied = std::min(length, size - 1);
    std::memcpy(text, log.last_error.data(), copied);
    text[copied] = 0;
  }
  log.last_error.clear();
  return length;
}

void smartmem_vulkan_statistics(SmartMemVulkanStatistics* statistics, size_t size) {
  const smartmem::Counters& now = smartmem::counters();
  const SmartMemVulkanStatistics all = {
      now.image_dispatches, now.texel_bindings, now.image_bindings, now.fallback_bindings,
      now.views_made,       now.live_views,     now.live_images,    now.filled_bytes,
  };
  if (statistics) std::memcpy(statistics, &all, std::min(size, sizeof(all)));
}
