// RUN: smartmem-opt --smartmem-lower-to-linalg --split-input-file --verify-diagnostics %s | FileCheck %s

// CHECK-LABEL: func @reshape
func.func @reshape(%x: tensor<2x3x4xf32>) -> tensor<3x8xf32> {
  // CHECK-NOT: smartmem
  // CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0, 1, 2]]
  // CHECK: tensor.expand_shape %{{.*}} {{\[}}[0, 1]] output_shape [3, 8]
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> ((d0 * 8 + d1) floordiv 12, ((d0 * 8 + d1) mod 12) floordiv 4, d1 mod 4)>} : (tensor<2x3x4xf32>) -> tensor<3x8xf32>
  return %0 : tensor<3x8xf32>
}

// CHECK-LABEL: func @transpose_keeps_unit_dims
func.func @transpose_keeps_unit_dims(%x: tensor<1x3x4xf32>) -> tensor<1x4x3xf32> {
  // CHECK-NOT: tensor.collapse_shape
  // CHECK: linalg.transpose {{.*}} permutation = [0, 2, 1]
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1, d2) -> (d0, d2, d1)>} : (tensor<1x3x4xf32>) -> tensor<1x4x3xf32>
  return %0 : tensor<1x4x3xf32>
}

// A window partition: reshape, transpose and reshape in one map.
// CHECK-LABEL: func @chain
func.func @chain(%x: tensor<4x6x5xf32>) -> tensor<6x4x5xf32> {
  // CHECK: tensor.expand_shape %arg0 {{\[}}[0, 1], [2, 3], [4]] output_shape [2, 2, 3, 2, 5]
  // CHECK: linalg.transpose {{.*}} permutation = [0, 2, 1, 3, 4]
  // CHECK: tensor.collapse_shape %{{.*}} {{\[}}[0, 1], [2, 3], [4]]
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1, d2) -> ((d0 floordiv 3) * 2 + d1 floordiv 2, (d0 mod 3) * 2 + d1 mod 2, d2)>} : (tensor<4x6x5xf32>) -> tensor<6x4x5xf32>
  return %0 : tensor<6x4x5xf32>
}

// iree-compile fails where both are in one kernel.
// CHECK-LABEL: func @padding_of_a_padding
func.func @padding_of_a_padding(%x: tensor<2x3xf32>) -> tensor<6x3xf32> {
  // CHECK: %[[P:.*]] = tensor.pad %arg0 low[1, 0] high[0, 0]
  // CHECK-NOT: tensor.pad
  // CHECK: linalg.generic
  // CHECK: tensor.extract %[[P]]
  // CHECK: arith.select
  %one = arith.constant 1.0 : f32
  %two = arith.constant 2.0 : f32
  %p = tensor.pad %x low[1, 0] high[0, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %one : f32
  } : tensor<2x3xf32> to tensor<3x3xf32>
  %q = tensor.pad %p low[2, 0] high[1, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %two : f32
  } : tensor<3x3xf32> to tensor<6x3xf32>
  return %q : tensor<6x3xf32>
}

// CHECK-LABEL: func @product_of_a_column_and_a_row
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]
func.func @product_of_a_column_and_a_row(%x: tensor<6x1xf32>, %y: tensor<1x3xf32>, %init: tensor<6x3xf32>) -> tensor<6x3xf32> {
  %r = linalg.matmul ins(%x, %y : tensor<6x1xf32>, tensor<1x3xf32>) outs(%init : tensor<6x3xf32>) -> tensor<6x3xf32>
  return %r : tensor<6x3xf32>
}

// CHECK-LABEL: func @strided_slice
func.func @strided_slice(%x: tensor<8x9xf32>) -> tensor<2x3xf32> {
  // CHECK: tensor.extract_slice %arg0[1, 0] [2, 3] [1, 4]
  // CHECK-NOT: tensor.expand_shape
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0 + 1, d1 * 4)>} : (tensor<8x9xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: func @one_element_is_sliced_last
func.func @one_element_is_sliced_last(%x: tensor<2xf32>) -> tensor<1x1xf32> {
  // CHECK: %[[E:.*]] = tensor.expand_shape %arg0 {{\[\[}}0, 1]] output_shape [2, 1]
  // CHECK-NEXT: tensor.extract_slice %[[E]][1, 0] [1, 1] [1, 1]
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (1)>} : (tensor<2xf32>) -> tensor<1x1xf32>
  return %0 : tensor<1x1xf32>
}

