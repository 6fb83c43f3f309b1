// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-target=adreno --smartmem-chain-windows --smartmem-remarks %s 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t

// A depthwise window and the operations behind it are one.
// CHECK-LABEL: func @takes_the_end_of_a_depthwise_window
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} : tensor<8x32xf32>, tensor<32xf32>, tensor<8x32xf32>, tensor<32xf32>, tensor<32xf32>)
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: %[[B:.*]] = arith.addf
// CHECK-NEXT: %[[M:.*]] = arith.maximumf %[[B]]
// CHECK-NEXT: linalg.yield %[[M]]
// CHECK-NOT: linalg.generic
// REMARK: linalg.generic applied: one operation with what is behind it
func.func @takes_the_end_of_a_depthwise_window(%i: tensor<9x32xf32>, %v: tensor<32xf32>, %w: tensor<32xf32>, %bias: tensor<32xf32>, %least: f32) -> tensor<8x32xf32> {
  %r = "flow.dispatch.region"() ({
    %x = tensor.extract_slice %i[0, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
    %y = tensor.extract_slice %i[1, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
    %e = tensor.empty() : tensor<8x32xf32>
    %s = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%x, %v, %y, %w : tensor<8x32xf32>, tensor<32xf32>, tensor<8x32xf32>, tensor<32xf32>) outs(%e : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
      %m = arith.mulf %a, %b : f32
      %m1 = arith.mulf %a1, %b1 : f32
      %t = arith.addf %m, %m1 : f32
      linalg.yield %t : f32
    } -> tensor<8x32xf32>
    %f = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%s, %bias : tensor<8x32xf32>, tensor<32xf32>) outs(%e : tensor<8x32xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %t = arith.addf %a, %b : f32
      %m = arith.maximumf %t, %least : f32
      linalg.yield %m : f32
    } -> tensor<8x32xf32>
    "flow.return"(%f) : (tensor<8x32xf32>) -> ()
  }, {}) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}
