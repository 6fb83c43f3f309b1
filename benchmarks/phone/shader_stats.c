/* Creates a compute pipeline of each SPIR-V file on a Vulkan device, and writes what the driver
 * says of the shader: statistics as JSON lines on stdout, assembly to a folder.
 *
 *   shader_stats OUT_DIR SECONDS SUBGROUP < list-of-spv-files > stats.jsonl
 *
 * SUBGROUP is the size that is required of the driver; 0 leaves the choice to it.
 * No pipeline is run. A driver that crashes, or hangs for SECONDS, on a shader is recorded, and
 * the next shader is tried with a new device: each child process goes on behind the failed one.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <vulkan/vulkan.h>

#define MAX 65536
#define CHECK(x) do { VkResult r_ = (x); if (r_ != VK_SUCCESS) { \
   fprintf(stderr, "%s: %d\n", #x, r_); exit(90); } } while (0)

static VkPhysicalDevice gpu;
static VkDevice dev;
static int has_exec;
static unsigned subgroup;

static void open_device(int print)
{
   VkApplicationInfo app = { VK_STRUCTURE_TYPE_APPLICATION_INFO, .apiVersion = VK_API_VERSION_1_3 };
   VkInstanceCreateInfo ici = { VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &app };
   VkInstance inst;
   CHECK(vkCreateInstance(&ici, NULL, &inst));
   uint32_t n = 1;
   VkResult r = vkEnumeratePhysicalDevices(inst, &n, &gpu);
   if (n == 0 || r < 0) { fprintf(stderr, "no device\n"); exit(91); }
   VkPhysicalDeviceProperties props;
   vkGetPhysicalDeviceProperties(gpu, &props);
   uint32_t ne = 0;
   vkEnumerateDeviceExtensionProperties(gpu, NULL, &ne, NULL);
   VkExtensionProperties *ext = calloc(ne, sizeof *ext);
   vkEnumerateDeviceExtensionProperties(gpu, NULL, &ne, ext);
   const char *want[] = { "VK_KHR_pipeline_executable_properties", "VK_KHR_16bit_storage",
      "VK_KHR_8bit_storage", "VK_KHR_shader_float16_int8", "VK_KHR_variable_pointers",
      "VK_KHR_shader_integer_dot_product", "VK_KHR_storage_buffer_storage_class",
      "VK_EXT_subgroup_size_control", "VK_KHR_vulkan_memory_model", "VK_EXT_scalar_block_layout" };
   const char *on[16]; uint32_t non = 0;
   for (unsigned i = 0; i < sizeof want / sizeof *want; i++)
      for (uint32_t j = 0; j < ne; j++)
         if (!strcmp(want[i], ext[j].extensionName)) { on[non++] = want[i]; if (i == 0) has_exec = 1; }
   /* all features that the device has */
   VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR fe = {
      VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR };
   VkPhysicalDeviceVulkan11Features f11 = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES };
   VkPhysicalDeviceVulkan12Features f12 = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &f11 };
   VkPhysicalDeviceVulkan13Features f13 = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .pNext = &f12 };
   VkPhysicalDeviceFeatures2 f2 = { VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &f12 };
   if (VK_API_VERSION_MINOR(props.apiVersion) >= 3) f2.pNext = &f13;
   if (has_exec) { fe.pNext = f2.pNext; f2.pNext = &fe; }
   vkGetPhysicalDeviceFeatures2(gpu, &f2);
   if (print)
      fprintf(stderr, "device %s, Vulkan %u.%u.%u, executable properties %d, f16 %u int64 %u int16 %u int8 %u "
              "storage16 %u storage8 %u, workgroup %u x %u, shared %u, texel elements %u\n",
              props.deviceName, VK_API_VERSION_MAJOR(props.apiVersion), VK_API_VERSION_MINOR(props.apiVersion),
              VK_API_VERSION_PATCH(props.apiVersion), has_exec, f12.shaderFloat16, f2.features.shaderInt64,
              f2.features.shaderInt16, f12.shaderInt8, f11.storageBuffer16BitAccess, f12.storageBuffer8BitAccess,
              props.limits.maxComputeWorkGroupInvocations, props.limits.maxComputeWorkGroupSize[0],
              props.limits.maxComputeSharedMemorySize, props.limits.maxTexelBufferElements);
   float prio = 1;
   VkDeviceQueueCreateInfo q = { VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1, .pQueuePriorities = &prio };
   VkDeviceCreateInfo dci = { VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO, .pNext = &f2, .queueCreateInfoCount = 1,
      .pQueueCreateInfos = &q, .enabledExtensionCount = non, .ppEnabledExtensionNames = on };
   CHECK(vkCreateDevice(gpu, &dci, NULL, &dev));
}

static uint32_t *load(const char *path, size_t *words)
{
   FILE *f = fopen(path, "rb");
   if (!f) { perror(path); exit(92); }
   fseek(f, 0, SEEK_END);
   size_t size = ftell(f);
   rewind(f);
   uint32_t *data = malloc(size);
   if (fread(data, 1, size, f) != size) exit(92);
   fclose(f);
   *words = size / 4;
   return data;
}