// CHECK-LABEL: func @broadcast
func.func @broadcast(%x: tensor<3xf32>) -> tensor<2x3xf32> {
  // CHECK: linalg.broadcast {{.*}} dimensions = [0]
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1)>} : (tensor<3xf32>) -> tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: func @booleans_are_moved_by_generics
func.func @booleans_are_moved_by_generics(%x: tensor<3x4xi1>) -> tensor<2x4x3xi1> {
  // CHECK-NOT: linalg.transpose
  // CHECK-NOT: linalg.broadcast
  // CHECK: linalg.generic {{.*}} ins(%arg0 : tensor<3x4xi1>) outs(%{{.*}} : tensor<4x3xi1>)
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<2x4x3xi1>)
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1, d2) -> (d2, d1)>} : (tensor<3x4xi1>) -> tensor<2x4x3xi1>
  return %0 : tensor<2x4x3xi1>
}

// CHECK-LABEL: func @pad
func.func @pad(%x: tensor<4xf32>, %f: f32) -> tensor<7xf32> {
  // CHECK: tensor.pad %arg0 low[1] high[2]
  %0 = "smartmem.view"(%x, %f) {map = affine_map<(d0) -> (d0 - 1)>, domain = affine_map<(d0) -> (d0 - 1, 4 - d0)>} : (tensor<4xf32>, f32) -> tensor<7xf32>
  return %0 : tensor<7xf32>
}

// CHECK-LABEL: func @roll_is_a_gather
func.func @roll_is_a_gather(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  // CHECK: linalg.generic
  // CHECK-NOT: affine.apply
  // CHECK: arith.remui
  // CHECK: tensor.extract %arg0
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> ((d0 + 3) mod 8, d1)>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// CHECK-LABEL: func @concat
func.func @concat(%x: tensor<2xf32>, %y: tensor<3xf32>) -> tensor<5xf32> {
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0)>, domain = affine_map<(d0) -> (1 - d0)>} : (tensor<2xf32>) -> tensor<5xf32>
  %1 = "smartmem.view"(%y) {map = affine_map<(d0) -> (d0 - 2)>, domain = affine_map<(d0) -> (d0 - 2)>} : (tensor<3xf32>) -> tensor<5xf32>
  // CHECK-NOT: smartmem.view
  // CHECK: tensor.concat dim(0) %arg0, %arg1
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0) -> (1 - d0)>, affine_map<(d0) -> (d0 - 2)>]} : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
  return %2 : tensor<5xf32>
}

