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

constexpr size_t kLength = 1024;

struct Log {
  // Held while the callback runs: it may log, and set another callback, itself.
  std::recursive_mutex calling;
  SmartMemVulkanLog callback = nullptr;
  void* user_data = nullptr;
  std::mutex mutex;
  std::string unclaimed;  // the last error of a thread that asks for none, as IREE's own
};

// Characters alone, so that nothing is destroyed before a thread's last message.
thread_local char last_error[kLength];
thread_local bool asks_for_errors = false;

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
  char text[kLength];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof(text), format, arguments);
  va_end(arguments);
  Log& log = state();
  if (level == SMARTMEM_VULKAN_LOG_ERROR) {
    std::memcpy(last_error, text, sizeof(text));
    const std::lock_guard<std::mutex> lock(log.mutex);
    if (!asks_for_errors) log.unclaimed = text;
  }
  const std::lock_guard<std::recursive_mutex> lock(log.calling);
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
  const std::lock_guard<std::recursive_mutex> lock(log.calling);
  log.callback = callback;
  log.user_data = user_data;
}

size_t smartmem_vulkan_take_error(char* text, size_t size) {
  using smartmem::last_error;
  smartmem::Log& log = smartmem::state();
  const std::lock_guard<std::mutex> lock(log.mutex);
  smartmem::asks_for_errors = true;
  const std::string found = *last_error ? last_error : log.unclaimed;
  if (!*last_error || found == log.unclaimed) log.unclaimed.clear();
  *last_error = 0;
  if (text && size) {
    const size_t copied = std::min(found.size(), size - 1);
    std::memcpy(text, found.data(), copied);
    text[copied] = 0;
  }
  return found.size();
}

void smartmem_vulkan_statistics(SmartMemVulkanStatistics* statistics, size_t size) {
  const smartmem::Counters& now = smartmem::counters();
  const SmartMemVulkanStatistics all = {
      now.image_dispatches, now.texel_bindings, now.image_bindings, now.fallback_bindings,
      now.views_made,       now.live_views,     now.live_images,    now.filled_bytes,
  };
  if (statistics) std::memcpy(statistics, &all, std::min(size, sizeof(all)));
}
