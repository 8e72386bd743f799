//! The largest number that is good enough: doubling, then bisection.

use anyhow::Result;

/// Runs `good` for growing numbers from `first` on, and gives the largest for which it was true, 0 if there is none.
///
/// Numbers are doubled, or halved if already the first is too large, until the answer lies between two of them, and
/// the gap is then bisected down to a `fineness`th of the number (at least 1), since each run takes a minute and ends
/// differently from time to time.
pub(crate) fn largest(first: usize, fineness: usize, mut good: impl FnMut(usize) -> Result<bool>) -> Result<usize> {
    let mut number = first.max(1);
    let (mut most, mut too_many) = (0, None);
    loop {
        if good(number)? {
            most = number;
        } else {
            too_many = Some(number);
        }
        number = match too_many {
            None => 2 * most,
            Some(limit) if limit - most <= (most / fineness).max(1) => return Ok(most),
            Some(limit) => (most + limit) / 2,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_found_from_either_side() {
        for (first, limit) in [(1, 13), (64, 13), (8, 8), (4, 1), (4, 0), (10, 11)] {
            assert_eq!(largest(first, 100, |n| Ok(n <= limit)).ok(), Some(limit), "{first}");
        }
    }

    #[test]
    fn coarse_is_quick_and_never_too_many() {
        let mut runs = 0;
        let found = largest(8, 4, |n| {
            runs += 1;
            Ok(n <= 41)
        });
        assert!(found.is_ok_and(|n| (32..=41).contains(&n)));
        assert!(runs <= 6, "{runs}");
    }
}
