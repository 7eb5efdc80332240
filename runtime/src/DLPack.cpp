//===- DLPack.cpp - Tensors of other frameworks, in and out ----------------===//
// Assumes: DLPack 1.x.
// Guarantees: nothing is copied; what is given away is released with the allocator that it came from.
// Declines: memory of devices other than the CPU, complex and packed element types, strings.
//===----------------------------------------------------------------------===//
#include "Metadata.h"
#include "Session.h"
#include "ds_dlpack.h"

using namespace ds::runtime;

namespace {

/// An output that left its session: the DLPack tensor, and what it takes to release it.
struct Detached {
  DLManagedTensorVersioned Tensor;
  ds_allocator Allocator;
  Region Memory;
  int64_t Shape[DS_ARTIFACT_MAX_RANK], Strides[DS_ARTIFACT_MAX_RANK];
};

void releaseDetached(DLManagedTensorVersioned *Tensor) {
  if (!Tensor)
    return;
  Detached *D = static_cast<Detached *>(Tensor->manager_ctx);
  if (D->Memory.Data)
    MemorySource::giveBack(D->Allocator, D->Memory.Data, D->Memory.Size);
  free(D);
}

} // namespace

ds_status ds_tensor_from_dlpack(const DLTensor *From, ds_tensor *To, ds_error *Error) {
  if (!From || !To)
    return fail(Error, DS_BAD_ARGUMENT, "ds_tensor_from_dlpack needs a tensor and a place for the result");
  const ds_device Device = {int32_t(From->device.device_type), From->device.device_id};
  if (Device.device_type == 0 || checkDevice(Device, "", "", nullptr))
    return fail(Error, DS_BAD_ARGUMENT,
                "the DLPack tensor lies on device type %d, number %d, expected the host's memory (type %d, number 0)",
                Device.device_type, Device.device_id, DS_DEVICE_CPU);
  if (From->ndim < 0 || From->ndim > DS_ARTIFACT_MAX_RANK || (From->ndim && !From->shape))
    return fail(Error, DS_BAD_ARGUMENT, "the DLPack tensor has %d dimensions, expected 0 to %d with their sizes",
                From->ndim, DS_ARTIFACT_MAX_RANK);
  int32_t Dtype = 0;
  for (uint32_t I = 1; I < ElementTypeCount; ++I)
    if (ElementTypes[I].DlpackBits && ElementTypes[I].DlpackCode == From->dtype.code &&
        ElementTypes[I].DlpackBits == From->dtype.bits && From->dtype.lanes == 1)
      Dtype = int32_t(I);
  if (!Dtype)
    return fail(Error, DS_BAD_ARGUMENT,
                "the DLPack tensor has element type (code %u, %u bits, %u lanes), which models do not have",
                unsigned(From->dtype.code), unsigned(From->dtype.bits), unsigned(From->dtype.lanes));
  char *Data = From->data ? static_cast<char *>(From->data) + From->byte_offset : nullptr;
  *To = {Data, Dtype, From->ndim, From->shape, From->strides, Device};
  return DS_OK;
}

ds_status ds_session_detach(ds_session *Session, size_t Index, DLManagedTensorVersioned **Tensor, ds_error *Error) {
  if (!Session || !Tensor)
    return fail(Error, DS_BAD_ARGUMENT, "ds_session_detach needs a session and a place for the tensor");
  const Metadata &Meta = Session->Model->Meta;
  if (Index >= Meta.Outputs.size())
    return fail(Error, DS_BAD_ARGUMENT, "there is no output number %zu; the model has %zu", Index, Meta.Outputs.size());
  const char *Name = Meta.text(Meta.Outputs[Index].name);
  if (!Session->hasOutput(Index))
    return fail(Error, DS_BAD_ARGUMENT, "output '%s' is not there: no run has made it since it was last given away",
                Name);
  ds_tensor &Last = Session->LastOutputs[Index];
  if (Last.dtype == DS_STRING)
    return fail(Error, DS_BAD_ARGUMENT, "output '%s' holds strings, which DLPack does not know", Name);
  ds_session &Maker = Session->LastVersion ? *Session->LastVersion : *Session;
  OutputMemory &Own = Maker.Outputs[Index];
  Region &Place = Own.Places[Own.Current];
  const bool IsEmpty = Last.data == Session->nothing();
  const size_t Donation = Session->DonationTo[Index];
  StateMemory *State = Donation < Session->States.size() ? &Session->States[Donation] : nullptr;
  const bool IsState = State && State->Is == StateMemory::Present && Last.data == State->Memory.Data;
  if (!IsEmpty && !IsState && Last.data != Place.Data)
    return fail(Error, DS_BAD_ARGUMENT, "output '%s' lies in the caller's own memory", Name);
  Detached *D = static_cast<Detached *>(calloc(1, sizeof(Detached)));
  if (!D)
    return outOfMemory(Error);
  int64_t Stride = 1;
  for (int32_t I = Last.rank; I-- > 0; Stride *= Last.shape[I] ? Last.shape[I] : 1) {
    D->Shape[I] = Last.shape[I];
    D->Strides[I] = Stride;
  }
  D->Allocator = Maker.Memory.allocator();
  if (!IsEmpty && IsState) {
    Session->hold(Donation, {});
    State->Is = StateMemory::Absent;
    D->Memory = Session->Memory.handOver(State->Memory);
  } else if (!IsEmpty) {
    Maker.addFormer(Index, Place.Data);
    D->Memory = Maker.Memory.handOver(Place);
  }
  // Types of a byte or less go as their bytes.
  const ElementType &Known = ElementTypes[Last.dtype];
  const DLDataType Type =
      Known.DlpackBits ? DLDataType{Known.DlpackCode, Known.DlpackBits, 1} : DLDataType{kDLUInt, 8, 1};
  D->Tensor = {{DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION},
               D,
               releaseDetached,
               0,
               {IsEmpty ? nullptr : D->Memory.Data, {kDLCPU, 0}, Last.rank, Type, D->Shape, D->Strides, 0}};
  Last = {};
  *Tensor = &D->Tensor;
  return DS_OK;
}
