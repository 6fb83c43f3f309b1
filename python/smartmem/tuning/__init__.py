"""Choices that are measured, not computed: tile sizes of kernels.

``table`` holds them and their file, ``shipped`` those that come with SmartMem. ``session``
measures the kernels of a model, with ``kernels`` (what there is to measure), ``candidates``
(what to try) and ``measure`` (how fast it is).
"""
