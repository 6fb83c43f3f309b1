// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-shaders --split-input-file %s | FileCheck %s --check-prefixes=CHECK,ADRENO
// RUN: smartmem-opt --smartmem-target=valhall4 --smartmem-form-regions --smartmem-configure-shaders --split-input-file %s | FileCheck %s --check-prefixes=CHECK,VALHALL
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-shaders --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: smartmem-opt --smartmem-form-regions --smartmem-configure-shaders --split-input-file %s | FileCheck %s --check-prefix=CPU

// CPU-NOT: compilation_info

// 192 are three times the vectors of 16 threads, which is Valhall's subgroup, not Adreno's.
// CHECK-LABEL: func @rows_of_threads_or_subgroups
// ADRENO-NOT: lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1]
// ADRENO: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}25, 0], [1, 0], [0, 16]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [25, 1, 1]>>
// VALHALL: linalg.generic {{.*}} attrs = {lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1], [0, 64]]>}
// VALHALL: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1], [0, 64]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<SubgroupReduce> workgroup_size = [16, 1, 1]>>
// REMARK: linalg.generic applied: a thread for each row: (0, 16)
func.func @rows_of_threads_or_subgroups(%x: tensor<200x192xf32>) -> tensor<200x192xf32> {
  %c = arith.constant 0.0 : f32
  %er = tensor.empty() : tensor<200xf32>
  %e = tensor.empty() : tensor<200x192xf32>
  %z = linalg.fill ins(%c : f32) outs(%er : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<200x192xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.mulf %a, %a : f32
    %t = arith.addf %q, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>, affine_map<(r, c) -> (r, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<200x192xf32>, tensor<200xf32>) outs(%e : tensor<200x192xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = math.rsqrt %b : f32
    %t = arith.mulf %a, %d : f32
    linalg.yield %t : f32
  } -> tensor<200x192xf32>
  return %r : tensor<200x192xf32>
}

// -----
// Many rows, few columns: threads along two dims of rows, as many as a workgroup has.
// CHECK-LABEL: func @many_rows
// CHECK: tile_sizes = {{\[\[}}1, 7, 7, 0], [1, 1, 1, 0], [0, 0, 0, 4]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [7, 7, 1]>>
func.func @many_rows(%x: tensor<64x7x7x20xf32>) -> tensor<64x7x7xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x7x7xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<64x7x7xf32>) -> tensor<64x7x7xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(w, h, v, c) -> (w, h, v, c)>, affine_map<(w, h, v, c) -> (w, h, v)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x : tensor<64x7x7x20xf32>) outs(%z : tensor<64x7x7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<64x7x7xf32>
  return %s : tensor<64x7x7xf32>
}

// -----
// CHECK-LABEL: func @keeps_rows_without_vectors
// CHECK-NOT: compilation_info
// REMARK: linalg.generic kept: no vector divides its rows
func.func @keeps_rows_without_vectors(%x: tensor<200x49xf32>) -> tensor<200xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<200xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<200x49xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  return %s : tensor<200xf32>
}

// -----
// CHECK-LABEL: func @keeps_rows_across
// CHECK-NOT: compilation_info
// REMARK: linalg.generic kept: its rows lie across
func.func @keeps_rows_across(%x: tensor<64x200xf32>) -> tensor<200xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<200xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (c, r)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<64x200xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  return %s : tensor<200xf32>
}
