// RUN: smartmem-opt --smartmem-pad-dims --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-pad-dims --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// 37 rows are a prime number; 39 are three blocks of 13. The concat makes them, what sums over
// the rows, and what it sums, takes the first 37.
// CHECK-LABEL: func @rows_of_a_concat
// REMARK: linalg.matmul applied: 39 rows instead of 37: whole blocks
func.func @rows_of_a_concat(%a: tensor<1x16xf32>, %b: tensor<36x16xf32>) -> tensor<16xf32> {
  // CHECK-DAG: %[[ZEROS:.*]] = arith.constant {{.*}} : tensor<2x16xf32>
  // CHECK: %[[T:.*]] = "smartmem.concat"({{.*}}) {{.*}} -> tensor<39x16xf32>
  // CHECK: %[[M:.*]] = linalg.matmul ins(%[[T]], {{.*}} outs({{.*}} : tensor<39x16xf32>)
  // CHECK: %[[E:.*]] = linalg.generic {{.*}} ins(%[[M]] : tensor<39x16xf32>)
  // CHECK: %[[P:.*]] = "smartmem.view"(%[[E]]) {{.*}} -> tensor<37x16xf32>
  // CHECK: %[[X:.*]] = linalg.generic {{.*}} ins(%[[P]] : tensor<37x16xf32>)
  // CHECK: math.exp
  // CHECK: linalg.generic {{.*}} ins(%[[X]] : tensor<37x16xf32>)
  %w = arith.constant dense<1.0> : tensor<16x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<37x16xf32>
  %er = tensor.empty() : tensor<16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<37x16xf32>) -> tensor<37x16xf32>
  %zr = linalg.fill ins(%c : f32) outs(%er : tensor<16xf32>) -> tensor<16xf32>
  %va = "smartmem.view"(%a) {map = affine_map<(d0, d1) -> (0, d1)>, domain = affine_map<(d0, d1) -> (-d0)>} : (tensor<1x16xf32>) -> tensor<37x16xf32>
  %vb = "smartmem.view"(%b) {map = affine_map<(d0, d1) -> (d0 - 1, d1)>, domain = affine_map<(d0, d1) -> (d0 - 1)>} : (tensor<36x16xf32>) -> tensor<37x16xf32>
  %t = "smartmem.concat"(%va, %vb) {domains = [affine_map<(d0, d1) -> (-d0)>, affine_map<(d0, d1) -> (d0 - 1)>]} : (tensor<37x16xf32>, tensor<37x16xf32>) -> tensor<37x16xf32>
  %m = linalg.matmul ins(%t, %w : tensor<37x16xf32>, tensor<16x16xf32>) outs(%z : tensor<37x16xf32>) -> tensor<37x16xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%m : tensor<37x16xf32>) outs(%e : tensor<37x16xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.sin %i : f32
    linalg.yield %v : f32
  } -> tensor<37x16xf32>
  %x = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<37x16xf32>) outs(%e : tensor<37x16xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = math.exp %i : f32
    linalg.yield %v : f32
  } -> tensor<37x16xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>], iterator_types = ["reduction", "parallel"]} ins(%x : tensor<37x16xf32>) outs(%zr : tensor<16xf32>) {
  ^bb0(%i: f32, %o: f32):
    %v = arith.addf %i, %o : f32
    linalg.yield %v : f32
  } -> tensor<16xf32>
  return %s : tensor<16xf32>
}

// -----
// CHECK-LABEL: func @keeps_rows_of_an_argument
// CHECK-NOT: tensor<39
// REMARK: linalg.matmul kept: the dim is one of an argument
func.func @keeps_rows_of_an_argument(%x: tensor<37x16xf32>) -> tensor<37x16xf32> {
  %w = arith.constant dense<1.0> : tensor<16x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<37x16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<37x16xf32>) -> tensor<37x16xf32>
  %m = linalg.matmul ins(%x, %w : tensor<37x16xf32>, tensor<16x16xf32>) outs(%z : tensor<37x16xf32>) -> tensor<37x16xf32>
  return %m : tensor<37x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_rows_that_blocks_divide
// CHECK-NOT: smartmem.concat
func.func @keeps_rows_that_blocks_divide(%x: tensor<36x16xf32>) -> tensor<36x16xf32> {
  %w = arith.constant dense<1.0> : tensor<16x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<36x16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<36x16xf32>) -> tensor<36x16xf32>
  %m = linalg.matmul ins(%x, %w : tensor<36x16xf32>, tensor<16x16xf32>) outs(%z : tensor<36x16xf32>) -> tensor<36x16xf32>
  return %m : tensor<36x16xf32>
}
