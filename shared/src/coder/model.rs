//! Models: how the next value of a column is foreseen from those before it. What they do not
//! foresee is all that is written. Arithmetic wraps at 64 bits, so every model suits every column.

use crate::bytes::{Malformed, Reader, Writer};

const LAST: u8 = 1;
pub(super) const STEP: u8 = 2;
const LEVELS: std::ops::RangeInclusive<u8> = 3..=6;
const GRID: u8 = 7;
const STEPS: u8 = 8;

/// Weights of [`Model::Steps`] are 1/32.
const WEIGHT_BITS: u32 = 5;
/// The level has so many bits behind the point.
const LEVEL_BITS: u32 = 8;
/// Shorter blocks do not pay for the weights.
const STEPS_ROWS_MIN: usize = 24;
/// Shorter blocks do not show a grid.
const GRID_ROWS_MIN: usize = 4;
/// Values that are closer are counters rather than times.
const GRID_MIN: i64 = 10;

/// What is expected next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// The value before.
    Last,
    /// One more step like the last. Holds the first one.
    Step(i64),
    /// A level that moves by `1 / 2^shift` of the distance to each value: where noise is larger than
    /// the way that the value goes.
    Level {
        /// 1 to 4.
        shift: u32,
    },
    /// The next point of a regular grid: times of polls, which are late on it by little and not in sum.
    Grid {
        /// Distance of its points.
        step: i64,
        /// How far the first value is from the nearest one.
        off: i64,
    },
    /// The last two steps, each with a weight: what swings or dies away, as turbulence does.
    Steps(i8, i8),
}

impl Model {
    pub(super) fn coder(self) -> u8 {
        match self {
            Model::Last => LAST,
            Model::Step(_) => STEP,
            Model::Level { shift } => *LEVELS.start() - 1 + shift as u8,
            Model::Grid { .. } => GRID,
            Model::Steps(..) => STEPS,
        }
    }

    /// Appends its parameters.
    pub(super) fn write(self, writer: &mut Writer) {
        match self {
            Model::Last | Model::Level { .. } => {}
            Model::Step(step) => writer.signed(step),
            Model::Grid { step, off } => {
                writer.varint(step.unsigned_abs());
                writer.signed(off);
            }
            Model::Steps(a, b) => writer.raw(&[a.cast_unsigned(), b.cast_unsigned()]),
        }
    }

    /// Takes the parameters of this coder.
    pub(super) fn read(coder: u8, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match coder {
            LAST => Model::Last,
            STEP => Model::Step(reader.signed("first step")?),
            coder if LEVELS.contains(&coder) => Model::Level { shift: u32::from(coder - LEVELS.start() + 1) },
            GRID => {
                let step = i64::try_from(reader.varint("grid")?).ok().filter(|&step| step > 0);
                Model::Grid { step: step.ok_or(Malformed::Invalid("grid"))?, off: reader.signed("first distance")? }
            }
            STEPS => Model::Steps(reader.u8("weight")?.cast_signed(), reader.u8("weight")?.cast_signed()),
            _ => return Err(Malformed::Invalid("coder")),
        })
    }
}

/// Models that may suit these values.
pub(super) fn candidates(values: &[i64]) -> impl Iterator<Item = Model> {
    let step = values.get(1).map(|second| Model::Step(second.wrapping_sub(values[0])));
    let levels = (1..=4).map(|shift| Model::Level { shift });
    [Some(Model::Last), step, grid(values), steps(values)].into_iter().flatten().chain(levels)
}

/// A round number near the usual distance, in the middle of where values are on it.
fn grid(values: &[i64]) -> Option<Model> {
    if values.len() < GRID_ROWS_MIN || !values.is_sorted() {
        return None;
    }
    let mut steps: Vec<i64> = values.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let usual = median(&mut steps);
    if usual < GRID_MIN {
        return None;
    }
    // People set intervals in round numbers; what is measured differs by little.
    let rounded = |unit: i64| usual.checked_add(unit / 2).map(|up| up / unit * unit);
    let units = std::iter::successors(Some(1i64), |unit| unit.checked_mul(10)).take_while(|&unit| unit <= usual);
    let near = |&step: &i64| step.abs_diff(usual) <= usual.unsigned_abs() / 64;
    let step = units.filter_map(rounded).filter(near).last()?;
    let mut distances: Vec<i64> = values.iter().map(|&value| from_grid(value.wrapping_sub(values[0]), step)).collect();
    Some(Model::Grid { step, off: median(&mut distances).wrapping_neg() })
}

