// RUN: smartmem-opt --smartmem-lower-to-linalg --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-lower-to-linalg --split-input-file %s | FileCheck %s --check-prefix=GPU
// RUN: smartmem-opt --smartmem-lower-to-linalg --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: func @a_window_is_a_sum_of_slices
// REMARK: linalg.generic applied: a sum of 2 slices
func.func @a_window_is_a_sum_of_slices(%x: tensor<1x10x8xf32>, %w: tensor<2x8xf32>) -> tensor<1x4x8xf32> {
  // CHECK-DAG: %[[C:.*]] = arith.constant 0.0
  // CHECK-DAG: %[[X0:.*]] = tensor.extract_slice %arg0[0, 0, 0] [1, 4, 8] [1, 2, 1] : {{.*}} to tensor<4x8xf32>
  // CHECK-DAG: %[[X1:.*]] = tensor.extract_slice %arg0[0, 3, 0] [1, 4, 8] [1, 2, 1] : {{.*}} to tensor<4x8xf32>
  // CHECK-DAG: %[[W0:.*]] = tensor.extract_slice %arg1[0, 0] [1, 8] [1, 1] : {{.*}} to tensor<8xf32>
  // CHECK-DAG: %[[W1:.*]] = tensor.extract_slice %arg1[1, 0] [1, 8] [1, 1] : {{.*}} to tensor<8xf32>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%[[X0]], %[[W0]], %[[X1]], %[[W1]]
  // CHECK: ^bb0(%[[A:[^:]*]]: f32, %[[B:[^:]*]]: f32, %[[A1:[^:]*]]: f32, %[[B1:[^:]*]]: f32
  // CHECK: %[[M:.*]] = arith.mulf %[[A]], %[[B]]
  // CHECK: %[[M1:.*]] = arith.mulf %[[A1]], %[[B1]]
  // CHECK: %[[S:.*]] = arith.addf %[[M]], %[[M1]]
  // CHECK: arith.addf %[[C]], %[[S]]
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x4x8xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(n, h, c, k) -> (n, h * 2 + k * 3, c)>, affine_map<(n, h, c, k) -> (k, c)>, affine_map<(n, h, c, k) -> (n, h, c)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<1x10x8xf32>, tensor<2x8xf32>) outs(%f : tensor<1x4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x4x8xf32>
  return %r : tensor<1x4x8xf32>
}

// -----
// The sum over the channels stays a loop, which starts from the initial value.
// CHECK-LABEL: func @channels_stay_a_loop
func.func @channels_stay_a_loop(%x: tensor<9x8xf32>, %w: tensor<3x8x5xf32>, %bias: tensor<7x5xf32>) -> tensor<7x5xf32> {
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} {{.*}} outs(%arg2
  // CHECK-COUNT-3: arith.mulf
  // CHECK: arith.addf %out
  %r = linalg.generic {indexing_maps = [affine_map<(h, f, k, c) -> (h + k, c)>, affine_map<(h, f, k, c) -> (k, c, f)>, affine_map<(h, f, k, c) -> (h, f)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : tensor<9x8xf32>, tensor<3x8x5xf32>) outs(%bias : tensor<7x5xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<7x5xf32>
  return %r : tensor<7x5xf32>
}

// -----
// CHECK-LABEL: func @a_pooling_reads_no_window
func.func @a_pooling_reads_no_window(%x: tensor<7x8xf32>, %window: tensor<3xf32>) -> tensor<5x8xf32> {
  // CHECK: linalg.generic
  // CHECK-NOT: %arg1
  // CHECK-COUNT-3: arith.maximumf
  %c = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<5x8xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<5x8xf32>) -> tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, c, k) -> (h + k, c)>, affine_map<(h, c, k) -> (k)>, affine_map<(h, c, k) -> (h, c)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %window : tensor<7x8xf32>, tensor<3xf32>) outs(%f : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.maximumf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----
// Of several reductions the longest stays a loop; on a GPU, tiles of 1 do for the others.
// GPU-LABEL: func @patches
// GPU: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%arg0, %arg1
// CHECK-LABEL: func @patches
// REMARK: linalg.generic applied: a sum of 2 slices
func.func @patches(%x: tensor<4x2x6xf32>, %w: tensor<2x6x5xf32>, %o: tensor<4x5xf32>) -> tensor<4x5xf32> {
  // CHECK: tensor.extract_slice %arg0[0, 1, 0] [4, 1, 6] [1, 1, 1] : {{.*}} to tensor<4x6xf32>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
  %r = linalg.generic {indexing_maps = [affine_map<(h, f, k, c) -> (h, k, c)>, affine_map<(h, f, k, c) -> (k, c, f)>, affine_map<(h, f, k, c) -> (h, f)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : tensor<4x2x6xf32>, tensor<2x6x5xf32>) outs(%o : tensor<4x5xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %out, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x5xf32>
  return %r : tensor<4x5xf32>
}

// -----
// CHECK-LABEL: func @keeps_large_windows
// REMARK: linalg.generic kept: a window of more than 64 elements
func.func @keeps_large_windows(%x: tensor<80x8xf32>, %w: tensor<70x8xf32>, %o: tensor<11x8xf32>) -> tensor<11x8xf32> {
  // CHECK-NOT: tensor.extract_slice
  %r = linalg.generic {indexing_maps = [affine_map<(h, c, k) -> (h + k, c)>, affine_map<(h, c, k) -> (k, c)>, affine_map<(h, c, k) -> (h, c)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<80x8xf32>, tensor<70x8xf32>) outs(%o : tensor<11x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %out, %m : f32
    linalg.yield %s : f32
  } -> tensor<11x8xf32>
  return %r : tensor<11x8xf32>
}

// -----
// CHECK-LABEL: func @keeps_sums_of_another_form
// REMARK: linalg.generic kept: its reduction is no operation on the output and one value
func.func @keeps_sums_of_another_form(%x: tensor<7x8xf32>, %w: tensor<3x8xf32>, %o: tensor<5x8xf32>) -> tensor<5x8xf32> {
  // CHECK-NOT: tensor.extract_slice
  %r = linalg.generic {indexing_maps = [affine_map<(h, c, k) -> (h + k, c)>, affine_map<(h, c, k) -> (k, c)>, affine_map<(h, c, k) -> (h, c)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<7x8xf32>, tensor<3x8xf32>) outs(%o : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %m = arith.mulf %out, %b : f32
    %s = arith.addf %out, %m : f32
    linalg.yield %s : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}
