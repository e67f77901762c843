//! The table of functions: names, argument kinds, result kind and what computes them.
//!
//! Not here: the computations (`super::eval`).

use super::ast::Kind;
use super::eval::dates::DatePart;

/// A function of the language.
#[derive(Debug)]
pub struct Function {
    /// How it is called.
    pub name: &'static str,
    /// The kinds of its arguments; the last one repeats where more are allowed.
    pub args: &'static [Kind],
    /// How many of the last arguments may be left out (or, negative, added without limit).
    pub variadic: i8,
    /// What it returns.
    pub returns: Kind,
    /// What computes it.
    pub builtin: Builtin,
}

/// What computes a function.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each is named after its function in `FUNCTIONS`")]
pub enum Builtin {
    Math(MathFunction),
    Window(WindowFunction),
    Date(DatePart),
    Absent,
    AbsentOverTime,
    Clamp,
    ClampMax,
    ClampMin,
    End,
    HistogramFraction,
    HistogramQuantile,
    HistogramQuantiles,
    Info,
    LabelJoin,
    LabelReplace,
    MaxOf,
    MinOf,
    NativeHistogram,
    Pi,
    QueryRange,
    Round,
    Scalar,
    Sort { descending: bool },
    SortByLabel { descending: bool },
    Start,
    Step,
    Time,
    Timestamp,
    Vector,
}

/// Functions of one number.
#[derive(Clone, Copy, Debug)]
pub struct MathFunction(pub fn(f64) -> f64);

/// Functions of the samples in a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named after its function in `FUNCTIONS`")]
pub enum WindowFunction {
    Avg,
    Changes,
    Count,
    Delta,
    Deriv,
    DoubleExponentialSmoothing,
    First,
    Idelta,
    Increase,
    Irate,
    Last,
    Mad,
    Max,
    Min,
    PredictLinear,
    Present,
    Quantile,
    Rate,
    Resets,
    Stddev,
    Stdvar,
    Sum,
    TimeOfFirst,
    TimeOfLast,
    TimeOfMax,
    TimeOfMin,
}

/// Finds a function by name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

use Kind::{Matrix as M, Scalar as S, String as T, Vector as V};
use WindowFunction as W;

const fn math(name: &'static str, f: fn(f64) -> f64) -> Function {
    function(name, &[V], 0, V, Builtin::Math(MathFunction(f)))
}

const fn window(name: &'static str, w: WindowFunction) -> Function {
    function(name, &[M], 0, V, Builtin::Window(w))
}

const fn date(name: &'static str, part: DatePart) -> Function {
    function(name, &[V], 1, V, Builtin::Date(part))
}

const fn scalar(name: &'static str, args: &'static [Kind], builtin: Builtin) -> Function {
    function(name, args, 0, S, builtin)
}

const fn native(name: &'static str) -> Function {
    function(name, &[V], 0, V, Builtin::NativeHistogram)
}

const fn function(
    name: &'static str,
    args: &'static [Kind],
    variadic: i8,
    returns: Kind,
    builtin: Builtin,
) -> Function {
    Function { name, args, variadic, returns, builtin }
}