/// How far `value` is from the nearest multiple of `step`.
fn from_grid(value: i64, step: i64) -> i64 {
    value.wrapping_add(step / 2).rem_euclid(step) - step / 2
}

fn median(values: &mut [i64]) -> i64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable(middle).1
}

/// The weights that leave the least squares, by the two normal equations.
fn steps(values: &[i64]) -> Option<Model> {
    if values.len() < STEPS_ROWS_MIN {
        return None;
    }
    let step = |row: usize| values[row].wrapping_sub(values[row - 1]) as f64;
    let (mut one, mut two) = (step(2), step(1));
    let (mut one_one, mut one_two, mut two_two, mut now_one, mut now_two) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for row in 3..values.len() {
        let now = step(row);
        one_one += one * one;
        one_two += one * two;
        two_two += two * two;
        now_one += now * one;
        now_two += now * two;
        (one, two) = (now, one);
    }
    let determinant = one_one * two_two - one_two * one_two;
    // A division by zero gives no number, and no number gives a weight of zero.
    let weight = |numerator: f64| (numerator / determinant * f64::from(1 << WEIGHT_BITS)).round() as i8;
    let (a, b) = (weight(now_one * two_two - now_two * one_two), weight(now_two * one_one - now_one * one_two));
    (a != 0 || b != 0).then_some(Model::Steps(a, b))
}

/// A model on its way through a column.
#[derive(Debug)]
pub(super) struct Foresight {
    model: Model,
    /// The value before, and the steps that led to it.
    last: i64,
    step: i64,
    step_before: i64,
    /// Moving level, and how many values it has seen, up to what its shift stands for.
    level: i64,
    seen: i64,
    /// A point of the grid.
    grid: i64,
}

impl Foresight {
    /// At the first value, which is given.
    pub(super) fn new(model: Model, first: i64) -> Self {
        let mut foresight =
            Foresight { model, last: first, step: 0, step_before: 0, level: first << LEVEL_BITS, seen: 1, grid: 0 };
        match model {
            Model::Step(step) => foresight.take(first.wrapping_add(step)),
            Model::Grid { off, .. } => foresight.grid = first.wrapping_sub(off),
            Model::Last | Model::Level { .. } | Model::Steps(..) => {}
        }
        foresight
    }

    /// The values that the parameters tell.
    pub(super) fn given(&self) -> Vec<i64> {
        match self.model {
            Model::Step(step) => vec![self.last.wrapping_sub(step), self.last],
            _ => vec![self.last],
        }
    }

    pub(super) fn expected(&self) -> i64 {
        match self.model {
            Model::Last => self.last,
            Model::Step(_) => self.last.wrapping_add(self.step),
            Model::Level { .. } => self.level.wrapping_add(1 << (LEVEL_BITS - 1)) >> LEVEL_BITS,
            Model::Grid { step, .. } => {
                self.last.wrapping_sub(from_grid(self.last.wrapping_sub(self.grid), step)).wrapping_add(step)
            }
            Model::Steps(a, b) => {
                let weighed = self.step.wrapping_mul(a.into()).wrapping_add(self.step_before.wrapping_mul(b.into()));
                self.last.wrapping_add(weighed.wrapping_add(1 << (WEIGHT_BITS - 1)) >> WEIGHT_BITS)
            }
        }
    }

    pub(super) fn take(&mut self, value: i64) {
        self.step_before = self.step;
        self.step = value.wrapping_sub(self.last);
        self.last = value;
        if let Model::Level { shift } = self.model {
            let distance = (value << LEVEL_BITS).wrapping_sub(self.level);
            let moved = if self.seen < 1 << shift {
                self.seen += 1;
                distance / self.seen
            } else {
                distance >> shift
            };
            self.level = self.level.wrapping_add(moved);
        }
    }
}
