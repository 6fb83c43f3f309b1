// What --verify-diagnostics objects to: something unexpected, something missing, the
// wrong text, line or severity, and a pattern that cannot be read.
// RUN: not smartmem-opt %s --split-input-file --verify-diagnostics > %t.out 2> %t.err
// RUN: FileCheck %s < %t.err
// RUN: not grep . %t.out
// RUN: not smartmem-opt %s --split-input-file --verify-diagnostics=only-expected 2>&1 | FileCheck --check-prefix=ONLY %s
// RUN: not smartmem-opt %s --verify-diagnostics=some 2>&1 | FileCheck --check-prefix=CHOICE %s
// CHOICE: error: argument --verify-diagnostics: invalid choice: 'some'
// ONLY-NOT: unexpected error

// CHECK: :[[# @LINE + 3]]:10: error: unexpected error: use of undeclared SSA value name
// CHECK-NEXT: return %x : f32
func.func @unexpected() {
  return %x : f32
}

// -----

// CHECK: :[[# @LINE + 4]]:6: error: expected error "never reported" was not produced
// CHECK-NEXT: // expected-error
// ONLY: :[[# @LINE + 2]]:6: error: expected error "never reported" was not produced
func.func @missing() {
  // expected-error@+1 {{never reported}}
  return
}

// -----

// CHECK: :[[# @LINE + 4]]:10: error: unexpected error: use of undeclared
// CHECK: :[[# @LINE + 2]]:6: error: expected error "use of declared" was not produced
func.func @wrong_text() {
  // expected-error@+1 {{use of declared}}
  return %x : f32
}

// -----

// CHECK: :[[# @LINE + 4]]:10: error: unexpected error: use of undeclared
// CHECK: :[[# @LINE + 2]]:6: error: expected error "use of undeclared" was not produced
func.func @wrong_line() {
  // expected-error@+2 {{use of undeclared}}
  return %x : f32
}

// -----

// CHECK: :[[# @LINE + 4]]:10: error: unexpected error: use of undeclared
// CHECK: :[[# @LINE + 2]]:6: error: expected warning "use of undeclared" was not produced
func.func @wrong_severity() {
  // expected-warning@+1 {{use of undeclared}}
  return %x : f32
}

// -----

// CHECK: :[[# @LINE + 3]]:6: error: expected error "use of undeclared" was not produced
func.func @twice() {
  // expected-error@+2 {{use of undeclared}}
  // expected-error@+1 {{use of undeclared}}
  return %x : f32
}

// -----

// CHECK: :[[# @LINE + 2]]:6: error: invalid regular expression in expected diagnostic
func.func @unreadable_pattern() {
  // expected-error-re@+1 {{use of {{(}}}}
  return
}
