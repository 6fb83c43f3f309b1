// RUN: smartmem-opt --smartmem-form-regions --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --split-input-file %s | FileCheck %s --check-prefix=GPU
// RUN: smartmem-opt --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefix=KERNEL
// RUN: smartmem-opt --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Linear attention: the last column divides the others. Each sum reads its columns alone.
// CHECK-LABEL: func @sums_that_another_sum_divides
// CHECK: %[[V:.*]] = tensor.extract_slice %arg1[0, 0, 0] [4, 8, 16] [1, 1, 1] : tensor<4x8x17xf32> to tensor<4x8x16xf32>
// CHECK: %[[N:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %[[V]]
// CHECK: %[[O:.*]] = tensor.extract_slice %arg1[0, 0, 16] [4, 8, 1] [1, 1, 1] : tensor<4x8x17xf32> to tensor<4x8xf32>
// CHECK: %[[D:.*]] = linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%arg0, %[[O]]
// CHECK-NOT: x17xf32
// CHECK: linalg.generic {{.*}} ins(%[[N]], %[[D]] : tensor<4x28x16xf32>, tensor<4x28xf32>)
// REMARK: linalg.batch_matmul applied: 16 and 1 columns: one kernel
// GPU-LABEL: func @sums_that_another_sum_divides
// GPU: linalg.batch_matmul {{.*}} -> tensor<4x28x17xf32>
// KERNEL-LABEL: func @sums_that_another_sum_divides
// KERNEL: flow.dispatch.region
// KERNEL: linalg.generic {{.*}}tensor<4x8x16xf32>) {{.*}}compilation_info = {{.*}}vector_common_parallel = [1, 14, 16, 0], vector_reduction = [0, 0, 0, 1]>
// KERNEL: linalg.generic {{.*}}tensor<4x8xf32>) {{.*}}lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [1, 14, 0], vector_reduction = [0, 0, 4]>
// KERNEL-NOT: flow.dispatch.region
func.func @sums_that_another_sum_divides(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x17xf32>) -> tensor<28x4x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x17xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x17xf32>) outs(%z : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 16] [1, 1, 1] : tensor<4x28x17xf32> to tensor<4x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 16] [4, 28, 1] [1, 1, 1] : tensor<4x28x17xf32> to tensor<4x28xf32>
  %o = tensor.empty() : tensor<28x4x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p)>, affine_map<(h, p, d) -> (p, h, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x16xf32>, tensor<4x28xf32>) outs(%o : tensor<28x4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<28x4x16xf32>
  return %r : tensor<28x4x16xf32>
}

// -----
// Parts of one width keep one block of results, too.
// CHECK-LABEL: func @halves_that_are_combined
// CHECK-COUNT-2: linalg.generic {{.*}} ins(%arg0, %{{.*}} : tensor<4x28x8xf32>, tensor<4x8x16xf32>)
// REMARK: linalg.batch_matmul applied: 16 and 16 columns: one kernel
// KERNEL-LABEL: func @halves_that_are_combined
// KERNEL-COUNT-1: flow.dispatch.region
// KERNEL-NOT: flow.dispatch.region
func.func @halves_that_are_combined(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x32xf32>) -> tensor<4x28x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x32xf32>) -> tensor<4x28x32xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x32xf32>) outs(%z : tensor<4x28x32xf32>) -> tensor<4x28x32xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 16] [1, 1, 1] : tensor<4x28x32xf32> to tensor<4x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 16] [4, 28, 16] [1, 1, 1] : tensor<4x28x32xf32> to tensor<4x28x16xf32>
  %o = tensor.empty() : tensor<4x28x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x16xf32>, tensor<4x28x16xf32>) outs(%o : tensor<4x28x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<4x28x16xf32>
  return %r : tensor<4x28x16xf32>
}

// -----
// To the fusion plan, what writes in another order moves data: it would stay alone.
// CHECK-LABEL: func @keeps_halves_that_are_swapped
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: its parts would be kernels of their own: they are read elsewhere
// KERNEL-LABEL: func @keeps_halves_that_are_swapped
func.func @keeps_halves_that_are_swapped(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x32xf32>) -> tensor<28x4x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x32xf32>) -> tensor<4x28x32xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x32xf32>) outs(%z : tensor<4x28x32xf32>) -> tensor<4x28x32xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 16] [1, 1, 1] : tensor<4x28x32xf32> to tensor<4x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 16] [4, 28, 16] [1, 1, 1] : tensor<4x28x32xf32> to tensor<4x28x16xf32>
  %o = tensor.empty() : tensor<28x4x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (p, h, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x16xf32>, tensor<4x28x16xf32>) outs(%o : tensor<28x4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<28x4x16xf32>
  return %r : tensor<28x4x16xf32>
}

