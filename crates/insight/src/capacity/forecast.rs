//! Looks ahead: trend and weekly season of daily values, with honest intervals.
//!
//! The trend is Theil and Sen's: the median of the slopes between all pairs of days, which a
//! quarter of wild days does not move; its interval comes from Kendall's distribution. When that
//! interval spans 0, there is no trend, and none is used. The season is the median residual of
//! each day of the week. The interval of a forecast comes from quantiles of the residuals, wider
//! with the trend's own uncertainty. Every forecast is replayed on the past against the seasonal
//! naive one (the value a week before), and says when it is no better.
//!
//! Not here: making daily values of samples (`usage`).

use serde::Serialize;

use crate::robust::{index_of, median, quantile, real, real_i64};

/// Days that must be there before anything is said.
pub const DAYS_MIN: usize = 7;
/// Days from which a weekly season is told apart from noise.
const SEASON_DAYS_MIN: usize = 21;
/// Most days that are looked at: the newest ones.
const DAYS_MAX: usize = 730;
/// Days ahead that a replay forecasts.
const REPLAY_DAYS: i64 = 7;
/// Half width of a 90 % interval, in standard deviations.
const SIGMAS_90: f64 = 1.645;
/// Days on each side of a deploy that tell whether it changed the level.
const LEVEL_DAYS: usize = 7;

/// A day's value: days since 1970-01-01, and its 95th percentile or peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Day {
    /// Days since 1970-01-01 UTC.
    pub day: i64,
    /// The value.
    pub value: f64,
}

/// A number with the interval in which it lies nine times of ten.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Likely {
    /// The number.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// How well the forecast would have done, in the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Replay {
    /// Mean absolute error of this forecast, up to seven days ahead.
    pub error: f64,
    /// The same of "as a week before".
    pub naive_error: f64,
    /// Forecasts compared.
    pub days: usize,
    /// Whether this forecast was better.
    pub better: bool,
}

/// What is to come.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Forecast {
    /// Change per day; `None`: no trend, its interval spans 0.
    pub trend_per_day: Option<Likely>,
    /// Whether a weekly season was used.
    pub seasonal: bool,
    /// The level today, without season.
    pub level: f64,
    /// The days ahead, the first one being the day after the last known.
    pub days: Vec<(i64, Likely)>,
    /// How it would have done; `None` with too few days to tell.
    pub replay: Option<Replay>,
    /// Days of history that were used.
    pub history_days: usize,
}

/// When a limit is reached, in days from the last known day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DaysUntil {
    /// Already above it.
    Reached,
    /// Not for lack of a rising trend.
    NoTrend,
    /// In about `value` days; `high` is `None` when it may also never be.
    Days {
        /// Most likely.
        value: f64,
        /// At the fastest trend that is likely.
        low: f64,
        /// At the slowest.
        high: f64,
    },
}

#[derive(Debug, Clone)]
struct Fit {
    last_day: i64,
    slope: Option<Likely>,
    level: f64,
    season: Option<[f64; 7]>,
    residuals: Vec<f64>,
}

/// Forecasts `horizon_days` days. `days`: in rising order; missing days are left out. `None` with
/// fewer than [`DAYS_MIN`] days.
pub fn forecast(days: &[Day], horizon_days: usize) -> Option<Forecast> {
    let days = newest(days);
    let fit = Fit::of(days)?;
    let ahead = (1..).take(horizon_days).map(|ahead| (fit.last_day + ahead, fit.at(ahead)));
    Some(Forecast {
        trend_per_day: fit.slope,
        seasonal: fit.season.is_some(),
        level: fit.level,
        days: ahead.collect(),
        replay: replay(days),
        history_days: days.len(),
    })
}

