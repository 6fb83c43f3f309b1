// Submissions: their forms, and what several queues that share an image do.

#include "fixture.h"

namespace smartmem::test {
namespace {

class Queues : public DeviceTest {
 protected:
  // Submits without waiting for the end; first waits until the timeline, if given, is 1.
  VkResult submit(VkQueue queue, const Recording& recording,
                  const Timeline* timeline = nullptr) {
    auto wait = make<VkSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO);
    if (timeline) wait.semaphore = timeline->handle;
    wait.value = 1;
    wait.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
    auto commands =
        make<VkCommandBufferSubmitInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO);
    commands.commandBuffer = recording.handle;
    auto submit = make<VkSubmitInfo2>(VK_STRUCTURE_TYPE_SUBMIT_INFO_2);
    submit.waitSemaphoreInfoCount = timeline ? 1 : 0;
    submit.pWaitSemaphoreInfos = &wait;
    submit.commandBufferInfoCount = 1;
    submit.pCommandBufferInfos = &commands;
    return gpu().QueueSubmit2(queue, 1, &submit, VK_NULL_HANDLE);
  }
};

TEST_F(Queues, AreGivenInBothForms) {
  const auto info = make<VkDeviceQueueInfo2>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_INFO_2);
  VkQueue queue = VK_NULL_HANDLE;
  gpu().GetDeviceQueue2(gpu().device, &info, &queue);
  EXPECT_EQ(queue, gpu().queue);
}

// Two queues that use one image: the second waits until the first has changed its layout.
TEST_F(Queues, WaitForAnothersChangeOfLayout) {
  VkQueue second = VK_NULL_HANDLE;
  gpu().GetDeviceQueue(gpu().device, 0, 1, &second);
  ASSERT_NE(second, gpu().queue);
  const Doubling doubling(gpu(), kImage, kBuffer);
  const HostBuffer other_out(gpu(), Doubling::kBytes);
  Recording recording(gpu()), other(gpu());
  ASSERT_EQ(doubling.record(recording), VK_SUCCESS) << last_error();
  ASSERT_EQ(other.record(doubling.kernel, {{doubling.in.handle}, {other_out.handle}},
                         Doubling::kCount),
            VK_SUCCESS)
      << last_error();
  const Timeline timeline(gpu());
  ASSERT_EQ(submit(gpu().queue, recording, &timeline), VK_SUCCESS);
  EXPECT_EQ(fakes.waits, 1u);
  ASSERT_EQ(submit(second, other), VK_SUCCESS);
  EXPECT_EQ(fakes.waits, 1u);
  ASSERT_EQ(timeline.signal(1), VK_SUCCESS);
  ASSERT_EQ(gpu().QueueWaitIdle(gpu().queue), VK_SUCCESS);
  EXPECT_TRUE(doubling.is_right());
  EXPECT_TRUE(doubled(doubling.in, other_out, 400, 0, 'f'));
  // Now that it is done, nobody waits.
  ASSERT_EQ(submit(second, other), VK_SUCCESS);
  EXPECT_EQ(fakes.waits, 0u);
  ASSERT_EQ(gpu().QueueWaitIdle(gpu().queue), VK_SUCCESS);
}

TEST_F(Queues, TakeOldSubmissionsWithTimelines) {
  const Doubling doubling(gpu(), kImage, kImage);
  Recording recording(gpu());
  ASSERT_EQ(doubling.record(recording), VK_SUCCESS) << last_error();
  const Timeline timeline(gpu(), 5);
  const uint64_t wait = 5, signal = 6;
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
  auto values =
      make<VkTimelineSemaphoreSubmitInfo>(VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO);
  values.waitSemaphoreValueCount = values.signalSemaphoreValueCount = 1;
  values.pWaitSemaphoreValues = &wait;
  values.pSignalSemaphoreValues = &signal;
  auto submit = make<VkSubmitInfo>(VK_STRUCTURE_TYPE_SUBMIT_INFO);
  submit.pNext = &values;
  submit.waitSemaphoreCount = submit.signalSemaphoreCount = submit.commandBufferCount = 1;
  submit.pWaitSemaphores = submit.pSignalSemaphores = &timeline.handle;
  submit.pWaitDstStageMask = &stage;
  submit.pCommandBuffers = &recording.handle;
  ASSERT_EQ(gpu().QueueSubmit(gpu().queue, 1, &submit, VK_NULL_HANDLE), VK_SUCCESS);
  ASSERT_EQ(gpu().QueueWaitIdle(gpu().queue), VK_SUCCESS);
  EXPECT_TRUE(doubling.is_right());
}

}  // namespace
}  // namespace smartmem::test
