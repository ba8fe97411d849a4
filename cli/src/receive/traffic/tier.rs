//! Counts in time slots of one width, as many as go back a certain time.

use std::collections::{BTreeMap, HashMap};

use super::latency::{BUCKETS, Precision};
use super::names::OTHER;

/// Cells of one tier. One takes 9 to 18 bytes.
pub const MAX_CELLS: usize = 1 << 19;

/// Status classes: 1xx to 5xx by their digit, and 0 for what is none of these.
pub const CLASSES: usize = 6;

const CODE_BITS: u32 = 12;
const _: () = assert!(CLASSES * BUCKETS as usize <= 1 << CODE_BITS);

/// What a cell counts: requests of one series, status class and latency bucket, packed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Cell(u32);

impl Cell {
    fn new(series: u32, class: u16, bucket: u16) -> Self {
        Self(series << CODE_BITS | u32::from(class * BUCKETS + bucket))
    }

    const fn series(self) -> u32 {
        self.0 >> CODE_BITS
    }

    const fn with_series(self, series: u32) -> Self {
        Self(series << CODE_BITS | self.0 & ((1 << CODE_BITS) - 1))
    }

    /// Status class and latency bucket.
    const fn code(self) -> (u16, u16) {
        let code = (self.0 & ((1 << CODE_BITS) - 1)) as u16;
        (code / BUCKETS, code % BUCKETS)
    }
}

#[derive(Default)]
struct Slot {
    cells: HashMap<Cell, u32>,
    /// Whether the series were given up.
    folded: bool,
}

/// A cell as it is read.
pub struct Counted {
    /// The slot, counted from the oldest of the window.
    pub slot: usize,
    pub series: u32,
    pub class: u16,
    pub bucket: u16,
    pub count: u32,
}

pub struct Tier {
    /// Seconds.
    pub width: i64,
    pub slots: usize,
    pub precision: Precision,
    /// By the number of the slot since 1970.
    history: BTreeMap<i64, Slot>,
    cells: usize,
    max_cells: usize,
}

impl Tier {
    pub const fn new(width: i64, slots: usize, precision: Precision) -> Self {
        Self {
            width,
            slots,
            precision,
            history: BTreeMap::new(),
            cells: 0,
            max_cells: MAX_CELLS,
        }
    }

    /// The first slot of those that end with the one of `now`, in seconds since 1970.
    pub fn first_slot(&self, now: i64) -> i64 {
        now.div_euclid(self.width) + 1 - i64::try_from(self.slots).unwrap_or(i64::MAX)
    }

    /// Counts a request that came in at `time`, unless it is too old.
    pub fn add(&mut self, time: i64, now: i64, series: u32, class: u16, bucket: u16) {
        let number = time.div_euclid(self.width);
        if number < self.first_slot(now) {
            return;
        }
        let slot = self.history.entry(number).or_default();
        let series = if slot.folded { OTHER } else { series };
        let before = slot.cells.len();
        let count = slot
            .cells
            .entry(Cell::new(series, class, bucket))
            .or_default();
        *count = count.saturating_add(1);
        self.cells += slot.cells.len() - before;
        if self.cells > self.max_cells {
            self.fold();
        }
    }

    /// Gives up the series of the oldest slot that still has them. Its counts stay.
    fn fold(&mut self) {
        let Some(slot) = self.history.values_mut().find(|slot| !slot.folded) else {
            return;
        };
        let mut folded = HashMap::new();
        for (cell, count) in &slot.cells {
            let total: &mut u32 = folded.entry(cell.with_series(OTHER)).or_default();
            *total = total.saturating_add(*count);
        }
        self.cells = self.cells + folded.len() - slot.cells.len();
        slot.cells = folded;
        slot.folded = true;
    }

    /// Forgets the slots that have become too old; whether there were any.
    pub fn forget(&mut self, now: i64) -> bool {
        let first = self.first_slot(now);
        let before = self.history.len();
        while let Some(oldest) = self.history.first_entry()
            && *oldest.key() < first
        {
            self.cells -= oldest.remove().cells.len();
        }
        self.history.len() < before
    }

