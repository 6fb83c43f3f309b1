// Descriptor sets that are copied, freed and bound with offsets.

#include "fixture.h"

namespace smartmem::test {
namespace {

class Descriptors : public DeviceTest {
 protected:
  // Sets of one layout, from a pool that can free single ones.
  std::vector<VkDescriptorSet> allocate(const Kernel& kernel, VkDescriptorType type,
                                        uint32_t count) {
    const VkDescriptorPoolSize size = {type, 8};
    auto info = make<VkDescriptorPoolCreateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO);
    info.flags = VK_DESCRIPTOR_POOL_CREATE_FREE_DESCRIPTOR_SET_BIT;
    info.maxSets = count;
    info.poolSizeCount = 1;
    info.pPoolSizes = &size;
    EXPECT_EQ(gpu().CreateDescriptorPool(gpu().device, &info, nullptr, &pool), VK_SUCCESS);
    const std::vector<VkDescriptorSetLayout> layouts(count, kernel.set_layout);
    auto allocation =
        make<VkDescriptorSetAllocateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO);
    allocation.descriptorPool = pool;
    allocation.descriptorSetCount = count;
    allocation.pSetLayouts = layouts.data();
    std::vector<VkDescriptorSet> sets(count);
    EXPECT_EQ(gpu().AllocateDescriptorSets(gpu().device, &allocation, sets.data()), VK_SUCCESS);
    return sets;
  }

  void TearDown() override {
    if (pool) gpu().DestroyDescriptorPool(gpu().device, pool, nullptr);
  }

  // One write for two bindings: it goes on in the next one.
  void write(VkDescriptorSet set, VkDescriptorType type,
             const VkDescriptorBufferInfo (&infos)[2]) {
    auto write = make<VkWriteDescriptorSet>(VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET);
    write.dstSet = set;
    write.descriptorCount = 2;
    write.descriptorType = type;
    write.pBufferInfo = infos;
    gpu().UpdateDescriptorSets(gpu().device, 1, &write, 0, nullptr);
  }

  void run(const Kernel& kernel, VkDescriptorSet set, const std::vector<uint32_t>& offsets) {
    Recording recording(gpu());
    recording.begin();
    gpu().CmdBindDescriptorSets(recording.handle, VK_PIPELINE_BIND_POINT_COMPUTE, kernel.layout,
                                0, 1, &set, static_cast<uint32_t>(offsets.size()),
                                offsets.data());
    recording.push_constant(kernel, 0);
    recording.dispatch(kernel, 100);
    recording.barrier();
    ASSERT_EQ(recording.end(), VK_SUCCESS) << last_error();
    ASSERT_EQ(recording.submit(), VK_SUCCESS);
  }

  VkDescriptorPool pool = VK_NULL_HANDLE;
};

TEST_F(Descriptors, AreCopied) {
  const Doubling doubling(gpu(), kTexels, kImage, false);
  const auto sets = allocate(doubling.kernel, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2);
  write(sets[0], VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
        {{doubling.in.handle, 0, VK_WHOLE_SIZE}, {doubling.out.handle, 0, VK_WHOLE_SIZE}});
  VkCopyDescriptorSet copies[2] = {};
  for (uint32_t i = 0; i < 2; ++i) {
    copies[i] = make<VkCopyDescriptorSet>(VK_STRUCTURE_TYPE_COPY_DESCRIPTOR_SET);
    copies[i].srcSet = sets[0];
    copies[i].dstSet = sets[1];
    copies[i].srcBinding = copies[i].dstBinding = i;
    copies[i].descriptorCount = 1;
  }
  gpu().UpdateDescriptorSets(gpu().device, 0, nullptr, 2, copies);
  EXPECT_EQ(gpu().FreeDescriptorSets(gpu().device, pool, 1, &sets[0]), VK_SUCCESS);
  run(doubling.kernel, sets[1], {});
  EXPECT_TRUE(doubling.is_right());
}

TEST_F(Descriptors, HaveDynamicOffsets) {
  constexpr auto kType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER_DYNAMIC;
  Kernel kernel(gpu(), doubling_kernel(kTexels, kBuffer), 2, false, 0, kType);
  HostBuffer in(gpu(), 8192), out(gpu(), 8192);
  fill(in, 2048, 'f');
  const auto sets = allocate(kernel, kType, 1);
  write(sets[0], kType, {{in.handle, 256, 1600}, {out.handle, 0, 1600}});
  run(kernel, sets[0], {1024, 512});
  EXPECT_TRUE(doubled(in, out, 400, 0, 'f', 320, 128));
}

}  // namespace
}  // namespace smartmem::test
