"""What is measured, not computed: tile sizes of kernels, their storage, a device's costs.

``table`` holds it and its file, ``shipped`` what comes with SmartMem. ``session`` measures the
kernels of a model, with ``kernels`` (what there is to measure), ``candidates`` and
``shader_candidates`` (which tiles to try), ``storages`` (how to read) and ``measure`` (how fast
it is). ``costs`` measures the device.
"""
