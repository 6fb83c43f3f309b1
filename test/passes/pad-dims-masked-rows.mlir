// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --split-input-file %s | FileCheck %s --check-prefixes=CHECK,GPU
// RUN: smartmem-opt --smartmem-pad-dims --split-input-file %s | FileCheck %s --check-prefixes=CHECK,CPU

// 53 keys become 56: what is behind them is masked before the softmax, and its zeros meet values
// that repeat the last row. On CPUs it is 54 rows, and the softmax keeps its 53 columns.
// CHECK-LABEL: func @softmax_of_keys
// GPU: "smartmem.concat"({{.*}} -> tensor<56x16xf32>
// GPU: %[[M:.*]] = linalg.matmul {{.*}} outs({{.*}} : tensor<56x16xf32>)
// GPU: %[[Q:.*]] = linalg.matmul {{.*}} outs({{.*}} : tensor<56x16xf32>)
// GPU: %[[S:.*]] = linalg.generic {{.*}} ins(%[[Q]], %[[Q]] : {{.*}} outs({{.*}} : tensor<56x56xf32>
// GPU: %[[MASK:.*]] = arith.constant {{.*}} : tensor<56xf32>
// GPU: %[[X:.*]] = linalg.generic {{.*}} ins(%[[S]], %[[MASK]] : tensor<56x56xf32>, tensor<56xf32>)
// GPU-NEXT: ^bb0
// GPU-NEXT: arith.addf
// GPU: linalg.generic {{.*}} ins(%[[X]] : tensor<56x56xf32>)
// GPU: arith.maximumf
// GPU: %[[E:.*]] = linalg.generic {{.*}} ins(%[[X]], {{.*}} outs({{.*}} : tensor<56x56xf32>)
// GPU: linalg.generic {{.*}} ins(%[[E]], %[[M]] : tensor<56x56xf32>, tensor<56x16xf32>)
// CPU-NOT: tensor<56xf32>
// CPU: math.exp
// CPU: } -> tensor<54x53xf32>
func.func @softmax_of_keys(%a: tensor<1x16xf32>, %b: tensor<52x16xf32>) -> tensor<1x16xf32> {
  %w = arith.constant dense<1.0> : tensor<16x16xf32>
  %c = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<53x16xf32>
  %es = tensor.empty() : tensor<53x53xf32>
  %er = tensor.empty() : tensor<53xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<53x16xf32>) -> tensor<53x16xf32>
  %zs = linalg.fill ins(%c : f32) outs(%es : tensor<53x53xf32>) -> tensor<53x53xf32>
  %zr = linalg.fill ins(%low : f32) outs(%er : tensor<53xf32>) -> tensor<53xf32>
  %va = "smartmem.view"(%a) {map = affine_map<(d0, d1) -> (0, d1)>, domain = affine_map<(d0, d1) -> (-d0)>} : (tensor<1x16xf32>) -> tensor<53x16xf32>
  %vb = "smartmem.view"(%b) {map = affine_map<(d0, d1) -> (d0 - 1, d1)>, domain = affine_map<(d0, d1) -> (d0 - 1)>} : (tensor<52x16xf32>) -> tensor<53x16xf32>
  %t = "smartmem.concat"(%va, %vb) {domains = [affine_map<(d0, d1) -> (-d0)>, affine_map<(d0, d1) -> (d0 - 1)>]} : (tensor<53x16xf32>, tensor<53x16xf32>) -> tensor<53x16xf32>
  %m = linalg.matmul ins(%t, %w : tensor<53x16xf32>, tensor<16x16xf32>) outs(%z : tensor<53x16xf32>) -> tensor<53x16xf32>
  %q = linalg.matmul ins(%t, %w : tensor<53x16xf32>, tensor<16x16xf32>) outs(%z : tensor<53x16xf32>) -> tensor<53x16xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%q, %q : tensor<53x16xf32>, tensor<53x16xf32>) outs(%zs : tensor<53x53xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %u = arith.mulf %i, %j : f32
    %v = arith.addf %o, %u : f32
    linalg.yield %v : f32
  } -> tensor<53x53xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>], iterator_types = ["parallel", "reduction"]} ins(%s : tensor<53x53xf32>) outs(%zr : tensor<53xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.maximumf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<53xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%s, %x : tensor<53x53xf32>, tensor<53xf32>) outs(%es : tensor<53x53xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %u = arith.subf %i, %j : f32
    %v = math.exp %u : f32
    linalg.yield %v : f32
  } -> tensor<53x53xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %m : tensor<53x53xf32>, tensor<53x16xf32>) outs(%z : tensor<53x16xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %u = arith.mulf %i, %j : f32
    %v = arith.addf %o, %u : f32
    linalg.yield %v : f32
  } -> tensor<53x16xf32>
  %r = tensor.extract_slice %y[0, 0] [1, 16] [1, 1] : tensor<53x16xf32> to tensor<1x16xf32>
  return %r : tensor<1x16xf32>
}
