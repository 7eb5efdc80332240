//===- History.cpp - The page of a run -------------------------------------===//
// Guarantees: see History.h. Text of the model is escaped.
// Declines: scripts. A line has at most a thousand points, each the mean of the steps that it stands for.
//===----------------------------------------------------------------------===//
#include "History.h"
#include "../src/Program.h"
#include "AtomicFile.h"
#include "Chart.h"
#include "StepMemory.h"
#include <algorithm>
#include <errno.h>
#include <math.h>

namespace ds::runtime {

namespace {

constexpr size_t MostPoints = 1000;
constexpr char Style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#222;background:#fff}"
    "h1{font-size:1.5em}h2{font-size:1.15em;margin-top:1.6em}svg{width:100%;height:auto}"
    "text{font:12px system-ui,sans-serif;fill:currentColor}.grid{stroke:currentColor;opacity:.15}"
    ".line{fill:none;stroke:#3366cc;stroke-width:1.5}.eval{fill:none;stroke:#cc4433;stroke-width:1.5}"
    ".dot{fill:#cc4433}.state{fill:#3366cc;opacity:.75}.temporary{fill:#cc9933;opacity:.55}table{border-collapse:"
    "collapse;width:100%}td,th{padding:2px 8px;text-align:right}"
    "td:last-child,th:last-child,.key td{text-align:left;overflow-wrap:anywhere}"
    "tr:nth-child(even){background:rgba(128,128,128,.1)}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}.line{stroke:#77aaff}"
    ".eval{stroke:#ff8877}.dot{fill:#ff8877}}";

/// Means of so many steps that few are left.
bool thin(const Array<History::Point> &Steps, double History::Point::*Member, Array<Place> &Out) {
  const size_t Count = Steps.size(), Of = (Count + MostPoints - 1) / MostPoints;
  for (size_t I = 0; I < Count; I += Of) {
    const size_t End = std::min(I + Of, Count);
    Place Mean = {0, 0};
    for (size_t J = I; J < End; ++J) {
      Mean.X += double(Steps[J].Step) / double(End - I);
      Mean.Value += Steps[J].*Member / double(End - I);
    }
    if (!Out.push(Mean))
      return false;
  }
  return true;
}

void appendRow(Text &Out, const char *Key, const char *Value) {
  Out.append("<tr><td>%s</td><td>", Key);
  appendEscaped(Out, Value);
  Out.append("</td></tr>\n");
}

ds_status appendKernels(Text &Out, const ds_session *Session, ds_error *Error) {
  Array<ds_profile_entry> Entries;
  ds_profile_entry Entry;
  double All = 0;
  for (size_t I = 0; !ds_session_profile_entry(Session, I, &Entry); ++I) {
    All += Entry.seconds;
    if (Entry.calls && !Entries.push(Entry))
      return outOfMemory(Error);
  }
  std::sort(Entries.begin(), Entries.end(),
            [](const ds_profile_entry &L, const ds_profile_entry &R) { return L.seconds > R.seconds; });
  Out.append("<h2>Time by kernel</h2>\n<table><tr><th>s</th><th>%%</th><th>calls</th><th>GFLOP/s</th><th>GB/s</th>"
             "<th>nodes</th></tr>\n");
  for (const ds_profile_entry &E : Entries) {
    Out.append("<tr><td>%.4f</td><td>%.1f</td><td>%llu</td>", E.seconds, All > 0 ? E.seconds * 100 / All : 0,
               static_cast<unsigned long long>(E.calls));
    for (double Amount : {E.flops, E.bytes})
      if (Amount > 0 && E.seconds > 0)
        Out.append("<td>%.2f</td>", Amount * 1e-9 / E.seconds);
      else
        Out.append("<td></td>");
    Text Nodes;
    appendNodes(Nodes, E.source);
    Out.append("<td>");
    appendEscaped(Out, Nodes.str());
    Out.append("</td></tr>\n");
  }
  Out.append("<tr><td>%.4f</td><td>100</td><td></td><td></td><td></td><td>all kernels</td></tr></table>\n", All);
  return DS_OK;
}

} // namespace

ds_status History::write(const char *Path, const char *Program, const TrainStep &Step, const ds_session *Session,
                         const ds_session *Trained, ds_error *Error) const {
  Text Out, Number;
  Out.append("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
  appendEscaped(Out, Program);
  Out.append("</title><style>%s</style></head>\n<body><h1>Training: ", Style);
  appendEscaped(Out, Program);
  Out.append("</h1>\n<table class=\"key\">\n");
  appendRow(Out, "loss", Step.LossName);
  appendRow(Out, "optimizer", Step.Optimizer);
  if (!Steps.empty()) {
    const Point &First = Steps[0], &Last = Steps[Steps.size() - 1];
    Number.append("%llu to %llu", static_cast<unsigned long long>(First.Step),
                  static_cast<unsigned long long>(Last.Step));
    appendRow(Out, "steps", Number.str());
    Number.clear();
    Number.append("%.6g at first, %.6g at last", First.Loss, Last.Loss);
    appendRow(Out, "loss of a batch", Number.str());
  }
  if (!Evaluations.empty()) {
    const Evaluation &E = Evaluations[Evaluations.size() - 1];
    Number.clear();
    Number.append("loss %.6g", E.Loss);
    if (E.Accuracy >= 0)
      Number.append(", accuracy %.2f %%", E.Accuracy * 100);
    appendRow(Out, "last evaluation", Number.str());
  }
  Number.clear();
  Number.append("%.1f MB beside the weights, state included", double(ds_session_memory(Session)) / 1e6);
  appendRow(Out, "memory", Number.str());
  Out.append("</table>\n");
  if (!Steps.empty()) {
    Array<Place> Losses, Rates, Evaluated;
    if (!thin(Steps, &Point::Loss, Losses) || !thin(Steps, &Point::Rate, Rates))
      return outOfMemory(Error);
    const double First = double(Steps[0].Step), Last = double(Steps[Steps.size() - 1].Step);
    Chart Loss(Out, First, Last), Rate(Out, First, Last);
    for (const Place &P : Losses)
      Loss.cover(P.Value);
    for (const Evaluation &E : Evaluations) {
      Loss.cover(E.Loss);
      if (!Evaluated.push({double(E.Step), E.Loss}))
        return outOfMemory(Error);
    }
    Out.append("<h2>Loss%s</h2>\n", Evaluations.empty() ? "" : " of batches, and of the data to evaluate on (dots)");
    Loss.begin("loss over steps", "step");
    Loss.line("line", Losses);
    Loss.line("eval", Evaluated);
    for (const Evaluation &E : Evaluations) {
      Number.clear();
      Number.append("step %llu: loss %.6g", static_cast<unsigned long long>(E.Step), E.Loss);
      if (E.Accuracy >= 0)
        Number.append(", accuracy %.2f %%", E.Accuracy * 100);
      Loss.dot(double(E.Step), E.Loss, Number.str());
    }
    Loss.end();
    for (const Place &P : Rates)
      Rate.cover(P.Value);
    Out.append("<h2>Learning rate</h2>\n");
    Rate.begin("learning rate over steps", "step");
    Rate.line("line", Rates);
    Rate.end();
  }
  if (Trained)
    if (ds_status Status = appendStepMemory(Out, Step, Session, Trained, Error))
      return Status;
  if (ds_status Status = appendKernels(Out, Session, Error))
    return Status;
  Out.append("</body></html>\n");
  if (!Out.ok())
    return outOfMemory(Error);
  AtomicFile Page;
  if (!Page.create(Path) || !Page.write(Out.str(), Out.size()) || !Page.commit())
    return fail(Error, DS_IO_ERROR, "cannot write '%s': %s", Path, strerror(errno));
  return DS_OK;
}

} // namespace ds::runtime
