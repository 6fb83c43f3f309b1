// RUN: smartmem-opt --smartmem-form-regions --smartmem-target=adreno --mlir-print-local-scope --split-input-file %s | FileCheck %s --check-prefixes=CHECK,SPIRV
// RUN: smartmem-opt --smartmem-form-regions --mlir-print-local-scope --split-input-file %s | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: smartmem-opt --smartmem-form-regions='reductions-alone=true' --mlir-print-local-scope --split-input-file %s | FileCheck %s --check-prefixes=CHECK,ALONE

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#kept = affine_map<(d0, d1, d2) -> (d1)>
// Its rows have tiles of ours: then one region is right. Without them IREE's SPIR-V is wrong.
// CHECK-LABEL: func @sum_over_two_dims
func.func @sum_over_two_dims(%x: tensor<4x6x5xf32>) -> tensor<4x6x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x6x5xf32>
  %r = tensor.empty() : tensor<6xf32>
  %f = linalg.fill ins(%zero : f32) outs(%r : tensor<6xf32>) -> tensor<6xf32>
  // SPIRV: %[[R:.*]] = "flow.dispatch.region"
  // SPIRV: math.exp
  // SPIRV: linalg.generic
  // SPIRV: arith.divf
  // SPIRV: "flow.return"
  // SPIRV: return %[[R]]
  // ALONE-COUNT-2: flow.dispatch.region
  // CPU-NOT: flow.dispatch.region
  %exp = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : tensor<4x6x5xf32>) outs(%e : tensor<4x6x5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<4x6x5xf32>
  %sum = linalg.generic {indexing_maps = [#id, #kept], iterator_types = ["reduction", "parallel", "reduction"]} ins(%exp : tensor<4x6x5xf32>) outs(%f : tensor<6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<6xf32>
  %y = linalg.generic {indexing_maps = [#id, #kept, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%exp, %sum : tensor<4x6x5xf32>, tensor<6xf32>) outs(%e : tensor<4x6x5xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<4x6x5xf32>
  return %y : tensor<4x6x5xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
// CHECK-LABEL: func @one_sum
func.func @one_sum(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x6xf32>
  %r = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%r : tensor<4xf32>) -> tensor<4xf32>
  // SPIRV: "flow.dispatch.region"
  // SPIRV-COUNT-2: linalg.generic
  // SPIRV: "flow.return"
  // CPU: "flow.dispatch.region"
  // CPU-COUNT-2: linalg.generic
  // CPU: "flow.return"
  // ALONE: %[[SUM:.*]] = "flow.dispatch.region"
  // ALONE: linalg.fill
  // ALONE: arith.addf
  // ALONE: "flow.return"
  // ALONE: %[[R:.*]] = linalg.generic {{.*}} ins(%arg0, %[[SUM]] :
  // ALONE: return %[[R]]
  %sum = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<4x6xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<4xf32>
  %y = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %sum : tensor<4x6xf32>, tensor<4xf32>) outs(%e : tensor<4x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----
// CHECK-LABEL: func @contraction_alone
func.func @contraction_alone(%x: tensor<4x6xf32>, %w: tensor<6x5xf32>) -> tensor<4x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x5xf32>) -> tensor<4x5xf32>
  // SPIRV: flow.dispatch.region
  // CPU: flow.dispatch.region
  // ALONE-NOT: flow.dispatch.region
  // ALONE: return
  %0 = linalg.matmul ins(%x, %w : tensor<4x6xf32>, tensor<6x5xf32>) outs(%f : tensor<4x5xf32>) -> tensor<4x5xf32>
  return %0 : tensor<4x5xf32>
}

// -----
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#kept = affine_map<(d0, d1, d2) -> (d0)>
// On CPUs IREE collapses the two dims, and fuses what is around them well.
// CHECK-LABEL: func @sum_over_the_innermost_dims
func.func @sum_over_the_innermost_dims(%x: tensor<4x6x5xf32>) -> tensor<4x6x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x6x5xf32>
  %r = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%r : tensor<4xf32>) -> tensor<4xf32>
  // SPIRV: flow.dispatch.region
  // CPU-NOT: flow.dispatch.region
  // ALONE-NOT: flow.dispatch.region
  // CHECK: return
  %sum = linalg.generic {indexing_maps = [#id, #kept], iterator_types = ["parallel", "reduction", "reduction"]} ins(%x : tensor<4x6x5xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<4xf32>
  %y = linalg.generic {indexing_maps = [#id, #kept, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %sum : tensor<4x6x5xf32>, tensor<4xf32>) outs(%e : tensor<4x6x5xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<4x6x5xf32>
  return %y : tensor<4x6x5xf32>
}

// -----
// The loops (head, query, dim, key) run as the result lies, (query, head, dim), on SPIR-V.
// CHECK-LABEL: func @heads_behind_queries
func.func @heads_behind_queries(%p: tensor<3x7x6xf32>, %v: tensor<3x6x5xf32>) -> tensor<7x3x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<7x3x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<7x3x5xf32>) -> tensor<7x3x5xf32>
  // SPIRV: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d1, d0, d3)>, affine_map<(d0, d1, d2, d3) -> (d1, d3, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
  // CPU: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>,
  %0 = linalg.generic {
    indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>, affine_map<(d0, d1, d2, d3) -> (d1, d0, d2)>],
    iterator_types = ["parallel", "parallel", "parallel", "reduction"]
  } ins(%p, %v : tensor<3x7x6xf32>, tensor<3x6x5xf32>) outs(%f : tensor<7x3x5xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<7x3x5xf32>
  return %0 : tensor<7x3x5xf32>
}

// -----
// Only a contraction's kernel that inserts is right SPIR-V.
// CHECK-LABEL: func @pads_behind_an_elementwise_kernel
func.func @pads_behind_an_elementwise_kernel(%x: tensor<9x7xf32>) -> tensor<6x7xf32> {
  // SPIRV: "flow.dispatch.region"
  // CPU: "flow.dispatch.region"
  // SPIRV-NOT: tensor.insert_slice
  // SPIRV: tensor.pad
  // CPU: tensor.insert_slice
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x7xf32>
  %s = tensor.extract_slice %x[3, 0] [4, 7] [1, 1] : tensor<9x7xf32> to tensor<4x7xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%s : tensor<4x7xf32>) outs(%e : tensor<4x7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<4x7xf32>
  %pad = tensor.pad %m low[1, 0] high[1, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<4x7xf32> to tensor<6x7xf32>
  return %pad : tensor<6x7xf32>
}

// -----

// Without a region, iree-compile copies what looks elements up into the sum's kernel.
// CHECK-LABEL: func @looked_up_rows
// SPIRV: "flow.dispatch.region"
// SPIRV: tensor.extract
// SPIRV: "flow.return"
// SPIRV: "flow.dispatch.region"
// SPIRV-NOT: tensor.extract %
// SPIRV: iterator_types = ["reduction"]
func.func @looked_up_rows(%x: tensor<4xf32>) -> tensor<f32> {
  %zero = arith.constant 0.0 : f32
  %four = arith.constant 4 : index
  %e = tensor.empty() : tensor<11xf32>
  %rows = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<11xf32>) {
  ^bb0(%out: f32):
    %i = linalg.index 0 : index
    %j = arith.remui %i, %four : index
    %v = tensor.extract %x[%j] : tensor<4xf32>
    linalg.yield %v : f32
  } -> tensor<11xf32>
  %s = tensor.empty() : tensor<f32>
  %f = linalg.fill ins(%zero : f32) outs(%s : tensor<f32>) -> tensor<f32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> ()>], iterator_types = ["reduction"]} ins(%rows : tensor<11xf32>) outs(%f : tensor<f32>) {
  ^bb0(%in: f32, %out: f32):
    %a = arith.addf %out, %in : f32
    linalg.yield %a : f32
  } -> tensor<f32>
  return %sum : tensor<f32>
}
