//===- Chart.cpp - Lines of numbers on a page -------------------------------===//
// Guarantees: see Chart.h.
//===----------------------------------------------------------------------===//
#include "Chart.h"

namespace ds::runtime {

// Of a chart and its margins, in the units of its SVG.
static constexpr double Width = 860, Height = 260, Left = 70, Right = 20, Top = 16, Bottom = 34;

void appendEscaped(Text &Out, const char *S) {
  for (; *S; ++S)
    if (*S == '&')
      Out.append("&amp;");
    else if (*S == '<')
      Out.append("&lt;");
    else if (*S == '>')
      Out.append("&gt;");
    else
      Out.append("%c", *S);
}

double Chart::x(double At) const {
  return Left + (Last > First ? (At - First) / (Last - First) : 0.5) * (Width - Left - Right);
}

double Chart::y(double Value) const { return Height - Bottom - (Value - Low) / (High - Low) * (Height - Top - Bottom); }

void Chart::begin(const char *Title, const char *Axis) {
  IsLog = Low > 0 && High > Low * 100;
  if (IsLog)
    Low = log10(Low), High = log10(High);
  if (!(High > Low)) { // one value
    const double Around = Low != 0 ? fabs(Low) / 2 : 1;
    Low -= Around;
    High += Around;
  }
  Out.append("<svg viewBox=\"0 0 %g %g\" role=\"img\"><title>", Width, Height);
  appendEscaped(Out, Title);
  Out.append("</title>\n");
  for (int I = 0; I <= 4; ++I) {
    const double Value = Low + (High - Low) * I / 4, Y = y(Value);
    Out.append("<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>", Left, Width - Right, Y, Y);
    Out.append("<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%.3g</text>\n", Left - 8, Y + 4,
               IsLog ? pow(10, Value) : Value);
  }
  for (int I = 0; I <= 4; ++I) {
    const double At = First + (Last - First) * I / 4;
    Out.append("<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%.0f</text>\n", x(At), Height - Bottom + 18, At);
  }
  Out.append("<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">%s</text>\n", (Left + Width - Right) / 2, Height - 2,
             Axis);
}

void Chart::shape(const char *Element, const char *Class, const Array<Place> &Points) {
  Out.append("<%s class=\"%s\" points=\"", Element, Class);
  for (const Place &P : Points)
    Out.append("%.1f,%.1f ", x(P.X), y(axis(P.Value)));
  if (!Points.empty() && !strcmp(Element, "polygon"))
    Out.append("%.1f,%.1f %.1f,%.1f", x(Points[Points.size() - 1].X), Height - Bottom, x(Points[0].X), Height - Bottom);
  Out.append("\"/>\n");
}

void Chart::dot(double At, double Value, const char *Title) {
  Out.append("<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"><title>%s</title></circle>\n", x(At),
             y(axis(Value)), Title);
}

} // namespace ds::runtime
