// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-pad-dims --split-input-file %s | FileCheck %s --check-prefix=CPU
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Two windows of 49 rows, of one tensor that a contraction made: keys and values are parts of
// one tensor of 52 rows. The bias is the mask, and queries are the first 49 rows.
// CHECK-LABEL: func @windows_of_49_keys
// CHECK-DAG: %[[B:.*]] = arith.constant {{.*}} : tensor<52xf32>
// CHECK: %[[P:.*]] = "smartmem.view"({{.*}}, {{.*}}) {domain = {{.*}} -> tensor<2x52x32xf32>
// CHECK: %[[Q:.*]] = "smartmem.view"({{.*}}) {{.*}} -> tensor<2x49x16xf32>
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[Q]], {{.*}} outs({{.*}} : tensor<2x49x52xf32>)
// CHECK: %[[M:.*]] = linalg.generic {{.*}} ins(%[[S]], %[[B]]
// CHECK: linalg.generic {{.*}}"reduction"]} ins(%[[M]] : tensor<2x49x52xf32>) outs({{.*}} : tensor<2x49xf32>)
// CHECK: arith.maximumf
// CHECK: linalg.batch_matmul ins({{.*}} : tensor<2x49x52xf32>, tensor<2x52x16xf32>)
// CPU-LABEL: func @windows_of_49_keys
// CPU-NOT: x52
// REMARK: linalg.generic applied: 52 keys instead of 49: whole vectors
#id3 = affine_map<(b, m, n) -> (b, m, n)>
#row = affine_map<(b, m, n) -> (b, m)>
#column = affine_map<(b, m, n) -> (n)>
func.func @windows_of_49_keys(%x: tensor<98x8xf32>, %w: tensor<8x32xf32>) -> tensor<2x49x16xf32> {
  %bias = arith.constant dense<0.5> : tensor<49xf32>
  %c = arith.constant 0.0 : f32
  %low = arith.constant 0xFF800000 : f32
  %ex = tensor.empty() : tensor<98x32xf32>
  %zx = linalg.fill ins(%c : f32) outs(%ex : tensor<98x32xf32>) -> tensor<98x32xf32>
  %es = tensor.empty() : tensor<2x49x49xf32>
  %zs = linalg.fill ins(%c : f32) outs(%es : tensor<2x49x49xf32>) -> tensor<2x49x49xf32>
  %er = tensor.empty() : tensor<2x49xf32>
  %zr = linalg.fill ins(%c : f32) outs(%er : tensor<2x49xf32>) -> tensor<2x49xf32>
  %lr = linalg.fill ins(%low : f32) outs(%er : tensor<2x49xf32>) -> tensor<2x49xf32>
  %ey = tensor.empty() : tensor<2x49x16xf32>
  %zy = linalg.fill ins(%c : f32) outs(%ey : tensor<2x49x16xf32>) -> tensor<2x49x16xf32>
  %y = linalg.matmul ins(%x, %w : tensor<98x8xf32>, tensor<8x32xf32>) outs(%zx : tensor<98x32xf32>) -> tensor<98x32xf32>
  %r = "smartmem.view"(%y) {map = affine_map<(b, n, d) -> (b * 49 + n, d)>} : (tensor<98x32xf32>) -> tensor<2x49x32xf32>
  %q = "smartmem.view"(%r) {map = affine_map<(b, n, d) -> (b, n, d)>} : (tensor<2x49x32xf32>) -> tensor<2x49x16xf32>
  %v = "smartmem.view"(%r) {map = affine_map<(b, n, d) -> (b, n, d + 16)>} : (tensor<2x49x32xf32>) -> tensor<2x49x16xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> (b, n, k)>, affine_map<(b, m, n, k) -> (b, m, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%q, %v : tensor<2x49x16xf32>, tensor<2x49x16xf32>) outs(%zs : tensor<2x49x49xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %t = arith.addf %o, %p : f32
    linalg.yield %t : f32
  } -> tensor<2x49x49xf32>
  %sb = linalg.generic {indexing_maps = [#id3, #column, #id3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%s, %bias : tensor<2x49x49xf32>, tensor<49xf32>) outs(%es : tensor<2x49x49xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.addf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<2x49x49xf32>
  %m = linalg.generic {indexing_maps = [#id3, #row], iterator_types = ["parallel", "parallel", "reduction"]} ins(%sb : tensor<2x49x49xf32>) outs(%lr : tensor<2x49xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<2x49xf32>
  %e = linalg.generic {indexing_maps = [#id3, #row, #id3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%sb, %m : tensor<2x49x49xf32>, tensor<2x49xf32>) outs(%es : tensor<2x49x49xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %t = math.exp %d : f32
    linalg.yield %t : f32
  } -> tensor<2x49x49xf32>
  %l = linalg.generic {indexing_maps = [#id3, #row], iterator_types = ["parallel", "parallel", "reduction"]} ins(%e : tensor<2x49x49xf32>) outs(%zr : tensor<2x49xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<2x49xf32>
  %p = linalg.generic {indexing_maps = [#id3, #row, #id3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%e, %l : tensor<2x49x49xf32>, tensor<2x49xf32>) outs(%es : tensor<2x49x49xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.divf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<2x49x49xf32>
  %o = linalg.batch_matmul ins(%p, %v : tensor<2x49x49xf32>, tensor<2x49x16xf32>) outs(%zy : tensor<2x49x16xf32>) -> tensor<2x49x16xf32>
  return %o : tensor<2x49x16xf32>
}

// -----
// The cosine of a score of no key is not zero, masked or not: the sum would change.
// CHECK-LABEL: func @keeps_what_nobody_masks
// CHECK-NOT: x52
#id3 = affine_map<(b, m, n) -> (b, m, n)>
func.func @keeps_what_nobody_masks(%q: tensor<2x49x16xf32>, %y: tensor<98x16xf32>) -> tensor<2x49x16xf32> {
  %c = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<2x49x49xf32>
  %zs = linalg.fill ins(%c : f32) outs(%es : tensor<2x49x49xf32>) -> tensor<2x49x49xf32>
  %ey = tensor.empty() : tensor<2x49x16xf32>
  %zy = linalg.fill ins(%c : f32) outs(%ey : tensor<2x49x16xf32>) -> tensor<2x49x16xf32>
  %v = "smartmem.view"(%y) {map = affine_map<(b, n, d) -> (b * 49 + n, d)>} : (tensor<98x16xf32>) -> tensor<2x49x16xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(b, m, n, k) -> (b, m, k)>, affine_map<(b, m, n, k) -> (b, n, k)>, affine_map<(b, m, n, k) -> (b, m, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%q, %v : tensor<2x49x16xf32>, tensor<2x49x16xf32>) outs(%zs : tensor<2x49x49xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %t = arith.addf %o, %p : f32
    linalg.yield %t : f32
  } -> tensor<2x49x49xf32>
  %e = linalg.generic {indexing_maps = [#id3, #id3], iterator_types = ["parallel", "parallel", "parallel"]} ins(%s : tensor<2x49x49xf32>) outs(%es : tensor<2x49x49xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.cos %a : f32
    linalg.yield %t : f32
  } -> tensor<2x49x49xf32>
  %o = linalg.batch_matmul ins(%e, %v : tensor<2x49x49xf32>, tensor<2x49x16xf32>) outs(%zy : tensor<2x49x16xf32>) -> tensor<2x49x16xf32>
  return %o : tensor<2x49x16xf32>
}
