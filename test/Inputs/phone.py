"""A device that is not here: every property that a phone's driver reports."""

from __future__ import annotations

from smartmem.backend.targets.vulkan_device import VulkanDevice

# Not one device but every property a phone's driver reports, in plausible values.
PHONE = VulkanDevice(
    index=0,
    name="Adreno (TM) 740",
    type="integrated",
    vendor_id=0x5143,
    device_id=0x43050A01,
    driver="Qualcomm Technologies Inc. Adreno Vulkan Driver",
    driver_info="Driver Build: abc",
    api_version=(1, 3, 128),
    uuid="00112233445566778899aabbccddeeff",
    subgroup_size=128,
    min_subgroup_size=64,
    max_subgroup_size=128,
    max_workgroup_size=(1024, 1024, 64),
    max_workgroup_invocations=1024,
    max_workgroup_memory_bytes=32768,
    max_workgroup_counts=(65535, 65535, 65535),
    max_texel_buffer_elements=65536,
    max_image_dimension_2d=16384,
    max_storage_buffer_range=2**27,
    max_push_constants_size=256,
    min_texel_buffer_offset_alignment=64,
    min_storage_buffer_offset_alignment=64,
    memory_bytes=2**33,
    features=frozenset(
        {
            "float16",
            "int8",
            "int16",
            "storage16",
            "integer-dot-product",
            "integer-dot-product-accelerated",
            "subgroup-basic",
            "subgroup-arithmetic",
            "subgroup-shuffle",
            "subgroup-shuffle-relative",
            "timeline-semaphore",
            "scalar-block-layout",
            "synchronization2",
        }
    ),
)