    /// The cells of the slots that end with the one of `now`, in no order.
    pub fn window(&self, now: i64) -> impl Iterator<Item = Counted> {
        let first = self.first_slot(now);
        self.history
            .range(first..)
            .filter_map(move |(number, slot)| Some((usize::try_from(number - first).ok()?, slot)))
            .filter(|(place, _)| *place < self.slots)
            .flat_map(|(place, slot)| {
                slot.cells.iter().map(move |(cell, count)| {
                    let (class, bucket) = cell.code();
                    Counted {
                        slot: place,
                        series: cell.series(),
                        class,
                        bucket,
                        count: *count,
                    }
                })
            })
    }

    /// Sets `used` for each series that has a cell.
    pub fn mark(&self, used: &mut [bool]) {
        for cell in self.history.values().flat_map(|slot| slot.cells.keys()) {
            used[cell.series() as usize] = true;
        }
    }

    /// Gives each series the number that stands at its old one's place.
    pub fn renumber(&mut self, numbers: &[u32]) {
        for slot in self.history.values_mut() {
            slot.cells = slot
                .cells
                .drain()
                .map(|(cell, count)| (cell.with_series(numbers[cell.series() as usize]), count))
                .collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tier(max_cells: usize) -> Tier {
        Tier {
            max_cells,
            ..Tier::new(10, 3, Precision::Fine)
        }
    }

    fn cells(tier: &Tier, now: i64) -> Vec<(usize, u32, u32)> {
        let mut cells: Vec<_> = tier
            .window(now)
            .map(|cell| (cell.slot, cell.series, cell.count))
            .collect();
        cells.sort_unstable();
        cells
    }

    #[test]
    fn packing() {
        for series in [0, 1, (1 << 20) - 1] {
            for class in [0, 5] {
                for bucket in [0, BUCKETS - 1] {
                    let cell = Cell::new(series, class, bucket);
                    assert_eq!((cell.series(), cell.code()), (series, (class, bucket)));
                    assert_eq!(cell.with_series(7).code(), (class, bucket));
                }
            }
        }
    }

    #[test]
    fn slots_come_and_go_with_time() {
        let mut tier = tier(100);
        for time in [79, 80, 89, 95, 109] {
            tier.add(time, 109, 1, 2, 5);
        }
        assert_eq!(cells(&tier, 109), [(0, 1, 2), (1, 1, 1), (2, 1, 1)]);
        // The window moves on before anything is forgotten, and may be one of earlier.
        assert_eq!(cells(&tier, 110), [(0, 1, 1), (1, 1, 1)]);
        assert_eq!(cells(&tier, 99), [(1, 1, 2), (2, 1, 1)]);
        assert!(!tier.forget(109));
        assert!(tier.forget(119));
        assert_eq!((tier.history.len(), tier.cells), (2, 2));
        assert!(tier.forget(1000));
        assert_eq!((tier.history.len(), tier.cells), (0, 0));
    }

    #[test]
    fn above_the_limit_the_oldest_slot_keeps_its_counts_alone() {
        let mut tier = tier(4);
        for series in 1..=3 {
            tier.add(85, 109, series, 2, 5);
        }
        tier.add(95, 109, 1, 2, 5);
        assert_eq!(tier.cells, 4);
        tier.add(105, 109, 1, 2, 5);
        assert_eq!(cells(&tier, 109), [(0, OTHER, 3), (1, 1, 1), (2, 1, 1)]);
        // A late one too is only counted.
        tier.add(85, 109, 2, 2, 5);
        assert_eq!(cells(&tier, 109)[0], (0, OTHER, 4));
        assert_eq!(tier.cells, 3);
    }

    #[test]
    fn one_slot_cannot_pass_the_limit() {
        let mut tier = tier(4);
        for series in 1..=50 {
            tier.add(105, 109, series, 2, 5);
            assert!(tier.cells <= 4);
        }
        assert_eq!(cells(&tier, 109), [(2, OTHER, 50)]);
    }
}
