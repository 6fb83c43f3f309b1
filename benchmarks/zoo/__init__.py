"""Networks that nobody tuned for: one module per family, one table for all."""

from zoo import audio, convolutional, dense, language, recurrent, vision
from zoo.builders import Builder

FAMILIES: dict[str, dict[str, Builder]] = {
    "convolutional": convolutional.NETWORKS,
    "vision": vision.NETWORKS,
    "language": language.NETWORKS,
    "audio": audio.NETWORKS,
    "dense": dense.NETWORKS,
    "recurrent": recurrent.NETWORKS,
}

NETWORKS: dict[str, Builder] = {k: b for table in FAMILIES.values() for k, b in table.items()}
