// RUN: smartmem-opt --smartmem-form-regions --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: func @keeps_overlapping_slices
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: its slices overlap: columns would be computed twice
func.func @keeps_overlapping_slices(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x24xf32>) -> tensor<4x28x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x24xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x24xf32>) -> tensor<4x28x24xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x24xf32>) outs(%z : tensor<4x28x24xf32>) -> tensor<4x28x24xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 16] [1, 1, 1] : tensor<4x28x24xf32> to tensor<4x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 8] [4, 28, 16] [1, 1, 1] : tensor<4x28x24xf32> to tensor<4x28x16xf32>
  %o = tensor.empty() : tensor<4x28x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x16xf32>, tensor<4x28x16xf32>) outs(%o : tensor<4x28x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<4x28x16xf32>
  return %r : tensor<4x28x16xf32>
}

// -----
// Both operands have the heads.
// CHECK-LABEL: func @keeps_slices_of_heads
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: both operands have the dim that is sliced
func.func @keeps_slices_of_heads(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x16xf32>) -> tensor<2x28x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x16xf32>) -> tensor<4x28x16xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x16xf32>) outs(%z : tensor<4x28x16xf32>) -> tensor<4x28x16xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [2, 28, 16] [1, 1, 1] : tensor<4x28x16xf32> to tensor<2x28x16xf32>
  %d = tensor.extract_slice %s[2, 0, 0] [2, 28, 16] [1, 1, 1] : tensor<4x28x16xf32> to tensor<2x28x16xf32>
  %o = tensor.empty() : tensor<2x28x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<2x28x16xf32>, tensor<2x28x16xf32>) outs(%o : tensor<2x28x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<2x28x16xf32>
  return %r : tensor<2x28x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_every_other_column
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: its slices are no runs along one dim
func.func @keeps_every_other_column(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x32xf32>) -> tensor<4x28x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x32xf32>) -> tensor<4x28x32xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x32xf32>) outs(%z : tensor<4x28x32xf32>) -> tensor<4x28x32xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [4, 28, 16] [1, 1, 2] : tensor<4x28x32xf32> to tensor<4x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 1] [4, 28, 16] [1, 1, 2] : tensor<4x28x32xf32> to tensor<4x28x16xf32>
  %o = tensor.empty() : tensor<4x28x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<4x28x16xf32>, tensor<4x28x16xf32>) outs(%o : tensor<4x28x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<4x28x16xf32>
  return %r : tensor<4x28x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_sum_that_adds_to_a_tensor
// CHECK: linalg.batch_matmul
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: its sum starts from a tensor
func.func @keeps_a_sum_that_adds_to_a_tensor(%q: tensor<4x28x8xf32>, %kv: tensor<4x8x17xf32>, %t: tensor<4x28x17xf32>) -> tensor<28x4x16xf32> {
  %c = arith.constant 0.0 : f32
  %s = linalg.batch_matmul ins(%q, %kv : tensor<4x28x8xf32>, tensor<4x8x17xf32>) outs(%t : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
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
// CHECK-LABEL: func @keeps_dims_of_size_1
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: not every dim of it is a loop: it has dims of size 1
func.func @keeps_dims_of_size_1(%q: tensor<1x28x8xf32>, %kv: tensor<1x8x17xf32>) -> tensor<28x1x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x28x17xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x28x17xf32>) -> tensor<1x28x17xf32>
  %s = linalg.batch_matmul ins(%q, %kv : tensor<1x28x8xf32>, tensor<1x8x17xf32>) outs(%z : tensor<1x28x17xf32>) -> tensor<1x28x17xf32>
  %n = tensor.extract_slice %s[0, 0, 0] [1, 28, 16] [1, 1, 1] : tensor<1x28x17xf32> to tensor<1x28x16xf32>
  %d = tensor.extract_slice %s[0, 0, 16] [1, 28, 1] [1, 1, 1] : tensor<1x28x17xf32> to tensor<1x28xf32>
  %o = tensor.empty() : tensor<28x1x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, p, d) -> (h, p, d)>, affine_map<(h, p, d) -> (h, p)>, affine_map<(h, p, d) -> (p, h, d)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%n, %d : tensor<1x28x16xf32>, tensor<1x28xf32>) outs(%o : tensor<28x1x16xf32>) {
  ^bb0(%a: f32, %b: f32, %x: f32):
    %y = arith.divf %a, %b : f32
    linalg.yield %y : f32
  } -> tensor<28x1x16xf32>
  return %r : tensor<28x1x16xf32>
}

// -----
// The column would sum up what lies apart.
// CHECK-LABEL: func @keeps_a_sum_across_its_rows
// CHECK-NEXT: arith.constant
// CHECK: linalg.{{batch_matmul|matmul}}
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: its parts would be kernels of their own: the sum without columns does not run along
func.func @keeps_a_sum_across_its_rows(%q: tensor<4x8x28xf32>, %kv: tensor<4x8x17xf32>) -> tensor<28x4x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x28x17xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
  %s = linalg.batch_matmul indexing_maps = [affine_map<(b, m, n, k) -> (b, k, m)>, affine_map<(b, m, n, k) -> (b, k, n)>, affine_map<(b, m, n, k) -> (b, m, n)>] ins(%q, %kv : tensor<4x8x28xf32>, tensor<4x8x17xf32>) outs(%z : tensor<4x28x17xf32>) -> tensor<4x28x17xf32>
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