/// When the level reaches `limit`. Only a trend that is certainly upwards gives a date.
pub fn days_until(forecast: &Forecast, limit: f64) -> DaysUntil {
    let room = limit - forecast.level;
    if room <= 0.0 {
        return DaysUntil::Reached;
    }
    match forecast.trend_per_day.filter(|trend| trend.low > 0.0) {
        Some(trend) => DaysUntil::Days {
            value: room / trend.value,
            low: room / trend.high,
            high: room / trend.low,
        },
        None => DaysUntil::NoTrend,
    }
}

/// History from the last deploy that changed the level: there the values before say nothing
/// about those after. `deploys`: days of deploys, rising.
pub fn since_level_change<'a>(days: &'a [Day], deploys: &[i64]) -> &'a [Day] {
    for deploy in deploys.iter().rev() {
        let at = days.partition_point(|of| of.day < *deploy);
        let (before, after) = days.split_at(at);
        let before = before.get(before.len().saturating_sub(LEVEL_DAYS)..).unwrap_or(&[]);
        let window = after.get(..LEVEL_DAYS.min(after.len())).unwrap_or(&[]);
        if before.len() < 3 || window.len() < 3 {
            continue;
        }
        let values = |of: &[Day]| of.iter().map(|of| of.value).collect::<Vec<f64>>();
        let (was, is) = (median(&values(before)), median(&values(window)));
        let spread = crate::robust::mad_sigma(&values(before));
        if let (Some(was), Some(is), Some(spread)) = (was, is, spread)
            && (is - was).abs() > 3.0 * spread.max(0.05 * was.abs())
        {
            return after;
        }
    }
    days
}

fn newest(days: &[Day]) -> &[Day] {
    days.get(days.len().saturating_sub(DAYS_MAX)..).unwrap_or(days)
}

impl Fit {
    fn of(days: &[Day]) -> Option<Self> {
        if days.len() < DAYS_MIN {
            return None;
        }
        let last_day = days.last()?.day;
        let slope = theil_sen(days).filter(|slope| slope.low > 0.0 || slope.high < 0.0);
        let per_day = slope.map_or(0.0, |slope| slope.value);
        let flat = |of: &Day| of.value - per_day * real_i64(of.day - last_day);
        let level = median(&days.iter().map(flat).collect::<Vec<f64>>())?;
        let season = (days.len() >= SEASON_DAYS_MIN).then(|| season(days, |of| flat(of) - level));
        let season = season.flatten();
        let residual = |of: &Day| flat(of) - level - season.map_or(0.0, |by| by[weekday(of.day)]);
        Some(Self {
            last_day,
            slope,
            level,
            season,
            residuals: days.iter().map(residual).collect(),
        })
    }

    fn at(&self, ahead: i64) -> Likely {
        let distance = real_i64(ahead);
        let season = self.season.map_or(0.0, |by| by[weekday(self.last_day + ahead)]);
        let (slope, down, up) = self.slope.map_or((0.0, 0.0, 0.0), |of| {
            (of.value, (of.value - of.low) * distance, (of.high - of.value) * distance)
        });
        let value = self.level + slope * distance + season;
        let low = quantile(&self.residuals, 0.05).unwrap_or(0.0).min(0.0);
        let high = quantile(&self.residuals, 0.95).unwrap_or(0.0).max(0.0);
        Likely { value, low: value - low.hypot(down), high: value + high.hypot(up) }
    }
}

fn weekday(day: i64) -> usize {
    usize::try_from(day.rem_euclid(7)).unwrap_or(0)
}

fn season(days: &[Day], residual: impl Fn(&Day) -> f64) -> Option<[f64; 7]> {
    let mut season = [0.0; 7];
    for (place, held) in season.iter_mut().enumerate() {
        let of = days.iter().filter(|of| weekday(of.day) == place);
        *held = median(&of.map(&residual).collect::<Vec<f64>>())?;
    }
    Some(season)
}

