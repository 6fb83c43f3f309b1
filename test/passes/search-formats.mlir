// RUN: smartmem-opt --smartmem-search-formats='strategy=search' --smartmem-materialize-layouts --smartmem-remarks --split-input-file %s 2>%t | FileCheck %s --check-prefixes=CHECK,SEARCH
// RUN: FileCheck %s --check-prefix=REMARK < %t
// RUN: smartmem-opt --smartmem-search-formats --split-input-file %s | FileCheck %s --check-prefixes=CHECK,RULE
// RUN: smartmem-opt --smartmem-search-formats='strategy=search' --smartmem-materialize-layouts %s --split-input-file | smartmem-opt --smartmem-search-formats='strategy=search' --smartmem-materialize-layouts --split-input-file | FileCheck %s --check-prefixes=CHECK,SEARCH
// RUN: not smartmem-opt --smartmem-search-formats='strategy=guess' %s 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not smartmem-opt --smartmem-search-formats='strategy=search budget=0' %s 2>&1 | FileCheck %s --check-prefix=BUDGET
// UNKNOWN: there is no strategy 'guess'; use rule, model, search
// BUDGET: a budget of 0 states is below 1

// Written across, read across and written across again: in the other order nothing is.
// CHECK-LABEL: func @stores_what_all_read_across
// RULE: -> tensor<512x196xf32>
// SEARCH-NOT: tensor<512x196xf32>
// SEARCH: linalg.generic
// SEARCH-SAME: outs(%{{.*}} : tensor<196x512xf32>)
// REMARK: remark: {{.*}}linalg.generic applied: 512x196 is stored as 196x512
func.func @stores_what_all_read_across(%x: tensor<196x512xf32>, %y: tensor<196x512xf32>) -> tensor<196x512xf32> {
  %e = tensor.empty() : tensor<512x196xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (b, a)>, affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<196x512xf32>) outs(%e : tensor<512x196xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %a : f32
    linalg.yield %m : f32
  } -> tensor<512x196xf32>
  %f = tensor.empty() : tensor<196x512xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (b, a)>, affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]} ins(%0, %y : tensor<512x196xf32>, tensor<196x512xf32>) outs(%f : tensor<196x512xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.addf %a, %b : f32
    linalg.yield %m : f32
  } -> tensor<196x512xf32>
  return %1 : tensor<196x512xf32>
}

// -----
// The factor with the columns of the result comes second, as the code generator needs it.
// CHECK-LABEL: func @columns_of_a_product_come_second
// SEARCH: linalg.generic {indexing_maps = [#[[W:map[0-9]*]], #[[X:map[0-9]*]], #{{.*}}], iterator_types = ["parallel", "parallel", "reduction"]} ins(%{{.*}}, %{{.*}} : tensor<256x196xf32>, tensor<196x512xf32>) outs(%{{.*}} : tensor<256x512xf32>)
func.func @columns_of_a_product_come_second(%x: tensor<196x512xf32>, %w: tensor<256x196xf32>) -> tensor<256x512xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<196x512xf32>
  %n = linalg.exp ins(%x : tensor<196x512xf32>) outs(%e : tensor<196x512xf32>) -> tensor<196x512xf32>
  %f = tensor.empty() : tensor<512x256xf32>
  %z = linalg.fill ins(%c : f32) outs(%f : tensor<512x256xf32>) -> tensor<512x256xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%n, %w : tensor<196x512xf32>, tensor<256x196xf32>) outs(%z : tensor<512x256xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<512x256xf32>
  %g = tensor.empty() : tensor<256x512xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (b, a)>, affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<512x256xf32>) outs(%g : tensor<256x512xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = math.tanh %a : f32
    linalg.yield %m : f32
  } -> tensor<256x512xf32>
  return %1 : tensor<256x512xf32>
}

// -----
// In whatever strategy: with a constant index it would be no contraction.
// CHECK-LABEL: func @drops_dims_of_a_contraction_and_its_end
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<8x16xf32>, tensor<32x16xf32>) outs(%{{.*}} : tensor<8x32xf32>)
// CHECK-NOT: smartmem.view
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<8x32xf32>)
func.func @drops_dims_of_a_contraction_and_its_end(%x: tensor<1x8x16xf32>, %w: tensor<32x16xf32>) -> tensor<1x8x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x32xf32>) -> tensor<1x8x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (0, m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (0, m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<1x8x16xf32>, tensor<32x16xf32>) outs(%z : tensor<1x8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<1x8x32xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(z, a, b) -> (z, a, b)>, affine_map<(z, a, b) -> (z, a, b)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%0 : tensor<1x8x32xf32>) outs(%e : tensor<1x8x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = math.tanh %a : f32
    linalg.yield %m : f32
  } -> tensor<1x8x32xf32>
  return %1 : tensor<1x8x32xf32>
}

// -----
// A result of the function keeps its order, whoever else reads it.
// CHECK-LABEL: func @keeps_the_order_of_a_result
// CHECK: -> tensor<512x196xf32>
func.func @keeps_the_order_of_a_result(%x: tensor<196x512xf32>) -> (tensor<512x196xf32>, tensor<196x512xf32>) {
  %e = tensor.empty() : tensor<512x196xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (b, a)>, affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<196x512xf32>) outs(%e : tensor<512x196xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %a : f32
    linalg.yield %m : f32
  } -> tensor<512x196xf32>
  %f = tensor.empty() : tensor<196x512xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (b, a)>, affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<512x196xf32>) outs(%f : tensor<196x512xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = math.tanh %a : f32
    linalg.yield %m : f32
  } -> tensor<196x512xf32>
  return %0, %1 : tensor<512x196xf32>, tensor<196x512xf32>
}

// -----
// A window with stride 2 that fits once reads two of three elements: no dim is dropped of it.
// CHECK-LABEL: func @keeps_what_reads_a_part
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<2x3xf32>, tensor<1x2xf32>) outs(%{{.*}} : tensor<2x1x1xf32>)
func.func @keeps_what_reads_a_part(%x: tensor<2x3xf32>, %w: tensor<1x2xf32>) -> tensor<2x1x1xf32> {
  %z = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x1x1xf32>
  %f = linalg.fill ins(%z : f32) outs(%e : tensor<2x1x1xf32>) -> tensor<2x1x1xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(n, c, s, k) -> (n, s * 2 + k)>, affine_map<(n, c, s, k) -> (c, k)>, affine_map<(n, c, s, k) -> (n, c, s)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<2x3xf32>, tensor<1x2xf32>) outs(%f : tensor<2x1x1xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<2x1x1xf32>
  return %0 : tensor<2x1x1xf32>
}
