//! Medians, and ratios within a round.

/// The median; `None` of nothing.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The median over the rounds of what `costs` are to `base` in the same round: noise that lasts longer than a round
/// falls on both. `None` where a base is zero or there is no round.
pub fn ratio(costs: &[f64], base: &[f64]) -> Option<f64> {
    if base.contains(&0.0) {
        return None;
    }
    median(costs.iter().zip(base).map(|(cost, base)| cost / base))
}

/// The distance from the least to the greatest, relative to the median.
pub fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values.iter().copied()).filter(|&middle| middle > 0.0)?;
    let least = values.iter().copied().min_by(f64::total_cmp)?;
    let greatest = values.iter().copied().max_by(f64::total_cmp)?;
    Some((greatest - least) / middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The machine was slow in the second round, for both.
        assert_eq!(ratio(&[2.0, 20.0, 2.0], &[1.0, 10.0, 1.0]), Some(2.0));
        assert_eq!(ratio(&[3.0, 4.0, 8.0], &[1.0, 2.0, 2.0]), Some(3.0));
        assert_eq!(ratio(&[3.0], &[0.0]), None);
        assert_eq!(ratio(&[], &[]), None);
    }

    #[test]
    fn spread_is_relative() {
        assert_eq!(spread(&[8.0, 10.0, 12.0]), Some(0.4));
        assert_eq!(spread(&[5.0]), Some(0.0));
        assert_eq!(spread(&[0.0]), None);
        assert_eq!(spread(&[]), None);
    }
}