/// Theil and Sen's slope with Sen's 90 % interval.
fn theil_sen(days: &[Day]) -> Option<Likely> {
    let mut slopes = Vec::with_capacity(days.len() * days.len() / 2);
    for (index, one) in days.iter().enumerate() {
        for other in days.iter().skip(index + 1).filter(|other| other.day > one.day) {
            slopes.push((other.value - one.value) / real_i64(other.day - one.day));
        }
    }
    slopes.sort_by(f64::total_cmp);
    let n = real(days.len());
    let width = SIGMAS_90 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let pairs = real(slopes.len());
    let last = slopes.len().checked_sub(1)?;
    let at = |rank: f64| slopes.get(index_of(rank, last)).copied();
    Some(Likely {
        value: median(&slopes)?,
        low: at(((pairs - width) / 2.0).floor())?,
        high: at(f64::midpoint(pairs, width).ceil())?,
    })
}

/// Forecasts the last third of the days from what was known before, up to a week ahead.
fn replay(days: &[Day]) -> Option<Replay> {
    let from = (days.len() * 2 / 3).max(DAYS_MIN);
    let (mut error, mut naive_error, mut compared) = (0.0, 0.0, 0_usize);
    for origin in (from..days.len()).step_by(3) {
        let (known, to_come) = days.split_at(origin);
        let Some(fit) = Fit::of(known) else { continue };
        for of in to_come.iter().take_while(|of| of.day - fit.last_day <= REPLAY_DAYS) {
            let week_before = known.iter().rev().find(|past| past.day == of.day - 7);
            let Some(week_before) = week_before else { continue };
            error += (fit.at(of.day - fit.last_day).value - of.value).abs();
            naive_error += (week_before.value - of.value).abs();
            compared += 1;
        }
    }
    if compared == 0 {
        return None;
    }
    let (error, naive_error) = (error / real(compared), naive_error / real(compared));
    Some(Replay { error, naive_error, days: compared, better: error < naive_error })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise without a generator: the fractional parts of multiples of the golden ratio.
    fn noise(index: i64) -> f64 {
        (real_i64(index) * 0.618_033_988_75).fract() - 0.5
    }

    fn days(count: i64, value: impl Fn(i64) -> f64) -> Vec<Day> {
        (0..count).map(|day| Day { day, value: value(day) }).collect()
    }

    #[test]
    fn a_rising_level_has_a_date() {
        let history = days(60, |day| 100.0 + real_i64(day) + noise(day));
        let found = forecast(&history, 30).unwrap();
        let trend = found.trend_per_day.unwrap();
        assert!((trend.value - 1.0).abs() < 0.02, "{trend:?}");
        let DaysUntil::Days { value, low, high } = days_until(&found, 259.0) else {
            panic!("{found:?}")
        };
        assert!((value - 100.0).abs() < 3.0 && low <= value && value <= high);
        assert!(found.replay.unwrap().better);
    }

    #[test]
    fn noise_has_no_trend_and_no_date() {
        let found = forecast(&days(60, |day| 100.0 + 10.0 * noise(day)), 7).unwrap();
        assert_eq!(found.trend_per_day, None);
        assert_eq!(days_until(&found, 1_000.0), DaysUntil::NoTrend);
        assert_eq!(days_until(&found, 50.0), DaysUntil::Reached);
    }

    #[test]
    fn weekends_are_a_season() {
        let history = days(56, |day| if day % 7 < 2 { 20.0 } else { 100.0 } + noise(day));
        let found = forecast(&history, 7).unwrap();
        assert!(found.seasonal);
        assert!((found.days[0].1.value - 20.0).abs() < 3.0, "{found:?}");
        assert!((found.days[3].1.value - 100.0).abs() < 3.0, "{found:?}");
    }

    #[test]
    fn a_deploy_that_changes_the_level_restarts_history() {
        let history = days(40, |day| if day < 20 { 10.0 } else { 50.0 } + noise(day));
        assert_eq!(since_level_change(&history, &[20]).len(), 20);
        assert_eq!(since_level_change(&history, &[10]).len(), 40);
    }

    #[test]
    fn a_week_is_the_least() {
        assert!(forecast(&days(6, real_i64), 7).is_none());
    }
}