// CHECK-LABEL: func @first_piece_wins
func.func @first_piece_wins(%x: tensor<6xf32>, %y: tensor<6xf32>, %z: tensor<6xf32>) -> tensor<6xf32> {
  // CHECK: %[[B:.*]] = tensor.extract_slice %arg1[1] [4] [1]
  // CHECK: %[[I:.*]] = tensor.insert_slice %[[B]] into %arg2[1] [4] [1]
  // CHECK: %[[A:.*]] = tensor.extract_slice %arg0[2] [2] [1]
  // CHECK: tensor.insert_slice %[[A]] into %[[I]][2] [2] [1]
  %0 = "smartmem.concat"(%x, %y, %z) {domains = [affine_map<(d0) -> (d0 - 2, 3 - d0)>, affine_map<(d0) -> (d0 - 1, 4 - d0)>, affine_map<(d0) -> ()>]} : (tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// CHECK-LABEL: func @pieces_that_are_no_boxes
func.func @pieces_that_are_no_boxes(%x: tensor<6xf32>, %y: tensor<6xf32>) -> tensor<6xf32> {
  // CHECK: linalg.generic
  // CHECK: arith.select
  %0 = "smartmem.concat"(%x, %y) {domains = [affine_map<(d0) -> (-(d0 mod 2))>, affine_map<(d0) -> ()>]} : (tensor<6xf32>, tensor<6xf32>) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// CHECK-LABEL: func @attributes_are_dropped
func.func @attributes_are_dropped(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: linalg.fill ins
  %c = arith.constant 0.0 : f32
  %0 = linalg.fill {smartmem.group = #smartmem.group<"ili_variable">} ins(%c : f32) outs(%x : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @few_bf16_are_dense
func.func @few_bf16_are_dense() -> tensor<2xbf16> {
  // CHECK: arith.constant dense<[1.000000e+00, 2.000000e+00]> : tensor<2xbf16>
  %0 = arith.constant dense_resource<halves> : tensor<2xbf16>
  return %0 : tensor<2xbf16>
}

// CHECK-LABEL: func @scalars_are_dense
func.func @scalars_are_dense() -> (tensor<f32>, tensor<i64>) {
  // CHECK: arith.constant dense<1.000000e+00> : tensor<f32>
  // CHECK: arith.constant dense<2> : tensor<i64>
  %0 = arith.constant dense_resource<one> : tensor<f32>
  %1 = arith.constant dense_resource<two> : tensor<i64>
  return %0, %1 : tensor<f32>, tensor<i64>
}

{-# dialect_resources: { builtin: { halves: "0x04000000803F0040", one: "0x040000000000803F", two: "0x080000000200000000000000" } } #-}

// -----
// One elementwise operation looks for the pieces itself: storing them would be two copies.
// CHECK-LABEL: func @concat_read_by_one_elementwise_operation
func.func @concat_read_by_one_elementwise_operation(%a: tensor<1x6xf32>, %b: tensor<4x6xf32>) -> tensor<5x6xf32> {
  // CHECK-NOT: tensor.concat
  // CHECK: linalg.generic
  // CHECK-COUNT-2: tensor.extract
  // CHECK: math.exp
  %0 = "smartmem.view"(%a) {map = affine_map<(d0, d1) -> (d0, d1)>, domain = affine_map<(d0, d1) -> (-d0)>} : (tensor<1x6xf32>) -> tensor<5x6xf32>
  %1 = "smartmem.view"(%b) {map = affine_map<(d0, d1) -> (d0 - 1, d1)>, domain = affine_map<(d0, d1) -> (d0 - 1)>} : (tensor<4x6xf32>) -> tensor<5x6xf32>
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0, d1) -> (-d0)>, affine_map<(d0, d1) -> (d0 - 1)>]} : (tensor<5x6xf32>, tensor<5x6xf32>) -> tensor<5x6xf32>
  %e = tensor.empty() : tensor<5x6xf32>
  %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<5x6xf32>) outs(%e : tensor<5x6xf32>) {
  ^bb0(%x: f32, %o: f32):
    %v = math.exp %x : f32
    linalg.yield %v : f32
  } -> tensor<5x6xf32>
  return %3 : tensor<5x6xf32>
}

// Both pieces are computed: each lies in place as its kernel stores it.
// CHECK-LABEL: func @concat_of_computed_pieces
func.func @concat_of_computed_pieces(%x: tensor<2x6xf32>) -> tensor<4x6xf32> {
  // CHECK-NOT: tensor.extract %
  // CHECK: tensor.concat
  // CHECK: math.exp
  %e2 = tensor.empty() : tensor<2x6xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<2x6xf32>) outs(%e2 : tensor<2x6xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.sin %i : f32
    linalg.yield %v : f32
  } -> tensor<2x6xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<2x6xf32>) outs(%e2 : tensor<2x6xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.cos %i : f32
    linalg.yield %v : f32
  } -> tensor<2x6xf32>
  %0 = "smartmem.view"(%a) {map = affine_map<(d0, d1) -> (d0, d1)>, domain = affine_map<(d0, d1) -> (1 - d0)>} : (tensor<2x6xf32>) -> tensor<4x6xf32>
  %1 = "smartmem.view"(%b) {map = affine_map<(d0, d1) -> (d0 - 2, d1)>, domain = affine_map<(d0, d1) -> (d0 - 2)>} : (tensor<2x6xf32>) -> tensor<4x6xf32>
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0, d1) -> (1 - d0)>, affine_map<(d0, d1) -> (d0 - 2)>]} : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  %e = tensor.empty() : tensor<4x6xf32>
  %3 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%2 : tensor<4x6xf32>) outs(%e : tensor<4x6xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.exp %i : f32
    linalg.yield %v : f32
  } -> tensor<4x6xf32>
  return %3 : tensor<4x6xf32>
}

// CHECK-LABEL: func @named_elementwise
// CHECK-NOT: linalg.exp
// CHECK: linalg.generic
// CHECK: math.exp
func.func @named_elementwise(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.exp ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
// What computes 80 columns writes all of them into the padding, of which 72 are read.
// CHECK-LABEL: func @padding_of_a_part
// CHECK: %[[E:.*]] = linalg.generic
// CHECK: %[[P:.*]] = tensor.pad %[[E]] low[1, 0] high[1, 0]
// CHECK: tensor<4x80xf32> to tensor<6x80xf32>
// CHECK: tensor.extract_slice %[[P]][0, 0] [6, 72] [1, 1]
func.func @padding_of_a_part(%x: tensor<4x80xf32>) -> tensor<6x72xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x80xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x80xf32>) outs(%e : tensor<4x80xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.sin %i : f32
    linalg.yield %v : f32
  } -> tensor<4x80xf32>
  %1 = "smartmem.view"(%0, %zero) {map = affine_map<(d0, d1) -> (d0 - 1, d1)>, domain = affine_map<(d0, d1) -> (d0 - 1, 4 - d0)>} : (tensor<4x80xf32>, f32) -> tensor<6x72xf32>
  return %1 : tensor<6x72xf32>
}
