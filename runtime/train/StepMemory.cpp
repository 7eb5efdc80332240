//===- StepMemory.cpp - What a step holds, launch by launch -----------------===//
// Guarantees: see StepMemory.h.
//===----------------------------------------------------------------------===//
#include "StepMemory.h"
#include "../src/Program.h"
#include "../src/Session.h"
#include "Chart.h"
#include <algorithm>

namespace ds::runtime {

namespace {

constexpr size_t MostPoints = 1000, MostRows = 15;

struct Tensor {
  int64_t Size;
  uint32_t First, Last; // launches
};

/// Bytes of the session's states, by what they are.
struct Held {
  double Parameters = 0, Optimizer = 0, Other = 0, Accumulated = 0;
  double all() const { return Parameters + Optimizer + Other + Accumulated; }
};

Held statesOf(const TrainStep &Step, const ds_session *Session) {
  Held Sum;
  for (size_t I = 0; I < Step.InputCount; ++I) {
    ds_tensor T;
    int64_t Bytes;
    const char Role = Step.InputRoles[I];
    double *Part = Role == 'p'   ? &Sum.Parameters
                   : Role == 'o' ? &Sum.Optimizer
                   : Role == 'f' ? &Sum.Optimizer
                   : Role == 'b' ? &Sum.Other
                   : Role == 'a' ? &Sum.Accumulated
                                 : nullptr;
    if (Part && !ds_session_state_get(Session, I, &T, nullptr) &&
        denseBytes(T.shape, size_t(T.rank), ds_dtype_size(T.dtype), Bytes))
      *Part += double(Bytes);
  }
  return Sum;
}

/// The temporaries of all stages, by the plans that were used last.
bool temporariesOf(const ds_session &S, Array<Tensor> &Out, int64_t &Arena, int64_t &Scratch) {
  for (size_t I = 0; I < S.StageCount; ++I) {
    const Plan *P = nullptr;
    for (const Plan &Each : S.Stages[I].Plans)
      if (Each.LastUse && (!P || Each.LastUse > P->LastUse))
        P = &Each;
    if (!P)
      continue;
    Arena += P->ArenaSize;
    Scratch = std::max(Scratch, P->ScratchSize);
    for (const Temporary &T : P->Temporaries)
      if (T.Size && !Out.push({T.Size, T.First, T.Last}))
        return false;
  }
  return true;
}

} // namespace

ds_status appendStepMemory(Text &Out, const TrainStep &Step, const ds_session *Session, const ds_session *Trained,
                           ds_error *Error) {
  const Metadata &Meta = Trained->Model->Meta;
  const size_t Launches = Meta.Launches.size();
  Array<Tensor> All;
  Array<int64_t> Live;
  int64_t Arena = 0, Scratch = 0;
  if (!Launches)
    return DS_OK;
  if (!temporariesOf(*Trained, All, Arena, Scratch) || !Live.resize(Launches + 1))
    return outOfMemory(Error);
  for (const Tensor &T : All) {
    Live[T.First] += T.Size;
    Live[T.Last + 1] -= T.Size;
  }
  size_t Peak = 0;
  for (size_t L = 1; L < Launches; ++L) {
    Live[L] += Live[L - 1];
    if (Live[L] > Live[Peak])
      Peak = L;
  }

  const Held States = statesOf(Step, Session);
  Out.append(
      "<h2>Memory of a step</h2>\n<p>Of the launches of a step, in MB: below what the session holds from step to "
      "step (%.2f: parameters %.2f, optimizer %.2f",
      States.all() / 1e6, States.Parameters / 1e6, States.Optimizer / 1e6);
  if (States.Other > 0)
    Out.append(", other state %.2f", States.Other / 1e6);
  if (States.Accumulated > 0)
    Out.append(", accumulated gradients %.2f", States.Accumulated / 1e6);
  Out.append(
      "), above it tensors that live in a step. Their peak is %.2f at launch %zu of %zu, in an arena of %.2f; each "
      "thread has %.2f of scratch%s.</p>\n",
      double(Live[Peak]) / 1e6, Peak, Launches, double(Arena) / 1e6, double(Scratch) / 1e6,
      Trained->CallCount ? "; memory of branches and loops comes on top" : "");

  // Of launches that share a point the largest is shown.
  Array<Place> Below, Above;
  const size_t Of = (Launches + MostPoints - 1) / MostPoints;
  for (size_t L = 0; L < Launches; L += Of) {
    const int64_t Most = *std::max_element(Live.begin() + L, Live.begin() + std::min(L + Of, Launches));
    if (!Below.push({double(L), States.all() / 1e6}) || !Above.push({double(L), (States.all() + double(Most)) / 1e6}))
      return outOfMemory(Error);
  }
  Chart Memory(Out, 0, double(Launches - 1));
  Memory.cover(0);
  Memory.cover((States.all() + double(Live[Peak])) / 1e6);
  Memory.begin("memory over the launches of a step, in MB", "launch");
  Memory.area("temporary", Above);
  Memory.area("state", Below);
  Text Title;
  Title.append("the peak: %.2f MB", (States.all() + double(Live[Peak])) / 1e6);
  Memory.dot(double(Peak), (States.all() + double(Live[Peak])) / 1e6, Title.str());
  Memory.end();

  // What holds the peak.
  Array<Tensor> There;
  for (const Tensor &T : All)
    if (T.First <= Peak && Peak <= T.Last && !There.push(T))
      return outOfMemory(Error);
  std::sort(There.begin(), There.end(),
            [](const Tensor &L, const Tensor &R) { return L.Size != R.Size ? L.Size > R.Size : L.First < R.First; });
  Text At;
  appendNodes(At, Meta.text(Meta.Launches[Peak].source));
  Out.append("<p>At the peak (");
  appendEscaped(Out, At.str());
  Out.append(") there are:</p>\n<table><tr><th>MB</th><th>made at</th><th>last used at</th><th>made by</th></tr>\n");
  int64_t Rest = 0;
  for (size_t I = 0; I < There.size(); ++I) {
    const Tensor &T = There[I];
    if (I >= MostRows) {
      Rest += T.Size;
      continue;
    }
    Text Nodes;
    appendNodes(Nodes, Meta.text(Meta.Launches[T.First].source));
    Out.append("<tr><td>%.3f</td><td>%u</td><td>%u</td><td>", double(T.Size) / 1e6, T.First, T.Last);
    appendEscaped(Out, Nodes.str());
    Out.append("</td></tr>\n");
  }
  if (There.size() > MostRows)
    Out.append("<tr><td>%.3f</td><td></td><td></td><td>%zu smaller ones</td></tr>\n", double(Rest) / 1e6,
               There.size() - MostRows);
  Out.append("<tr><td>%.3f</td><td></td><td></td><td>all</td></tr></table>\n", double(Live[Peak]) / 1e6);
  return DS_OK;
}

} // namespace ds::runtime
