"""SmartMem's stages in Model Explorer: a file of them, and the adapter that reads it.

Model Explorer loads ``main`` of the packages that its option ``--extensions`` names, so:
``model-explorer model.smartmem --extensions=smartmem.explorer``.
"""
