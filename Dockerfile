# SmartMem with the software Vulkan driver and its Vulkan library:
#
#   docker build -t smartmem .
#   docker run --rm -v "$PWD:/work" smartmem compile model.onnx --target adreno
#
# The wheel is built in a stage of its own: the image has no compiler.
FROM python:3.12-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --no-install-recommends -y cmake g++ libvulkan-dev \
    && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:3.12-slim-bookworm
RUN apt-get update \
    && apt-get install --no-install-recommends -y libvulkan1 mesa-vulkan-drivers \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /wheels /wheels
RUN wheel=$(ls /wheels/*.whl) && pip install --no-cache-dir "$wheel[onnx]" && rm -r /wheels
RUN useradd --create-home user
USER user
WORKDIR /work
ENTRYPOINT ["smartmem"]
CMD ["--help"]