/// Every function, as of Prometheus 3.
pub static FUNCTIONS: &[Function] = &[
    math("abs", f64::abs),
    function("absent", &[V], 0, V, Builtin::Absent),
    function("absent_over_time", &[M], 0, V, Builtin::AbsentOverTime),
    math("acos", f64::acos),
    math("acosh", f64::acosh),
    math("asin", f64::asin),
    math("asinh", f64::asinh),
    math("atan", f64::atan),
    math("atanh", f64::atanh),
    window("avg_over_time", W::Avg),
    math("ceil", f64::ceil),
    window("changes", W::Changes),
    function("clamp", &[V, S, S], 0, V, Builtin::Clamp),
    function("clamp_max", &[V, S], 0, V, Builtin::ClampMax),
    function("clamp_min", &[V, S], 0, V, Builtin::ClampMin),
    math("cos", f64::cos),
    math("cosh", f64::cosh),
    window("count_over_time", W::Count),
    date("day_of_month", DatePart::DayOfMonth),
    date("day_of_week", DatePart::DayOfWeek),
    date("day_of_year", DatePart::DayOfYear),
    date("days_in_month", DatePart::DaysInMonth),
    math("deg", f64::to_degrees),
    window("delta", W::Delta),
    window("deriv", W::Deriv),
    function(
        "double_exponential_smoothing",
        &[M, S, S],
        0,
        V,
        Builtin::Window(W::DoubleExponentialSmoothing),
    ),
    scalar("end", &[], Builtin::End),
    math("exp", f64::exp),
    window("first_over_time", W::First),
    math("floor", f64::floor),
    native("histogram_avg"),
    native("histogram_count"),
    function("histogram_fraction", &[S, S, V], 0, V, Builtin::HistogramFraction),
    function("histogram_quantile", &[S, V], 0, V, Builtin::HistogramQuantile),
    function("histogram_quantiles", &[V, T, S, S], -1, V, Builtin::HistogramQuantiles),
    native("histogram_stddev"),
    native("histogram_stdvar"),
    native("histogram_sum"),
    date("hour", DatePart::Hour),
    window("idelta", W::Idelta),
    window("increase", W::Increase),
    function("info", &[V, V], 1, V, Builtin::Info),
    window("irate", W::Irate),
    function("label_join", &[V, T, T, T], -1, V, Builtin::LabelJoin),
    function("label_replace", &[V, T, T, T, T], 0, V, Builtin::LabelReplace),
    window("last_over_time", W::Last),
    math("ln", f64::ln),
    math("log10", f64::log10),
    math("log2", f64::log2),
    window("mad_over_time", W::Mad),
    scalar("max_of", &[S, S], Builtin::MaxOf),
    window("max_over_time", W::Max),
    scalar("min_of", &[S, S], Builtin::MinOf),
    window("min_over_time", W::Min),
    date("minute", DatePart::Minute),
    date("month", DatePart::Month),
    scalar("pi", &[], Builtin::Pi),
    function("predict_linear", &[M, S], 0, V, Builtin::Window(W::PredictLinear)),
    window("present_over_time", W::Present),
    function("quantile_over_time", &[S, M], 0, V, Builtin::Window(W::Quantile)),
    math("rad", f64::to_radians),
    scalar("range", &[], Builtin::QueryRange),
    window("rate", W::Rate),
    window("resets", W::Resets),
    function("round", &[V, S], 1, V, Builtin::Round),
    scalar("scalar", &[V], Builtin::Scalar),
    math("sgn", sign),
    math("sin", f64::sin),
    math("sinh", f64::sinh),
    function("sort", &[V], 0, V, Builtin::Sort { descending: false }),
    function("sort_by_label", &[V, T], -1, V, Builtin::SortByLabel { descending: false }),
    function("sort_by_label_desc", &[V, T], -1, V, Builtin::SortByLabel { descending: true }),
    function("sort_desc", &[V], 0, V, Builtin::Sort { descending: true }),
    math("sqrt", f64::sqrt),
    scalar("start", &[], Builtin::Start),
    window("stddev_over_time", W::Stddev),
    window("stdvar_over_time", W::Stdvar),
    scalar("step", &[], Builtin::Step),
    window("sum_over_time", W::Sum),
    math("tan", f64::tan),
    math("tanh", f64::tanh),
    scalar("time", &[], Builtin::Time),
    function("timestamp", &[V], 0, V, Builtin::Timestamp),
    window("ts_of_first_over_time", W::TimeOfFirst),
    window("ts_of_last_over_time", W::TimeOfLast),
    window("ts_of_max_over_time", W::TimeOfMax),
    window("ts_of_min_over_time", W::TimeOfMin),
    function("vector", &[S], 0, V, Builtin::Vector),
    date("year", DatePart::Year),
];

/// -1, 0 or 1; NaN stays NaN.
fn sign(value: f64) -> f64 {
    if value < 0.0 {
        -1.0
    } else if value > 0.0 {
        1.0
    } else {
        value
    }
}

impl Function {
    /// Whether the result may change with evaluation time though the arguments do not.
    pub fn depends_on_time(&self) -> bool {
        matches!(
            self.builtin,
            Builtin::Date(_)
                | Builtin::Time
                | Builtin::Timestamp
                | Builtin::Info
                | Builtin::Window(WindowFunction::PredictLinear)
        )
    }
}
