//===- Chart.h - Lines of numbers on a page ---------------------*- C++ -*-===//
// Assumes: values are finite; `cover` sees all that is drawn.
// Guarantees: one SVG element, without scripts.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_CHART_H
#define DS_RUNTIME_CHART_H

#include "../src/Support.h"
#include <math.h>

namespace ds::runtime {

/// Text as HTML has it.
void appendEscaped(Text &Out, const char *S);

struct Place {
  double X, Value;
};

/// Lines over steps, or launches, with an axis of values.
class Chart {
public:
  Chart(Text &Out, double First, double Last) : Out(Out), First(First), Last(Last) {}

  /// The axis holds these values; of a range with a hundredfold between its ends it shows the magnitudes.
  void cover(double Value) {
    Low = fmin(Low, Value);
    High = fmax(High, Value);
  }
  void begin(const char *Title, const char *Axis);
  void line(const char *Class, const Array<Place> &Points) { shape("polyline", Class, Points); }
  /// Filled down to the bottom.
  void area(const char *Class, const Array<Place> &Points) { shape("polygon", Class, Points); }
  void dot(double X, double Value, const char *Title);
  void end() { Out.append("</svg>\n"); }

private:
  Text &Out;
  double First, Last, Low = INFINITY, High = -INFINITY;
  bool IsLog = false;

  void shape(const char *Element, const char *Class, const Array<Place> &Points);
  double x(double At) const;
  double y(double Value) const; // of the axis
  double axis(double Value) const { return IsLog ? log10(Value) : Value; }
};

} // namespace ds::runtime

#endif
