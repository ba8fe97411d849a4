//! Who called what: the texts of records as small numbers.

use indexmap::IndexSet;

use super::Request;

/// How many series there may be; a number of one takes 20 bits.
const MAX_SERIES: usize = 1 << 16;

/// How many more there may be of endpoints whose consumers are too many.
const MAX_ENDPOINTS: usize = 1 << 14;

/// Bytes that all texts may have together.
const MAX_TEXT: usize = 16 << 20;

/// A number of a series that stands for all that are not known.
pub const OTHER: u32 = 0;

/// What the requests of a series have in common, each by the number of its text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Series {
    pub service: u32,
    pub method: u32,
    pub endpoint: u32,
    /// Nothing: whoever had no room for a series of their own.
    pub consumer: Option<u32>,
}

#[derive(Default)]
pub struct Names {
    texts: IndexSet<Box<str>>,
    /// A series' number is its place and one, for 0 is `OTHER`.
    series: IndexSet<Series>,
    bytes: usize,
}

impl Names {
    /// The number of the request's series, which is made where there is room.
    pub fn number(&mut self, request: &Request) -> Option<u32> {
        self.series_of(request, Some(request.consumer), MAX_SERIES)
    }

    /// The number of the series that leaves open who called, which is made where there is room.
    pub fn number_of_endpoint(&mut self, request: &Request) -> Option<u32> {
        self.series_of(request, None, MAX_SERIES + MAX_ENDPOINTS)
    }

    fn series_of(
        &mut self,
        request: &Request,
        consumer: Option<&str>,
        max_series: usize,
    ) -> Option<u32> {
        let names = [request.service, request.method, request.endpoint];
        let texts = names.into_iter().chain(consumer);
        let new_bytes: usize = texts
            .filter(|text| self.text_number(text).is_none())
            .map(str::len)
            .sum();
        if new_bytes > 0 && self.bytes + new_bytes > MAX_TEXT {
            return None;
        }
        let full = self.series.len() >= max_series;
        if full && new_bytes > 0 {
            return None;
        }
        let [service, method, endpoint] = names.map(|text| self.intern(text));
        let series = Series {
            service,
            method,
            endpoint,
            consumer: consumer.map(|text| self.intern(text)),
        };
        let place = if full {
            self.series.get_index_of(&series)?
        } else {
            self.series.insert_full(series).0
        };
        u32::try_from(place + 1).ok()
    }

    fn intern(&mut self, text: &str) -> u32 {
        self.text_number(text).unwrap_or_else(|| {
            self.bytes += text.len();
            let (place, _) = self.texts.insert_full(text.into());
            // Four at most for each series.
            u32::try_from(place).unwrap_or_default()
        })
    }

    /// The number of a text; nothing if no series has it.
    pub fn text_number(&self, text: &str) -> Option<u32> {
        u32::try_from(self.texts.get_index_of(text)?).ok()
    }

    pub fn text(&self, number: u32) -> &str {
        self.texts
            .get_index(number as usize)
            .map_or("", |text| text)
    }

    /// The series of a number; nothing for `OTHER`.
    pub fn series(&self, number: u32) -> Option<&Series> {
        self.series.get_index((number as usize).checked_sub(1)?)
    }

    /// How many numbers there are, `OTHER` included.
    pub fn len(&self) -> usize {
        self.series.len() + 1
    }

    /// Forgets the series that are not `used`, an answer for each number. The numbers change:
    /// each old one's new one is returned.
    pub fn retain(&mut self, used: &[bool]) -> Vec<u32> {
        let old = std::mem::take(self);
        let mut renumbered = vec![OTHER; old.len()];
        for (number, series) in (1..).zip(&old.series) {
            if !used[number] {
                continue;
            }
            let mut moved = |text| self.intern(old.text(text));
            let series = Series {
                service: moved(series.service),
                method: moved(series.method),
                endpoint: moved(series.endpoint),
                consumer: series.consumer.map(moved),
            };
            let (place, _) = self.series.insert_full(series);
            renumbered[number] = u32::try_from(place + 1).unwrap_or(OTHER);
        }
        renumbered
    }
}
