// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,ADRENO
// RUN: smartmem-opt --smartmem-target=valhall4 --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,VALHALL
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// 576 columns are 144 vectors, which no subgroup of 64 divides. 196 rows are 28 times seven.
// CHECK-LABEL: func @a_vector_of_columns
// ADRENO: tile_sizes = {{\[\[}}72, 0], [4, 0], [0, 7]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [18, 1, 1]>>
// VALHALL: tile_sizes = {{\[\[}}64, 0], [4, 0], [0, 7]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [16, 1, 1]>>
// REMARK: linalg.generic applied: tiles: (0, 7), a thread for each vector of columns
func.func @a_vector_of_columns(%x: tensor<196x576xf32>) -> tensor<576xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<576xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<576xf32>) -> tensor<576xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c, r) -> (r, c)>, affine_map<(c, r) -> (c)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<196x576xf32>) outs(%z : tensor<576xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<576xf32>
  return %s : tensor<576xf32>
}

// -----
// What is made of the sums is computed behind them.
// CHECK-LABEL: func @end_of_columns
// CHECK: iterator_types = ["parallel", "reduction"]{{.*}}compilation_info = {{.*}}tile_sizes = {{\[\[}}{{[0-9]+}}, 0], [4, 0], [0, 7]]>
// CHECK: iterator_types = ["parallel"]
// CHECK-NOT: compilation_info
func.func @end_of_columns(%x: tensor<49x1512xf32>) -> tensor<1512xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1512xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1512xf32>) -> tensor<1512xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c, r) -> (r, c)>, affine_map<(c, r) -> (c)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<49x1512xf32>) outs(%z : tensor<1512xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<1512xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(c) -> (c)>, affine_map<(c) -> (c)>], iterator_types = ["parallel"]} ins(%s : tensor<1512xf32>) outs(%e : tensor<1512xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.exp %a : f32
    linalg.yield %t : f32
  } -> tensor<1512xf32>
  return %y : tensor<1512xf32>
}

// -----
// Many rows are for the subgroups that IREE gives a column each, where they divide the rows.
// CHECK-LABEL: func @keeps_many_rows
// ADRENO: tile_sizes = {{\[\[}}{{[0-9]+}}, 0], [4, 0], [0, 8]]>
// VALHALL-NOT: compilation_info
func.func @keeps_many_rows(%x: tensor<784x216xf32>) -> tensor<216xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<216xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<216xf32>) -> tensor<216xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c, r) -> (r, c)>, affine_map<(c, r) -> (c)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<784x216xf32>) outs(%z : tensor<216xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<216xf32>
  return %s : tensor<216xf32>
}

// -----
// CHECK-LABEL: func @keeps_more_rows
// CHECK-NOT: compilation_info
// REMARK: linalg.generic kept: its rows are many: a subgroup sums up each column
func.func @keeps_more_rows(%x: tensor<3136x72xf32>) -> tensor<72xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<72xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<72xf32>) -> tensor<72xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c, r) -> (r, c)>, affine_map<(c, r) -> (c)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<3136x72xf32>) outs(%z : tensor<72xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<72xf32>
  return %s : tensor<72xf32>
}

// -----
// CHECK-LABEL: func @columns_without_vectors
// CHECK: compilation_info
// REMARK: linalg.generic applied: tiles: (0, 1), a thread for each row
func.func @columns_without_vectors(%x: tensor<49x54xf32>) -> tensor<54xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<54xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<54xf32>) -> tensor<54xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c, r) -> (r, c)>, affine_map<(c, r) -> (c)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<49x54xf32>) outs(%z : tensor<54xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<54xf32>
  return %s : tensor<54xf32>
}