static void put(const char *s)
{
   putchar('"');
   for (; *s; s++) {
      if (*s == '"' || *s == '\\') putchar('\\');
      if ((unsigned char)*s >= 32) putchar(*s);
   }
   putchar('"');
}

static void one(const char *path, const char *out)
{
   size_t nw;
   uint32_t *w = load(path, &nw);
   static struct { uint32_t op, a, b, c, d; } def[MAX];   /* types and variables by id */
   static int32_t set_of[MAX], bind_of[MAX];
   memset(def, 0, sizeof def);
   memset(set_of, -1, sizeof set_of);
   memset(bind_of, -1, sizeof bind_of);
   const char *entry = NULL;
   for (size_t p = 5; p < nw; p += w[p] >> 16) {
      uint32_t op = w[p] & 0xffff;
      if (!(w[p] >> 16)) break;
      if (op == 15 && !entry) entry = (const char *)&w[p + 3];
      if (op == 71 && w[p + 1] < MAX) {
         if (w[p + 2] == 34) set_of[w[p + 1]] = w[p + 3];
         if (w[p + 2] == 33) bind_of[w[p + 1]] = w[p + 3];
      }
      if (op >= 19 && op <= 33 && w[p + 1] < MAX) {
         def[w[p + 1]].op = op;
         if (op == 25) { def[w[p + 1]].a = w[p + 3]; def[w[p + 1]].b = w[p + 7]; }  /* dim, sampled */
         if (op == 32) { def[w[p + 1]].a = w[p + 2]; def[w[p + 1]].b = w[p + 3]; }  /* class, pointee */
      }
      if (op == 59 && w[p + 2] < MAX) { def[w[p + 2]].op = 59; def[w[p + 2]].a = w[p + 1]; def[w[p + 2]].b = w[p + 3]; }
   }
   VkDescriptorSetLayoutBinding b[4][64];
   uint32_t nb[4] = { 0 }, nsets = 0;
   for (int i = 0; i < MAX; i++) {
      if (def[i].op != 59 || bind_of[i] < 0) continue;
      VkDescriptorType type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
      uint32_t pointee = def[def[i].a].b;
      if (def[i].b == 0) {
         if (def[pointee].op == 25) {
            int buffer = def[pointee].a == 5, sampled = def[pointee].b == 1;
            type = buffer ? (sampled ? VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER : VK_DESCRIPTOR_TYPE_STORAGE_TEXEL_BUFFER)
                          : (sampled ? VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE : VK_DESCRIPTOR_TYPE_STORAGE_IMAGE);
         } else type = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER;
      } else if (def[i].b == 2) type = VK_DESCRIPTOR_TYPE_UNIFORM_BUFFER;
      uint32_t s = set_of[i] < 0 ? 0 : set_of[i], k;
      if (s + 1 > nsets) nsets = s + 1;
      for (k = 0; k < nb[s]; k++) if (b[s][k].binding == (uint32_t)bind_of[i]) break;
      if (k == nb[s]) b[s][nb[s]++] = (VkDescriptorSetLayoutBinding){ bind_of[i], type, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL };
   }
   VkDescriptorSetLayout sl[4];
   for (uint32_t s = 0; s < nsets; s++) {
      VkDescriptorSetLayoutCreateInfo ci = { VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = nb[s], .pBindings = b[s] };
      CHECK(vkCreateDescriptorSetLayout(dev, &ci, NULL, &sl[s]));
   }
   VkPushConstantRange pc = { VK_SHADER_STAGE_COMPUTE_BIT, 0, 128 };
   VkPipelineLayoutCreateInfo plci = { VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO, .setLayoutCount = nsets,
      .pSetLayouts = sl, .pushConstantRangeCount = 1, .pPushConstantRanges = &pc };
   VkPipelineLayout layout;
   CHECK(vkCreatePipelineLayout(dev, &plci, NULL, &layout));
   VkShaderModuleCreateInfo mci = { VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = nw * 4, .pCode = w };
   VkShaderModule module;
   VkResult r = vkCreateShaderModule(dev, &mci, NULL, &module);
   VkPipeline pipe = VK_NULL_HANDLE;
   struct timespec t0, t1;
   clock_gettime(CLOCK_MONOTONIC, &t0);
   fprintf(stderr, "#SHADER %s\n", path);   /* drivers' own statistics (shader-db) follow on stderr */
   fflush(stderr);
   if (r == VK_SUCCESS) {
      VkComputePipelineCreateInfo ci = { VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
         .flags = has_exec ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR | VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR : 0,
         .stage = { VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO, .stage = VK_SHADER_STAGE_COMPUTE_BIT, .module = module, .pName = entry },
         .layout = layout };
      /* as a runtime would that asks for the size the kernel was written for */
      VkPipelineShaderStageRequiredSubgroupSizeCreateInfo need = { VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO };
      if (subgroup) { need.requiredSubgroupSize = subgroup; ci.stage.pNext = &need; }
      r = vkCreateComputePipelines(dev, VK_NULL_HANDLE, 1, &ci, NULL, &pipe);
   }
   clock_gettime(CLOCK_MONOTONIC, &t1);
   printf("{\"file\": "); put(path);
   printf(", \"entry\": "); put(entry ? entry : "");
   printf(", \"result\": %d, \"compile_ms\": %.2f", r, (t1.tv_sec - t0.tv_sec) * 1e3 + (t1.tv_nsec - t0.tv_nsec) / 1e6);
   if (r == VK_SUCCESS && has_exec) {
#define PROC(name) PFN_##name p_##name = (PFN_##name)vkGetDeviceProcAddr(dev, #name)
      PROC(vkGetPipelineExecutablePropertiesKHR);
      PROC(vkGetPipelineExecutableStatisticsKHR);
      PROC(vkGetPipelineExecutableInternalRepresentationsKHR);
      VkPipelineInfoKHR pi = { VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR, .pipeline = pipe };
      VkPipelineExecutablePropertiesKHR ep = { VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR };
      uint32_t n = 1;
      p_vkGetPipelineExecutablePropertiesKHR(dev, &pi, &n, &ep);
      printf(", \"subgroup\": %u", ep.subgroupSize);
      VkPipelineExecutableInfoKHR ei = { VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR, .pipeline = pipe };
      n = 0;
      p_vkGetPipelineExecutableStatisticsKHR(dev, &ei, &n, NULL);
      VkPipelineExecutableStatisticKHR *st = calloc(n, sizeof *st);
      for (uint32_t i = 0; i < n; i++) st[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
      p_vkGetPipelineExecutableStatisticsKHR(dev, &ei, &n, st);
      for (uint32_t i = 0; i < n; i++) {
         printf(", "); put(st[i].name);
         if (st[i].format == VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_FLOAT64_KHR) printf(": %f", st[i].value.f64);
         else printf(": %lld", (long long)st[i].value.u64);
      }
      n = 0;
      p_vkGetPipelineExecutableInternalRepresentationsKHR(dev, &ei, &n, NULL);
      VkPipelineExecutableInternalRepresentationKHR *ir = calloc(n, sizeof *ir);
      for (uint32_t i = 0; i < n; i++) ir[i].sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR;
      p_vkGetPipelineExecutableInternalRepresentationsKHR(dev, &ei, &n, ir);
      for (uint32_t i = 0; i < n; i++) ir[i].pData = calloc(1, ir[i].dataSize + 1);
      p_vkGetPipelineExecutableInternalRepresentationsKHR(dev, &ei, &n, ir);
      const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
      for (uint32_t i = 0; i < n; i++) {
         char name[1024];
         const char *kind = strstr(ir[i].name, "ssembly") ? "asm" : strstr(ir[i].name, "Final") || !strcmp(ir[i].name, "NIR shader") ? "nir" : NULL;
         if (!kind) continue;
         snprintf(name, sizeof name, "%s/%s.%s", out, base, kind);
         FILE *f = fopen(name, "w");
         if (f) { fwrite(ir[i].pData, 1, strnlen(ir[i].pData, ir[i].dataSize), f); fclose(f); }
      }
   }
   printf("}\n");
   fflush(stdout);
}

int main(int argc, char **argv)
{
   if (argc != 4) { fprintf(stderr, "usage: shader_stats OUT_DIR SECONDS SUBGROUP\n"); return 2; }
   const char *out = argv[1];
   const unsigned seconds = atoi(argv[2]);
   subgroup = atoi(argv[3]);
   mkdir(out, 0777);
   char **paths = NULL, line[4096];
   int n = 0;
   while (fgets(line, sizeof line, stdin)) {
      line[strcspn(line, "\n")] = 0;
      paths = realloc(paths, (n + 1) * sizeof *paths);
      paths[n++] = strdup(line);
   }
   /* where the child is: a shared page */
   char tmpl[] = "/tmp/shader_stats_XXXXXX";
   int fd = mkstemp(tmpl);
   unlink(tmpl);
   for (int i = 0; i < n;) {
      fflush(stdout);
      pid_t pid = fork();
      if (!pid) {
         open_device(i == 0);
         for (int j = i; j < n; j++) {
            if (pwrite(fd, &j, sizeof j, 0) < 0) exit(93);
            alarm(seconds);
            one(paths[j], out);
         }
         _exit(0);
      }
      int status;
      waitpid(pid, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      int j = -1;
      if (pread(fd, &j, sizeof j, 0) != sizeof j || j < i) { fprintf(stderr, "no device: %x\n", status); return 1; }
      printf("{\"file\": "); put(paths[j]);
      printf(", \"result\": \"%s %d\"}\n", WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
      i = j + 1;
   }
   return 0;
}
