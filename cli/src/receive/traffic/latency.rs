//! Response times in buckets: each stands for the times that round to its value.

/// How many buckets there are.
pub const BUCKETS: u16 = 640;

/// Times above count as this one, which is more than a day.
const MAX: u32 = 99_000_000;

/// Of what a millisecond count is rounded to, the first two digits where it is coarse.
const STEPS: [u32; 11] = [10, 12, 16, 20, 25, 32, 40, 50, 63, 80, 100];

/// What times are rounded to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Two significant digits.
    Fine,
    /// Ten steps from a power of ten to the next.
    Coarse,
}

/// The bucket of a response time in milliseconds.
pub fn bucket(milliseconds: i32, precision: Precision) -> u16 {
    let exact = u32::try_from(milliseconds).unwrap_or(0).min(MAX);
    let (mut scale, mut zeros) = (1, 0);
    while exact / scale >= 100 {
        scale *= 10;
        zeros += 1;
    }
    let mut digits = (exact + scale / 2) / scale;
    if precision == Precision::Coarse && digits >= 10 {
        digits = STEPS
            .into_iter()
            .min_by_key(|step| step.abs_diff(digits))
            .unwrap_or(digits);
    }
    if digits == 100 {
        digits = 10;
        zeros += 1;
    }
    // Below 100 the bucket is the value; above, 90 of them for each power of ten.
    let bucket = if zeros == 0 {
        digits
    } else {
        100 + (zeros - 1) * 90 + digits - 10
    };
    u16::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

/// The milliseconds that a bucket stands for.
pub fn value(bucket: u16) -> u32 {
    let bucket = u32::from(bucket.min(BUCKETS - 1));
    match bucket.checked_sub(100) {
        None => bucket,
        Some(above) => (10 + above % 90) * 10_u32.pow(above / 90 + 1),
    }
}

/// Counts by bucket, of which a percentile can be asked.
#[derive(Default)]
pub struct Histogram(Vec<(u16, u32)>);

impl Histogram {
    pub fn add(&mut self, bucket: u16, count: u32) {
        self.0.push((bucket, count));
    }

    /// The smallest values that 50, 95 and 99 percent of all do not exceed, in milliseconds;
    /// nothing where there is none.
    pub fn percentiles(&mut self) -> Option<[u32; 3]> {
        self.0.sort_unstable();
        let total: u64 = self.0.iter().map(|(_, count)| u64::from(*count)).sum();
        let at = |percent: u64| {
            let rank = (total * percent).div_ceil(100);
            let mut below = 0;
            self.0.iter().find_map(|(bucket, count)| {
                below += u64::from(*count);
                (below >= rank).then(|| value(*bucket))
            })
        };
        Some([at(50)?, at(95)?, at(99)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_digits_are_kept() {
        for (time, rounded) in [
            (-1, 0),
            (0, 0),
            (7, 7),
            (99, 99),
            (100, 100),
            (123, 120),
            (125, 130),
            (994, 990),
            (995, 1000),
            (12_345, 12_000),
            (99_600, 100_000),
            (98_999_999, 99_000_000),
            (i32::MAX, 99_000_000),
        ] {
            assert_eq!(value(bucket(time, Precision::Fine)), rounded, "{time}");
        }
    }

    #[test]
    fn coarse_steps() {
        for (time, rounded) in [
            (0, 0),
            (9, 9),
            (11, 10),
            (13, 12),
            (95, 100),
            (123, 120),
            (137, 120),
            (290, 320),
            (8_999, 8_000),
            (9_999, 10_000),
        ] {
            assert_eq!(value(bucket(time, Precision::Coarse)), rounded, "{time}");
        }
    }

    #[test]
    fn each_bucket_holds_its_value() {
        for number in 0..BUCKETS {
            let time = i32::try_from(value(number)).unwrap();
            assert_eq!(bucket(time, Precision::Fine), number);
        }
        let values: Vec<u32> = (0..BUCKETS).map(value).collect();
        assert!(values.is_sorted());
    }

    #[test]
    fn nearest_rank() {
        let of = |counts: &[(i32, u32)]| {
            let mut histogram = Histogram::default();
            for (time, count) in counts {
                histogram.add(bucket(*time, Precision::Fine), *count);
            }
            histogram.percentiles()
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(7, 1)]), Some([7, 7, 7]));
        assert_eq!(of(&[(2, 1), (1, 1)]), Some([1, 2, 2]));
        assert_eq!(
            of(&[(90, 5), (10, 50), (99, 1), (20, 44)]),
            Some([10, 90, 90])
        );
        let hundred: Vec<_> = (1..=100).map(|time| (time, 1)).collect();
        assert_eq!(of(&hundred), Some([50, 95, 99]));
    }
}
