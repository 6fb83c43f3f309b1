"""The time of each kernel on a device, and how near it is to what the device can do."""
