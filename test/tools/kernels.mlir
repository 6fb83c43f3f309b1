// Passes on kernels run in IREE's build of MLIR, apart from those on models.

// RUN: smartmem-opt --smartmem-bind-images --canonicalize --verify-roundtrip %s | FileCheck %s
// RUN: not smartmem-opt --smartmem-bind-images --smartmem-raise-views %s 2>&1 | FileCheck %s --check-prefix=MIXED
// RUN: not smartmem-opt --smartmem-bind-images=reads=texture %s 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: not smartmem-opt --smartmem-raise-views %s 2>&1 | FileCheck %s --check-prefix=MODEL

// MIXED: error: pass smartmem-bind-images: works on the kernels that iree-compile makes of a model, and not in one pipeline with passes on models
// OPTION: error: {{.*}}smartmem-bind-images: reads=texture is unknown; use one of buffer, texel_buffer, image2d
// MODEL: error: {{.*}}hal

// CHECK: hal.executable private @empty
// CHECK-NOT: arith.constant
// CHECK: util.func public @main
hal.executable private @empty {
}
util.func public @main() {
  %unused = arith.constant 1 : i32
  util.return
}
