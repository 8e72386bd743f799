//! When each token was spoken, from where the decoder looked: cross-attention of the aligned heads, smoothed, and the
//! cheapest monotonic path through it (dynamic time warping), as OpenAI's `whisper/timing.py` does it.

use std::sync::Arc;

/// Width of the median filter over positions.
const MEDIAN: usize = 7;

/// The position at which each of `tokens` tokens ends. `attention` has a row for each token and one for the end, each
/// [heads, context]; of the context only the first `positions` are audio. The row of a token begins where the one
/// before it was left, which is where the token before it ends; without a row for the end, the last ends with the
/// audio.
pub(super) fn ends(attention: &[Arc<[f32]>], heads: usize, positions: usize, tokens: usize) -> Vec<usize> {
    if tokens == 0 || positions == 0 || heads == 0 || attention.is_empty() {
        return vec![positions; tokens];
    }
    let starts = path_starts(&salience(attention, heads, positions), positions);
    (1..=tokens).map(|row| starts.get(row).copied().unwrap_or(positions)).collect()
}

/// The position that a row, [heads, context], looks at most, of the first `positions`: mean over the heads.
pub(super) fn peak(row: &[f32], heads: usize, positions: usize) -> Option<usize> {
    let context = row.len() / heads.max(1);
    let weight = |at: &usize| row[*at..].iter().step_by(context).sum::<f32>();
    (0..positions.min(context)).max_by(|a, b| weight(a).total_cmp(&weight(b)))
}

/// How much each row stands out at each position, mean over the heads: [rows, positions].
fn salience(attention: &[Arc<[f32]>], heads: usize, positions: usize) -> Vec<f32> {
    let rows = attention.len();
    let mut mean = vec![0.0; rows * positions];
    let mut head = vec![0.0; rows * positions];
    for n in 0..heads {
        for (row, out) in attention.iter().zip(head.chunks_exact_mut(positions)) {
            let context = row.len() / heads;
            out.copy_from_slice(&row[n * context..][..positions]);
            // The attention to the silence behind the audio is no part of it.
            let sum: f32 = out.iter().sum();
            out.iter_mut().for_each(|weight| *weight /= sum.max(f32::MIN_POSITIVE));
        }
        standardise(&mut head, positions);
        for (row, out) in head.chunks_exact(positions).zip(mean.chunks_exact_mut(positions)) {
            (0..positions).for_each(|at| out[at] += median(row, at) / heads as f32);
        }
    }
    mean
}

/// Each position's values to mean 0 and variance 1 over the rows.
fn standardise(values: &mut [f32], positions: usize) {
    let rows = (values.len() / positions) as f32;
    let mut means = vec![0.0; positions];
    let mut squares = vec![0.0; positions];
    for row in values.chunks_exact(positions) {
        row.iter().zip(&mut means).for_each(|(value, mean)| *mean += value / rows);
    }
    for row in values.chunks_exact(positions) {
        row.iter().zip(&means).zip(&mut squares).for_each(|((v, m), square)| *square += (v - m) * (v - m) / rows);
    }
    for row in values.chunks_exact_mut(positions) {
        for ((value, mean), square) in row.iter_mut().zip(&means).zip(&squares) {
            *value = (*value - mean) / square.sqrt().max(f32::MIN_POSITIVE);
        }
    }
}

/// The median of the values around `at`; the row is mirrored at its ends.
fn median(row: &[f32], at: usize) -> f32 {
    if row.len() <= MEDIAN / 2 {
        return row[at];
    }
    let mut window: [f32; MEDIAN] = std::array::from_fn(|n| {
        let position = (at + n) as isize - (MEDIAN / 2) as isize;
        let position = position.unsigned_abs();
        row[if position < row.len() { position } else { 2 * (row.len() - 1) - position }]
    });
    window.sort_unstable_by(f32::total_cmp);
    window[MEDIAN / 2]
}

/// Where each row begins on the path from the first to the last row and position that gathers the most.
fn path_starts(salience: &[f32], positions: usize) -> Vec<usize> {
    #[derive(Clone, Copy)]
    enum From {
        Both,
        Row,
        Position,
    }
    let rows = salience.len() / positions;
    let width = positions + 1;
    let mut costs = vec![f32::INFINITY; width];
    costs[0] = 0.0;
    let mut trace = vec![From::Position; (rows + 1) * width];
    for row in 1..=rows {
        let mut diagonal = std::mem::replace(&mut costs[0], f32::INFINITY);
        trace[row * width] = From::Row;
        for at in 1..width {
            let (above, left) = (costs[at], costs[at - 1]);
            let (least, from) = if diagonal < above && diagonal < left {
                (diagonal, From::Both)
            } else if above < diagonal && above < left {
                (above, From::Row)
            } else {
                (left, From::Position)
            };
            diagonal = above;
            costs[at] = least - salience[(row - 1) * positions + at - 1];
            trace[row * width + at] = from;
        }
    }
    let mut starts = vec![0; rows];
    let (mut row, mut at) = (rows, positions);
    while row > 0 {
        starts[row - 1] = at.max(1) - 1;
        match trace[row * width + at] {
            From::Both => (row, at) = (row - 1, at.saturating_sub(1)),
            From::Row => row -= 1,
            From::Position if at > 0 => at -= 1,
            From::Position => break,
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head that looks at `at` in each row, blurred, in a context of 60.
    fn looking(at: &[usize]) -> Vec<Arc<[f32]>> {
        let row = |at: &usize| -> Arc<[f32]> {
            let weights = (0..60).map(|n: usize| (-(n.abs_diff(*at) as f32) / 2.0).exp());
            weights.collect::<Vec<_>>().into()
        };
        at.iter().map(row).collect()
    }

    #[test]
    fn tokens_end_where_the_next_begins() {
        let ends = ends(&looking(&[5, 15, 25, 38]), 1, 40, 3);
        for (end, expected) in ends.iter().zip([10, 20, 32]) {
            assert!(end.abs_diff(expected) <= 3, "{ends:?}");
        }
        assert!(ends.is_sorted());
    }

    #[test]
    fn without_a_row_for_the_end_the_last_token_ends_with_the_audio() {
        assert_eq!(ends(&looking(&[5, 30]), 1, 40, 2)[1], 40);
    }

    #[test]
    fn a_row_looks_where_its_heads_do_on_average() {
        let row = &looking(&[38])[0];
        assert_eq!((peak(row, 1, 60), peak(row, 1, 20), peak(row, 1, 0)), (Some(38), Some(19), None));
        let two: Vec<f32> = looking(&[10, 30]).iter().flat_map(|row| row.iter().map(|w| w * row[30])).collect();
        assert_eq!(peak(&two, 2, 60), Some(30));
    }

    #[test]
    fn more_tokens_than_positions_and_nothing_at_all_are_borne() {
        let many = ends(&looking(&[3; 30]), 1, 5, 29);
        assert!(many.len() == 29 && many.is_sorted() && many.iter().all(|end| *end <= 5));
        assert!(ends(&[], 1, 5, 0).is_empty());
        assert_eq!(ends(&looking(&[3]), 1, 40, 1), [40]);
        assert_eq!(ends(&looking(&[1, 2]), 1, 1, 1).len(), 1);
    }

    #[test]
    fn the_median_is_mirrored_at_the_ends() {
        let row = [9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        assert_eq!(median(&row, 0), 2.0); // 3 2 1 9 1 2 3
        assert_eq!(median(&row, 4), 4.0);
        assert_eq!(median(&row, 7), 5.0); // 4 5 6 7 6 5 4
    }
}
