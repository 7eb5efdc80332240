//===- DsOps.td - All ops of ds -----------------------------------------===//
// For documentation and tools; the build generates each subject by itself.
//===----------------------------------------------------------------------===//
include "dialects/ds/ir/DsElementwise.td"
include "dialects/ds/ir/DsSource.td"
include "dialects/ds/ir/DsRandom.td"
include "dialects/ds/ir/DsMovement.td"
include "dialects/ds/ir/DsReduction.td"
include "dialects/ds/ir/DsContraction.td"
include "dialects/ds/ir/DsConvolution.td"
include "dialects/ds/ir/DsNormalization.td"
include "dialects/ds/ir/DsQuantization.td"
include "dialects/ds/ir/DsRegion.td"
include "dialects/ds/ir/DsPacked.td"
include "dialects/ds/ir/DsRecurrent.td"
include "dialects/ds/ir/DsSpectral.td"
include "dialects/ds/ir/DsAdjoint.td"
