//! Who called what: the texts of records as small numbers.

use indexmap::IndexSet;

use super::Request;

/// How many series there may be; a number of one takes 20 bits.
const MAX_SERIES: usize = 1 << 16;

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
    pub consumer: u32,
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
        let texts = [
            request.service,
            request.method,
            request.endpoint,
            request.consumer,
        ];
        if let [Some(service), Some(method), Some(endpoint), Some(consumer)] =
            texts.map(|text| self.text_number(text))
            && let Some(place) = self.series.get_index_of(&Series {
                service,
                method,
                endpoint,
                consumer,
            })
        {
            return u32::try_from(place + 1).ok();
        }
        let more: usize = texts.iter().map(|text| text.len()).sum();
        if self.series.len() >= MAX_SERIES || self.bytes + more > MAX_TEXT {
            return None;
        }
        let [service, method, endpoint, consumer] = texts.map(|text| self.intern(text));
        let (place, _) = self.series.insert_full(Series {
            service,
            method,
            endpoint,
            consumer,
        });
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
            let [service, method, endpoint, consumer] = [
                series.service,
                series.method,
                series.endpoint,
                series.consumer,
            ]
            .map(|text| self.intern(old.text(text)));
            let (place, _) = self.series.insert_full(Series {
                service,
                method,
                endpoint,
                consumer,
            });
            renumbered[number] = u32::try_from(place + 1).unwrap_or(OTHER);
        }
        renumbered
    }
}
