// Buffers in memory of their own, of others, with padding, and of the host.

#include <algorithm>
#include <cstdlib>

#include "smartmem_vulkan.h"
#include "workload.h"

namespace smartmem::test {
namespace {

VkBufferCreateInfo storage_buffer(VkDeviceSize bytes) {
  auto create = make<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
  create.size = bytes;
  create.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
  return create;
}

class Memory : public DeviceTest {};

TEST_F(Memory, IsBoundInTheNewerForm) {
  for (Side side : {kTexels, kImage}) {
    Kernel kernel(gpu(), doubling_kernel(side, kBuffer), 2, true);
    HostBuffer memory_owner(gpu(), 65536), out(gpu(), 1600);
    const VkBufferCreateInfo create = storage_buffer(1600);
    VkBuffer buffer = VK_NULL_HANDLE;
    ASSERT_EQ(gpu().CreateBuffer(gpu().device, &create, nullptr, &buffer), VK_SUCCESS);
    auto bind = make<VkBindBufferMemoryInfo>(VK_STRUCTURE_TYPE_BIND_BUFFER_MEMORY_INFO);
    bind.buffer = buffer;
    bind.memory = memory_owner.memory();
    bind.memoryOffset = 16384;
    ASSERT_EQ(gpu().BindBufferMemory2(gpu().device, 1, &bind), VK_SUCCESS);
    fill(memory_owner, 16384, 'f');
    Recording recording(gpu());
    ASSERT_EQ(recording.record(kernel, {{buffer}, {out.handle}}, 100), VK_SUCCESS);
    ASSERT_EQ(recording.submit(), VK_SUCCESS);
    EXPECT_TRUE(doubled(memory_owner, out, 400, 0, 'f', 4096));
    EXPECT_EQ(counted().fallbacks, 0u);
    gpu().DestroyBuffer(gpu().device, buffer, nullptr);
  }
}

TEST_F(Memory, OfBuffersIsToldAsTheyWillBeMade) {
  for (VkDeviceSize bytes : {4, 64, 68, 4100}) {
    const VkBufferCreateInfo create = storage_buffer(bytes);
    auto info = make<VkDeviceBufferMemoryRequirements>(
        VK_STRUCTURE_TYPE_DEVICE_BUFFER_MEMORY_REQUIREMENTS);
    info.pCreateInfo = &create;
    auto told = make<VkMemoryRequirements2>(VK_STRUCTURE_TYPE_MEMORY_REQUIREMENTS_2);
    gpu().GetDeviceBufferMemoryRequirements(gpu().device, &info, &told);
    VkBuffer buffer = VK_NULL_HANDLE;
    ASSERT_EQ(gpu().CreateBuffer(gpu().device, &create, nullptr, &buffer), VK_SUCCESS);
    VkMemoryRequirements needs = {};
    gpu().GetBufferMemoryRequirements(gpu().device, buffer, &needs);
    EXPECT_GE(told.memoryRequirements.size, needs.size);
    EXPECT_GE(told.memoryRequirements.size, (bytes + 15) / 16 * 16);
    gpu().DestroyBuffer(gpu().device, buffer, nullptr);
  }
}

TEST_F(Memory, IsPaddedWhereThatSucceeds) {
  Kernel kernel(gpu(), doubling_kernel(kImage, kBuffer), 2, true);
  HostBuffer padded(gpu(), 1600);
  EXPECT_GT(fakes.allocated, 1600u + 65536);
  fakes.fail("vkAllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY);
  auto allocate = make<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
  allocate.allocationSize = 1600;
  allocate.memoryTypeIndex = gpu().memory_type;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  const int before = fakes.calls("vkAllocateMemory");
  EXPECT_EQ(gpu().AllocateMemory(gpu().device, &allocate, nullptr, &memory),
            VK_ERROR_OUT_OF_DEVICE_MEMORY);
  EXPECT_EQ(fakes.calls("vkAllocateMemory"), before + 2);  // padded, and as asked for
}

uint64_t filled_bytes() {
  SmartMemVulkanStatistics statistics = {};
  smartmem_vulkan_statistics(&statistics, sizeof(statistics));
  return statistics.filled_bytes;
}

class Filling {
 public:
  explicit Filling(const char* with) { setenv("SMARTMEM_VULKAN_FILL", with, 1); }
  ~Filling() { unsetenv("SMARTMEM_VULKAN_FILL"); }
};

// Whether 1600 bytes of new memory have 1 in all bits.
bool is_full_of_nans(Gpu& gpu) {
  auto allocate = make<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
  allocate.allocationSize = 1600;
  allocate.memoryTypeIndex = gpu.memory_type;
  VkDeviceMemory memory = VK_NULL_HANDLE;
  EXPECT_EQ(gpu.AllocateMemory(gpu.device, &allocate, nullptr, &memory), VK_SUCCESS);
  void* mapped = nullptr;
  EXPECT_EQ(gpu.MapMemory(gpu.device, memory, 0, VK_WHOLE_SIZE, 0, &mapped), VK_SUCCESS);
  const auto* data = static_cast<const uint32_t*>(mapped);
  const bool found = std::all_of(data, data + 400, [](uint32_t w) { return w == UINT32_MAX; });
  gpu.FreeMemory(gpu.device, memory, nullptr);
  return found;
}

TEST_F(Memory, IsFullOfNansIfAsked) {
  const uint64_t before = filled_bytes();
  {
    const Filling filling("nan");
    EXPECT_TRUE(is_full_of_nans(gpu()));
    EXPECT_GE(filled_bytes(), before + 1600);
  }
  const uint64_t filled = filled_bytes();
  for (const char* with : {"", "zero"}) {
    const Filling filling(with);
    is_full_of_nans(gpu());
    EXPECT_EQ(filled_bytes(), filled);
  }
}

TEST_F(Memory, StaysWhatItIsWhereItCannotBeMapped) {
  const Filling filling("nan");
  gpu();
  const uint64_t before = filled_bytes();
  fakes.fail("vkFlushMappedMemoryRanges", VK_ERROR_OUT_OF_HOST_MEMORY);
  is_full_of_nans(gpu());
  EXPECT_EQ(filled_bytes(), before);
}

// Whole pages of the host, imported by VK_EXT_external_memory_host as IREE does it.
class ImportedBuffer {
 public:
  static constexpr VkDeviceSize kPage = 65536;  // no device asks for more

  ImportedBuffer(Gpu& gpu, VkDeviceSize bytes) : gpu_(gpu) {
    constexpr auto kType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    const VkDeviceSize allocated = (bytes + kPage - 1) / kPage * kPage;
    pages_ = std::aligned_alloc(kPage, allocated);
    auto external = make<VkExternalMemoryBufferCreateInfo>(
        VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
    external.handleTypes = kType;
    VkBufferCreateInfo create = storage_buffer(bytes);
    create.pNext = &external;
    EXPECT_EQ(gpu.CreateBuffer(gpu.device, &create, nullptr, &handle), VK_SUCCESS);
    auto properties = make<VkMemoryHostPointerPropertiesEXT>(
        VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT);
    EXPECT_EQ(gpu.GetMemoryHostPointerPropertiesEXT(gpu.device, kType, pages_, &properties),
              VK_SUCCESS);
    auto import = make<VkImportMemoryHostPointerInfoEXT>(
        VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT);
    import.handleType = kType;
    import.pHostPointer = pages_;
    auto allocate = make<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
    allocate.pNext = &import;
    allocate.allocationSize = allocated;
    while (!(properties.memoryTypeBits >> allocate.memoryTypeIndex & 1)) {
      ++allocate.memoryTypeIndex;
    }
    EXPECT_EQ(gpu.AllocateMemory(gpu.device, &allocate, nullptr, &memory_), VK_SUCCESS);
    EXPECT_EQ(gpu.BindBufferMemory(gpu.device, handle, memory_, 0), VK_SUCCESS);
  }
  ~ImportedBuffer() {
    gpu_.DestroyBuffer(gpu_.device, handle, nullptr);
    gpu_.FreeMemory(gpu_.device, memory_, nullptr);
    std::free(pages_);
  }
  ImportedBuffer(const ImportedBuffer&) = delete;
  ImportedBuffer& operator=(const ImportedBuffer&) = delete;

  float* data() const { return static_cast<float*>(pages_); }
  VkBuffer handle = VK_NULL_HANDLE;

 private:
  Gpu& gpu_;
  void* pages_ = nullptr;
  VkDeviceMemory memory_ = VK_NULL_HANDLE;
};

// Reads imported memory as `side` does, from `offset` on, and expects as many bindings to
// fall back. The host's writes are seen: nothing is copied.
class Imports : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    if (IsSkipped()) return;
    features.host_imports = true;
    if (!gpu()) GTEST_SKIP() << "no VK_EXT_external_memory_host";
  }

  void read(Side side, VkDeviceSize offset, uint64_t fallbacks) {
    Kernel kernel(gpu(), doubling_kernel(side, kBuffer), 2, true);
    const ImportedBuffer in(gpu(), 65536);
    const HostBuffer out(gpu(), 16000);
    Recording recording(gpu());
    counted();
    ASSERT_EQ(recording.record(kernel, {{in.handle, offset, 16000}, {out.handle}}, 1000),
              VK_SUCCESS)
        << last_error();
    EXPECT_EQ(counted().fallbacks, fallbacks);
    for (int run = 0; run < 2; ++run) {
      for (int i = 0; i < 16384; ++i) in.data()[i] = static_cast<float>(i + 7 * run);
      ASSERT_EQ(recording.submit(), VK_SUCCESS);
      for (int i = 0; i < 4000; ++i) {
        ASSERT_EQ(out.data<float>()[i], 2 * in.data()[i + offset / 4]);
      }
    }
  }
};

TEST_F(Imports, AreTexelBuffers) {
  read(kTexels, 0, 0);
  read(kTexels, 4096, 0);
}

TEST_F(Imports, AreNoImages) {
  read(kImage, 0, 1);
  read({Shown::kImage, 1000}, 4096, 1);
}

TEST_F(Imports, AreWritten) {
  for (Side side : {kTexels, kImage}) {
    Kernel kernel(gpu(), doubling_kernel(kBuffer, side), 2, false);
    HostBuffer in(gpu(), 1600);
    fill(in, 400, 'f');
    const ImportedBuffer out(gpu(), 1600);
    Recording recording(gpu());
    ASSERT_EQ(recording.record(kernel, {{in.handle}, {out.handle}}, 100), VK_SUCCESS);
    ASSERT_EQ(recording.submit(), VK_SUCCESS);
    for (int i = 0; i < 400; ++i) ASSERT_EQ(out.data()[i], 2 * in.data<float>()[i]);
  }
}

class MisalignedImports : public Imports {
 protected:
  void SetUp() override {
    fakes.limits = [](VkPhysicalDeviceLimits& l) { l.minTexelBufferOffsetAlignment = 256; };
    Imports::SetUp();
  }
};

TEST_F(MisalignedImports, FallBack) {
  read(kTexels, 64, 1);
  read(kTexels, 256, 0);
}

// A driver can import a buffer, but not one that has texels.
class ImportsWithoutTexels : public Imports {
 protected:
  void SetUp() override {
    fakes.external_buffers = [](const VkPhysicalDeviceExternalBufferInfo& info,
                                VkExternalBufferProperties& properties) {
      if (info.usage & VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT) {
        properties.externalMemoryProperties = {};
      }
    };
    Imports::SetUp();
  }
};

TEST_F(ImportsWithoutTexels, FallBack) { read(kTexels, 0, 1); }

// The library must not make such a buffer larger: its memory is the application's.
TEST_F(Imports, ThatEndWithinATexelAreAnError) {
  Kernel kernel(gpu(), doubling_kernel(kTexels, kBuffer), 2, true);
  const ImportedBuffer in(gpu(), 100);
  const HostBuffer out(gpu(), 112);
  Recording recording(gpu());
  EXPECT_EQ(recording.record(kernel, {{in.handle}, {out.handle}}, 7),
            VK_ERROR_FEATURE_NOT_PRESENT);
  EXPECT_NE(last_error().find("end within a texel"), std::string::npos);
}

}  // namespace
}  // namespace smartmem::test