// -----
// Eight columns are no vector.
// CHECK-LABEL: func @keeps_narrow_columns
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: its parts would be kernels of their own: its result is narrower than a vector
func.func @keeps_narrow_columns(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x9xf32>) -> tensor<28x4x8xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x9xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x9xf32>) -> tensor<4x28x9xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x9xf32>) outs(%z : tensor<4x28x9xf32>) -> tensor<4x28x9xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 8] [1, 1, 1] : tensor<4x28x9xf32> to tensor<4x28x8xf32>
  %d = tensor.extract_slice %s[0, 0, 8] [4, 28, 1] [1, 1, 1] : tensor<4x28x9xf32> to tensor<4x28xf32>
  %o = tensor.empty() : tensor<28x4x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p)>, affine_map<(h, p, d) -> (p, h, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x8xf32>, tensor<4x28xf32>) outs(%o : tensor<28x4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<28x4x8xf32>
  return %r : tensor<28x4x8xf32>
}

// -----
// Blocks of 32 and 16 columns: what reads them could not keep both.
// CHECK-LABEL: func @keeps_parts_of_other_widths
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: its parts would be kernels of their own: its sums want different blocks of results
func.func @keeps_parts_of_other_widths(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x48xf32>) -> tensor<4x28x32x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x48xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x48xf32>) -> tensor<4x28x48xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x48xf32>) outs(%z : tensor<4x28x48xf32>) -> tensor<4x28x48xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 32] [1, 1, 1] : tensor<4x28x48xf32> to tensor<4x28x32xf32>
  %d = tensor.extract_slice %s[0, 0, 32] [4, 28, 16] [1, 1, 1] : tensor<4x28x48xf32> to tensor<4x28x16xf32>
  %o = tensor.empty() : tensor<4x28x32x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d, g) -> (h, p, d)>, affine_map<(h, p, d, g) -> (h, p, g)>, affine_map<(h, p, d, g) -> (h, p, d, g)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x32xf32>, tensor<4x28x16xf32>) outs(%o : tensor<4x28x32x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<4x28x32x16xf32>
  return %r : tensor<4x28x32x16xf32>
}

// -----
// Three readers: the whole result is stored anyway.
// CHECK-LABEL: func @keeps_sums_that_are_returned
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK-NOT: {{kept|applied}}
func.func @keeps_sums_that_are_returned(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x17xf32>) -> (tensor<28x4x16xf32>, tensor<4x28x17xf32>) {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x17xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x17xf32>) outs(%z : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 16] [1, 1, 1] : tensor<4x28x17xf32> to tensor<4x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 16] [4, 28, 1] [1, 1, 1] : tensor<4x28x17xf32> to tensor<4x28xf32>
  %o = tensor.empty() : tensor<28x4x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p)>, affine_map<(h, p, d) -> (p, h, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x16xf32>, tensor<4x28xf32>) outs(%o : tensor<28x4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<28x4x16xf32>
  return %r, %s : tensor<28x4x16xf32>, tensor<4x28x17xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_part_that_is_returned
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK-NOT: {{kept|applied}}
func.func @keeps_a_part_that_is_returned(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x17xf32>) -> (tensor<28x4x16xf32>, tensor<4x28x16xf32>) {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x17xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x17xf32>) outs(%z : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 16] [1, 1, 1] : tensor<4x28x17xf32> to tensor<4x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 16] [4, 28, 1] [1, 1, 1] : tensor<4x28x17xf32> to tensor<4x28xf32>
  %o = tensor.empty() : tensor<28x4x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p)>, affine_map<(h, p, d) -> (p, h, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x16xf32>, tensor<4x28xf32>) outs(%o : tensor<28x4x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<28x4x16xf32>
  return %r, %n : tensor<28x4x16xf32>, tensor<4x28x16xf32>
}
