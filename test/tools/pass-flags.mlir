// Flags run in the order of the command line, with one dash or two.
// RUN: smartmem-opt %s --cse --symbol-dce --dump-pass-pipeline 2>&1 | FileCheck --check-prefix=FIRST %s
// RUN: smartmem-opt %s -symbol-dce -cse -dump-pass-pipeline 2>&1 | FileCheck --check-prefix=SECOND %s
// FIRST: builtin.module(cse,symbol-dce)
// SECOND: builtin.module(symbol-dce,cse)

// Options follow the name, several in quotes.
// RUN: smartmem-opt %s --canonicalize='top-down=false max-iterations=3' --dump-pass-pipeline 2>&1 | FileCheck --check-prefix=OPTIONS %s
// OPTIONS: canonicalize{
// OPTIONS-SAME: max-iterations=3
// OPTIONS-SAME: top-down=false

// A pass on functions is nested by itself; one written in Python stands between others.
// RUN: smartmem-opt %s --cse --affine-parallelize --smartmem-classify-ops --cse --dump-pass-pipeline 2>&1 | FileCheck --check-prefix=NESTED %s
// NESTED: builtin.module(cse,func.func(affine-parallelize{{.*}}),smartmem-classify-ops,cse)

// RUN: not smartmem-opt %s --canonicalise 2>&1 | FileCheck --check-prefix=MISSPELT %s
// MISSPELT-NOT: Traceback
// MISSPELT: error: pass canonicalise: no such pass; did you mean canonicalize

// RUN: not smartmem-opt %s --smartmem-clasify-ops 2>&1 | FileCheck --check-prefix=OURS %s
// OURS: error: pass smartmem-clasify-ops: no such pass; did you mean smartmem-classify-ops

// RUN: not smartmem-opt %s --verify-diagnostic 2>&1 | FileCheck --check-prefix=FLAG %s
// FLAG: error: pass verify-diagnostic: no such option; did you mean verify-diagnostics

// RUN: not smartmem-opt %s --zzzzzz 2>&1 | FileCheck --check-prefix=NOTHING-LIKE-IT %s
// NOTHING-LIKE-IT: error: pass zzzzzz: no such pass or option; see smartmem-opt --list-passes

// RUN: not smartmem-opt %s --canonicalize=max-iteration=3 2>&1 | FileCheck --check-prefix=OPTION %s
// OPTION: error: pass canonicalize{max-iteration=3}: no such option max-iteration; options: {{.*}}max-iterations

// RUN: not smartmem-opt %s --cse=fast=true 2>&1 | FileCheck --check-prefix=NO-OPTIONS %s
// NO-OPTIONS: error: pass cse{fast=true}: no such option fast; it has no options

// RUN: not smartmem-opt %s --smartmem-classify-ops=fast=true 2>&1 | FileCheck --check-prefix=OUR-OPTION %s
// OUR-OPTION: error: pass smartmem-classify-ops: unknown option 'fast'

// RUN: not smartmem-opt %s --cse --pass-pipeline=cse 2>&1 | FileCheck --check-prefix=MIXED %s
// MIXED: error: --pass-pipeline and pass flags exclude each other

// A switch takes true and false as LLVM's tools do, and nothing else.
// RUN: smartmem-opt %s --cse --dump-pass-pipeline=false 2>&1 | FileCheck --check-prefix=OFF %s
// RUN: not smartmem-opt %s --cse --verify-each=maybe 2>&1 | FileCheck --check-prefix=MAYBE %s
// OFF-NOT: Pass Manager
// OFF: func.func @f
// MAYBE: error: --verify-each=maybe: the value must be true or false

func.func @f() {
  return
}

// RUN: smartmem-opt %s --mlir-disable-threading --cse | FileCheck %s --check-prefix=THREADS
// THREADS: func.func
// RUN: not smartmem-opt %s --cze 2>&1 | FileCheck %s --check-prefix=SHORT
// SHORT: error: pass cze: no such pass; did you mean cse
