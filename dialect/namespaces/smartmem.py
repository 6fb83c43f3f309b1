"""``smartmem``: its classes register themselves when ``smartmem.dialect`` is imported."""
