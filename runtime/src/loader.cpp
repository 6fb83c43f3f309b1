#include "loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <vector>

#include "log.h"
#include "smartmem_vulkan.h"

namespace smartmem {
namespace {

std::mutex g_mutex;
PFN_vkGetInstanceProcAddr g_loader = nullptr;

// Under the loader's own name this library may be what the name alone finds, so folders of
// the system follow.
std::vector<std::string> candidates() {
  const char* given = std::getenv("SMARTMEM_VULKAN_LOADER");
  if (given && *given) return {given};
#if defined(__ANDROID__)
#if defined(__LP64__)
  return {"libvulkan.so", "/system/lib64/libvulkan.so"};
#else
  return {"libvulkan.so", "/system/lib/libvulkan.so"};
#endif
#elif defined(__APPLE__)
  return {"libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib"};
#else
  std::vector<std::string> paths = {"libvulkan.so.1", "libvulkan.so"};
  for (const char* folder :
       {"/usr/local/lib/", "/usr/lib/x86_64-linux-gnu/", "/usr/lib/aarch64-linux-gnu/",
        "/usr/lib64/", "/usr/lib/", "/lib/x86_64-linux-gnu/", "/lib64/", "/lib/"}) {
    paths.push_back(std::string(folder) + "libvulkan.so.1");
  }
  return paths;
#endif
}

PFN_vkGetInstanceProcAddr load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return nullptr;
  void* symbol = dlsym(library, "vkGetInstanceProcAddr");
  // Another copy of this library under another path would forward to itself forever.
  const bool is_ours = symbol && dlsym(library, "smartmem_vulkan_set_loader");
  if (symbol && !is_ours) return reinterpret_cast<PFN_vkGetInstanceProcAddr>(symbol);
  dlclose(library);
  return nullptr;
}

}  // namespace

PFN_vkGetInstanceProcAddr real_loader() {
  const std::lock_guard<std::mutex> lock(g_mutex);
  if (g_loader) return g_loader;
  std::string tried;
  for (const std::string& path : candidates()) {
    if ((g_loader = load(path))) return g_loader;
    tried += (tried.empty() ? "" : ", ") + path;
  }
  SMARTMEM_ERROR(
      "there is no Vulkan loader; tried %s; install libvulkan1, or set "
      "SMARTMEM_VULKAN_LOADER to its path",
      tried.c_str());
  return nullptr;
}

}  // namespace smartmem

void smartmem_vulkan_set_loader(PFN_vkGetInstanceProcAddr loader) {
  const std::lock_guard<std::mutex> lock(smartmem::g_mutex);
  smartmem::g_loader = loader;
}
