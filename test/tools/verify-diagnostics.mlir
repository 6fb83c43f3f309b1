// RUN: smartmem-opt %s --split-input-file --verify-diagnostics --smartmem-remarks
// RUN: smartmem-opt %s --split-input-file --verify-diagnostics=all

// Every way to name the line.
func.func @same_line(%a: f32) {
  %0 = func.call @g(%a) : (f32) -> f32 // expected-error {{'g' does not reference a valid function}}
  // expected-note@-1 {{see current operation}}
  return
}

// -----

func.func @offset(%a: f32) {
  // expected-error@+2 {{does not reference}}
  // expected-note@+1 {{see current}}
  %0 = func.call @g(%a) : (f32) -> f32
  return
}

// -----

func.func @below_and_above(%a: f32) {
  // expected-error@below {{does not reference}}
  %0 = func.call @g(%a) : (f32) -> f32
  // expected-note@above {{see current}}
  return
}

// -----

func.func @next_line_that_expects_nothing(%a: f32) {
  // expected-error@below {{does not reference}}
  // expected-note@below {{see current}}
  %0 = func.call @g(%a) : (f32) -> f32
  return
}

// -----

func.func @regular_expression(%a: f32) {
  // expected-error-re@+2 {{'{{g|h}}' does not {{[a-z]+}} a valid}}
  // expected-note@+1 {{see current}}
  %0 = func.call @g(%a) : (f32) -> f32
  return
}

// -----

func.func @parse_error() {
  // expected-error@+1 {{use of undeclared SSA value name}}
  return %x : f32
}

// -----

func.func @no_diagnostic() {
  return
}
