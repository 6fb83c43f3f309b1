// RUN: smartmem-opt %s --smartmem-raise-views --smartmem-compute-in-f32 --smartmem-remarks -o %t.mlir 2>&1 | FileCheck %s
// RUN: smartmem-opt %s --smartmem-raise-views --smartmem-compute-in-f32 --smartmem-remarks --verify-diagnostics -o %t.mlir
// RUN: smartmem-opt %s --smartmem-raise-views --smartmem-compute-in-f32 -o %t.mlir 2>&1 | not grep .

// CHECK: remarks.mlir:[[# @LINE + 4]]:8: remark: [smartmem-raise-views] tensor.extract_slice kept: its shape is not static
// CHECK-NEXT: %0 = tensor.extract_slice
func.func @slice_of_unknown_size(%a: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  // expected-remark@+1 {{[smartmem-raise-views] tensor.extract_slice kept: its shape is not static}}
  %0 = tensor.extract_slice %a[0] [%n] [1] : tensor<?xf32> to tensor<?xf32>
  return %0 : tensor<?xf32>
}

// CHECK: remarks.mlir:[[# @LINE + 2]]:1: remark: [smartmem-compute-in-f32] func.func kept: takes or returns f64
// expected-remark@+1 {{takes or returns f64}}
func.func @double(%a: f64) -> f64 {
  return %a : f64
}
