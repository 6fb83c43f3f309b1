// RUN: smartmem-opt --smartmem-pack-weights --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-pack-weights --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3) -> (d1, d3, d2)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-LABEL: func @blocks_of_channels
// REMARK: linalg.generic applied: blocks of 32 channels, as its kernel reads them
func.func @blocks_of_channels(%x: tensor<8x2xf32>, %bias: tensor<64xf32>) -> tensor<8x64xf32> {
  // CHECK: %[[P:.*]] = arith.constant {{.*}} : tensor<2x2x32xf32>
  // CHECK: %[[R:.*]] = linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %[[P]]
  // The addition runs over the blocks, too, and a reshape is behind it.
  // CHECK-DAG: %[[B:.*]] = "smartmem.view"(%arg1) {{.*}} -> tensor<2x32xf32>
  // CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[R]], %[[B]]
  // CHECK: %[[V:.*]] = "smartmem.view"(%[[S]]) {{.*}} -> tensor<8x64xf32>
  // CHECK: return %[[V]]
  %w = arith.constant dense<1.0> : tensor<64x2xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x64xf32>) -> tensor<8x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<8x2xf32>, tensor<64x2xf32>) outs(%z : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%0, %bias : tensor<8x64xf32>, tensor<64xf32>) outs(%e : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<8x64xf32>
  return %1 : tensor<8x64xf32>
}

// -----
// 40 channels are no whole number of vectors: they stay one block, the reduction before them.
// CHECK-LABEL: func @one_block
func.func @one_block(%x: tensor<8x2xf32>) -> tensor<8x40xf32> {
  // CHECK: %[[P:.*]] = arith.constant {{.*}} : tensor<2x40xf32>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins(%arg0, %[[P]]
  %w = arith.constant dense<1.0> : tensor<40x2xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x40xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x40xf32>) -> tensor<8x40xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<8x2xf32>, tensor<40x2xf32>) outs(%z : tensor<8x40xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x40xf32>
  return %0 : tensor<8x40xf32>
}

// -----
// CHECK-LABEL: func @keeps_few_rows
// REMARK: linalg.matmul kept: it has few rows: each weight is read about once
func.func @keeps_few_rows(%x: tensor<2x2xf32>) -> tensor<2x64xf32> {
  // CHECK: linalg.matmul
  %w = arith.constant dense<1.0> : tensor<2x64xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<2x64xf32>) -> tensor<2x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<2x2xf32>, tensor<2x64xf32>) outs(%z : tensor<2x64xf32>) -> tensor<2x64xf32>
  return %0 : tensor<2x64xf32>
}

// -----
// Of a single row, blocks are a vector wide, or half of one; some are taken up together.
// CHECK-LABEL: func @a_single_row
// CHECK: linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #{{.*}}], iterator_types = ["parallel", "parallel", "reduction"]} ins(%{{.*}}, %{{.*}} : tensor<1x2xf32>, tensor<5x2x8xf32>) outs(%{{.*}} : tensor<1x5x8xf32>)
// REMARK: linalg.matmul applied: blocks of 8 channels, as its kernel reads them
func.func @a_single_row(%x: tensor<1x2xf32>) -> tensor<1x40xf32> {
  %w = arith.constant dense<1.0> : tensor<2x40xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x40xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x40xf32>) -> tensor<1x40xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<1x2xf32>, tensor<2x40xf32>) outs(%z : tensor<1x40xf32>) -> tensor<1x40xf32>
  return %0 : tensor<1x40xf32>
}

// -----
// CHECK-LABEL: func @keeps_few_channels
// REMARK: linalg.matmul kept: no block of them is as wide as a vector
func.func @keeps_few_channels(%x: tensor<8x2xf32>) -> tensor<8x10xf32> {
  // CHECK: linalg.matmul
  %w = arith.constant dense<1.0> : tensor<2x10xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x10xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x10xf32>) -> tensor<8x10xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<8x2xf32>, tensor<2x10xf32>) outs(%z : tensor<8x10xf32>) -> tensor<8x10xf32>
  return %0 : tensor<8x10xf32>
}

// -----
// CHECK-LABEL: func @keeps_what_the_model_computes
// REMARK: linalg.matmul kept: its weights are not constant
func.func @keeps_what_the_model_computes(%x: tensor<8x2xf32>, %w: tensor<2x64xf32>, %z: tensor<8x64xf32>) -> tensor<8x64xf32> {
  // CHECK: linalg.matmul
  %0 = linalg.matmul ins(%x, %w : tensor<8x2xf32>, tensor<2x64xf32>) outs(%z : tensor<8x64xf32>) -> tensor<8x64xf32>
  return %0 : tensor<8x64xf32>
}

// -----
// CHECK-LABEL: func @weights_with_a_dim_of_one_element
// CHECK-NOT: "smartmem.view"
// REMARK: linalg.generic kept: its weights have a dim of one element
func.func @weights_with_a_dim_of_one_element(%x: tensor<8x6x1x8xf32>) -> tensor<8x32xf32> {
  %w = arith.constant dense<1.0> : tensor<32x6x1x8xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(a, e, b, c, d) -> (a, b, c, d)>, affine_map<(a, e, b, c, d) -> (e, b, c, d)>, affine_map<(a, e, b, c, d) -> (a, e)>], iterator_types = ["parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %w : tensor<8x6x1x8xf32>, tensor<32x6x1x8xf32>) outs(%z : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// -----
// Layers that share their weights, as the steps of a recurrent layer do, share the packed ones.
// CHECK-LABEL: func @shared
func.func @shared(%x: tensor<8x2xf32>, %y: tensor<8x2xf32>) -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  // CHECK: arith.constant dense_resource<[[KEY:[a-z_0-9]+]]> : tensor<2x2x32xf32>
  // CHECK: arith.constant dense_resource<[[KEY]]> : tensor<2x2x32xf32>
  %w = arith.constant dense<2.0> : tensor<64x2xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x64xf32>) -> tensor<8x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<8x2xf32>, tensor<64x2xf32>) outs(%z : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%y, %w : tensor<8x2xf32>, tensor<64x2xf32>) outs(%z : tensor<8x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x64xf32>
  return %0, %1 : tensor<8x64xf32>, tensor<8x64xf32>
}
