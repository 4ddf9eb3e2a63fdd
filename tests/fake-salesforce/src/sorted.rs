//! A sorted map of which a copy costs next to nothing: queries read such a copy while writers go on.
use std::ops::Bound;
use std::sync::Arc;

/// Entries of a page at most.
const PAGE: usize = 256;

/// By how many entries a page grows.
const GROWTH: usize = 32;

/// A map in the order of its keys, in pages that copies share until one of them changes.
#[derive(Clone)]
pub(crate) struct Sorted<K, V> {
    pages: Arc<Vec<Page<K, V>>>,
    length: usize,
}

#[derive(Clone)]
struct Page<K, V> {
    /// No key of the page is lower, the first page's excepted.
    low: K,
    entries: Arc<Vec<(K, V)>>,
}

impl<K, V> Default for Sorted<K, V> {
    fn default() -> Self {
        Sorted {
            pages: Arc::default(),
            length: 0,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Sorted<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let page = self.pages.get(self.page_of(key))?;
        let place = page.entries.binary_search_by(|(known, _)| known.cmp(key));
        page.entries.get(place.ok()?).map(|(_, value)| value)
    }

    /// Puts an entry in place of the one with its key.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        let place = self.page_of(&key);
        let pages = Arc::make_mut(&mut self.pages);
        let last = pages.len().saturating_sub(1);
        let Some(page) = pages.get_mut(place) else {
            pages.push(Page {
                low: key.clone(),
                entries: Arc::new(vec![(key, value)]),
            });
            self.length = 1;
            return;
        };
        let entries = Arc::make_mut(&mut page.entries);
        let at = match entries.binary_search_by(|(known, _)| known.cmp(&key)) {
            Ok(at) => {
                if let Some(entry) = entries.get_mut(at) {
                    entry.1 = value;
                }
                return;
            }
            Err(at) => at,
        };
        self.length += 1;
        if entries.len() < PAGE {
            grow(entries);
            entries.insert(at, (key, value));
            return;
        }
        // What is appended leaves full pages behind; anything else splits in the middle.
        let appended = place == last && at == entries.len();
        let mut tail = if appended {
            Vec::new()
        } else {
            entries.split_off(PAGE / 2)
        };
        if appended {
            tail.push((key, value));
        } else if at <= PAGE / 2 {
            entries.insert(at, (key, value));
        } else {
            grow(&mut tail);
            tail.insert(at - PAGE / 2, (key, value));
        }
        entries.shrink_to_fit();
        if let Some((low, _)) = tail.first() {
            let low = low.clone();
            let entries = Arc::new(tail);
            pages.insert(place + 1, Page { low, entries });
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        let place = self.page_of(key);
        let Some(page) = self.pages.get(place) else {
            return;
        };
        let Ok(at) = page.entries.binary_search_by(|(known, _)| known.cmp(key)) else {
            return;
        };
        let pages = Arc::make_mut(&mut self.pages);
        if let Some(page) = pages.get_mut(place) {
            let entries = Arc::make_mut(&mut page.entries);
            entries.remove(at);
            self.length -= 1;
            if entries.is_empty() {
                pages.remove(place);
            }
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &(K, V)> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// The entries with keys in the range, in order; none where it ends before it begins.
    pub(crate) fn range(
        &self,
        from: Bound<K>,
        to: Bound<K>,
    ) -> impl DoubleEndedIterator<Item = &(K, V)> {
        let pages = self.pages_of(&from, &to);
        pages
            .iter()
            .flat_map(move |page| within(&page.entries, &from, &to))
    }

    /// How many entries the range has.
    pub(crate) fn count(&self, from: &Bound<K>, to: &Bound<K>) -> usize {
        let pages = self.pages_of(from, to);
        let inner = pages.get(1..pages.len().saturating_sub(1));
        let inner = inner.unwrap_or_default().iter();
        let whole: usize = inner.map(|page| page.entries.len()).sum();
        let first = pages.first();
        let last = pages.last().filter(|_| pages.len() > 1);
        let ends = first.into_iter().chain(last);
        let partly: usize = ends.map(|page| within(&page.entries, from, to).len()).sum();
        whole + partly
    }

    fn pages_of(&self, from: &Bound<K>, to: &Bound<K>) -> &[Page<K, V>] {
        let first = match from {
            Bound::Included(key) | Bound::Excluded(key) => self.page_of(key),
            Bound::Unbounded => 0,
        };
        let end = match to {
            Bound::Included(key) | Bound::Excluded(key) => self.page_of(key) + 1,
            Bound::Unbounded => self.pages.len(),
        };
        let end = end.min(self.pages.len());
        self.pages.get(first..end).unwrap_or_default()
    }

    fn page_of(&self, key: &K) -> usize {
        let after = self.pages.partition_point(|page| page.low <= *key);
        after.saturating_sub(1)
    }
}

/// Room for one more, without the waste of doubling.
fn grow<T>(entries: &mut Vec<T>) {
    if entries.len() == entries.capacity() {
        entries.reserve_exact(GROWTH);
    }
}

fn within<'e, K: Ord, V>(
    entries: &'e [(K, V)],
    from: &Bound<K>,
    to: &Bound<K>,
) -> std::slice::Iter<'e, (K, V)> {
    let first = match from {
        Bound::Included(low) => entries.partition_point(|(key, _)| key < low),
        Bound::Excluded(low) => entries.partition_point(|(key, _)| key <= low),
        Bound::Unbounded => 0,
    };
    let end = match to {
        Bound::Included(high) => entries.partition_point(|(key, _)| key <= high),
        Bound::Excluded(high) => entries.partition_point(|(key, _)| key < high),
        Bound::Unbounded => entries.len(),
    };
    entries.get(first..end).unwrap_or_default().iter()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    #[test]
    fn it_does_what_a_map_of_the_standard_library_does_and_copies_stand_still() {
        let mut random = StdRng::seed_from_u64(5);
        let (mut ours, mut theirs) = (Sorted::default(), BTreeMap::new());
        let mut copies = Vec::new();
        for step in 0..30_000_u32 {
            let key = random.random_range(0..6_000_u32);
            // In order at first, then everywhere; at the end more goes than comes.
            let key = if step < 5_000 { step } else { key };
            if random.random_range(0..30_000) < step {
                ours.remove(&key);
                theirs.remove(&key);
            } else {
                ours.insert(key, step);
                theirs.insert(key, step);
            }
            if step % 5_000 == 0 {
                copies.push((ours.clone(), theirs.clone()));
            }
        }
        copies.push((ours, theirs));
        for (ours, theirs) in copies {
            assert_eq!(ours.len(), theirs.len());
            let all: Vec<_> = ours.iter().copied().collect();
            assert_eq!(all, theirs.clone().into_iter().collect::<Vec<_>>());
            for _ in 0..200 {
                let (low, high) = (random.random_range(0..6_100), random.random_range(0..6_100));
                assert_eq!(ours.get(&low), theirs.get(&low));
                let bounds = [
                    (Bound::Included(low), Bound::Excluded(high)),
                    (Bound::Excluded(low), Bound::Included(high)),
                    (Bound::Unbounded, Bound::Included(high)),
                    (Bound::Excluded(low), Bound::Unbounded),
                ];
                for (from, to) in bounds {
                    let expected: Vec<(u32, u32)> = theirs
                        .iter()
                        .map(|(key, value)| (*key, *value))
                        .filter(|(key, _)| std::ops::RangeBounds::contains(&(from, to), key))
                        .collect();
                    let found: Vec<_> = ours.range(from, to).copied().collect();
                    assert_eq!(found, expected);
                    let mut back: Vec<_> = ours.range(from, to).rev().copied().collect();
                    back.reverse();
                    assert_eq!(back, expected);
                    assert_eq!(ours.count(&from, &to), expected.len());
                }
            }
        }
    }
}
