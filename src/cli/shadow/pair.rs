//! Which send belongs to which fire time. Pure.

/// How far a send may be from its fire time.
#[derive(Debug, Clone, Copy)]
pub enum Rule {
    /// So many microseconds, and never more than half the way to the next fire time.
    Fixed(i64),
    /// An interval of so many microseconds whose phase is its own: each send is where the one
    /// before it leads to, half an interval more or less. Celery adds each run's delay to all that
    /// follow; a fixed reach would lose it after some hours.
    Drifting(i64),
}

/// What came of it. Instants in microseconds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Pairing {
    /// Pairs.
    pub matched: u64,
    /// Expected and not seen; of intervals, by the phase that is seen.
    pub missing: Vec<i64>,
    /// Seen and not expected.
    pub extra: Vec<i64>,
    /// Largest distance of a pair; of intervals, from where the first one was.
    pub largest: i64,
    /// How much later the first one was seen than expected.
    pub first: i64,
    /// And the last one.
    pub last: i64,
}

/// Pairs two ascending lists.
pub fn pair(expected: &[i64], seen: &[i64], rule: Rule) -> Pairing {
    let mut out = Pairing::default();
    let mut offset = match (rule, expected, seen) {
        (Rule::Drifting(period), [first, ..], [one, ..]) => {
            // Two phases of one interval differ by half of it at most.
            let apart = (one - first).rem_euclid(period.max(1));
            if apart > period / 2 {
                apart - period
            } else {
                apart
            }
        }
        _ => 0,
    };
    let (mut e, mut s) = (0, 0);
    while e < expected.len() && s < seen.len() {
        let apart = seen[s] - expected[e] - offset;
        let reach = match rule {
            Rule::Fixed(most) => most.min(half_gap(expected, e)),
            Rule::Drifting(period) => period / 2,
        };
        // Of two sends near one fire time the nearer one is its own.
        let next_is_nearer = || {
            seen.get(s + 1)
                .is_some_and(|next| (next - expected[e] - offset).abs() < apart.abs())
        };
        if apart < -reach || (apart.abs() <= reach && next_is_nearer()) {
            out.extra.push(seen[s]);
            s += 1;
        } else if apart > reach {
            out.missing.push(expected[e] + offset);
            e += 1;
        } else {
            let distance = apart + offset;
            if out.matched == 0 {
                out.first = distance;
            }
            out.last = distance;
            let from = match rule {
                Rule::Fixed(_) => 0,
                Rule::Drifting(_) => {
                    offset = distance;
                    out.first
                }
            };
            out.largest = out.largest.max((distance - from).abs());
            out.matched += 1;
            e += 1;
            s += 1;
        }
    }
    out.missing
        .extend(expected[e..].iter().map(|at| at + offset));
    out.extra.extend(&seen[s..]);
    out
}

/// Half the way from `list[at]` to its nearer neighbour.
fn half_gap(list: &[i64], at: usize) -> i64 {
    let before = at
        .checked_sub(1)
        .and_then(|before| list.get(before))
        .map_or(i64::MAX, |before| list[at].saturating_sub(*before));
    let after = list
        .get(at + 1)
        .map_or(i64::MAX, |after| after.saturating_sub(list[at]));
    before.min(after) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(expected: &[i64], seen: &[i64], rule: Rule) -> (u64, Vec<i64>, Vec<i64>) {
        let out = pair(expected, seen, rule);
        (out.matched, out.missing, out.extra)
    }

    #[test]
    fn sends_are_paired_with_the_nearest_fire_time() {
        let fixed = Rule::Fixed(60);
        let grid = [0, 100, 200, 300];
        for (seen, matched, missing, extra, why) in [
            (
                &[1, 101, 202, 300][..],
                4,
                &[][..],
                &[][..],
                "all a little late",
            ),
            (&[-3, 99, 200, 301], 4, &[], &[], "some early"),
            (&[1, 202, 300], 3, &[100], &[], "one skipped"),
            (&[1, 2, 101, 200, 300], 4, &[], &[2], "one twice"),
            (
                &[1, 101, 160, 202, 300],
                4,
                &[],
                &[160],
                "one between, nearer to the next",
            ),
            (&[], 0, &[0, 100, 200, 300], &[], "nothing"),
            (
                &[1, 101, 255, 300],
                3,
                &[200],
                &[255],
                "later than half the way",
            ),
            (
                &[1, 101, 200, 300, 900],
                4,
                &[],
                &[900],
                "one after the end",
            ),
        ] {
            assert_eq!(
                counts(&grid, seen, fixed),
                (matched, missing.to_vec(), extra.to_vec()),
                "{why}"
            );
        }
        assert_eq!(counts(&[], &[5], fixed), (0, vec![], vec![5]));
        assert_eq!(
            counts(&[0, 10_000], &[61, 9_940], fixed),
            (1, vec![0], vec![61])
        );
        assert_eq!(pair(&grid, &[1, 101, 202, 299], fixed).largest, 2);
    }

    #[test]
    fn an_interval_is_followed_however_far_it_drifts() {
        let grid: Vec<i64> = (0..1_000).map(|k| k * 100).collect();
        // 1 % slow: behind by ten whole intervals in the end.
        let seen: Vec<i64> = (0..990).map(|k| 37 + k * 101).collect();
        let out = pair(&grid, &seen, Rule::Drifting(100));
        assert_eq!((out.matched, out.extra.len()), (990, 0));
        assert_eq!((out.first, out.last, out.largest), (37, 37 + 989, 989));
        assert_eq!(out.missing.len(), 10, "they would come after the end");
        assert!(out.missing[0] > 99_000 + 900);

        // A restart in between moves the phase by half: nothing may be lost for good.
        let seen: Vec<i64> = (0..10)
            .map(|k| k * 100)
            .chain((12..30).map(|k| k * 100 + 50))
            .collect();
        let out = pair(&grid[..30], &seen, Rule::Drifting(100));
        assert_eq!(out.matched, 28);
        assert!(out.missing.len() == 2 && out.extra.is_empty(), "{out:?}");

        // Another phase, a little ahead.
        let seen: Vec<i64> = (0..10).map(|k| 95 + k * 100).collect();
        let out = pair(&grid[..10], &seen, Rule::Drifting(100));
        assert_eq!((out.matched, out.first), (9, -5), "{out:?}");
    }
}
