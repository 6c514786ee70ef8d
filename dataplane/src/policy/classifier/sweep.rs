use hashbrown::HashMap;

/// For each interval the list of those sets that hold it: a number of a list for each interval, and the lists, each once.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) of_interval: Vec<u32>,
    pub(super) lists: Vec<Vec<u32>>,
}

/// What would become too large, and so was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

impl Sweep {
    /// From sets with their ranges of intervals, both ends included. Lists are sorted; list 0 is empty. At most `most` lists
    /// of `room` sets together, and an effort in proportion.
    pub(super) fn new<'r>(
        sets: impl Iterator<Item = (u32, &'r [(u32, u32)])>,
        intervals: usize,
        most: usize,
        room: usize,
    ) -> Result<Self, TooLarge> {
        let mut events: Vec<(u32, u32)> = Vec::new();
        for (set, ranges) in sets {
            for (first, last) in ranges {
                events.push((*first, set));
                events.push((*last + 1, set));
            }
        }
        events.sort_unstable();
        let mut of_interval = Vec::with_capacity(intervals);
        let mut lists = vec![Vec::new()];
        let mut numbers: HashMap<Vec<u32>, u32, ahash::RandomState> = HashMap::default();
        numbers.insert(Vec::new(), 0);
        let mut inside: Vec<u32> = Vec::new();
        let (mut number, mut total, mut effort) = (0, 0, 0);
        for group in events.chunk_by(|a, b| a.0 == b.0) {
            let at = group.first().map_or(0, |event| event.0);
            of_interval.resize((at as usize).min(intervals), number);
            for (_, set) in group {
                // Ranges of one set neither overlap nor touch, so each event is a change.
                match inside.binary_search(set) {
                    Ok(place) => drop(inside.remove(place)),
                    Err(place) => inside.insert(place, *set),
                }
            }
            effort += inside.len();
            number = match numbers.get(&inside) {
                Some(number) => *number,
                None => {
                    let number = lists.len() as u32;
                    total += inside.len();
                    if lists.len() >= most || total > room {
                        return Err(TooLarge);
                    }
                    lists.push(inside.clone());
                    numbers.insert(inside.clone(), number);
                    number
                }
            };
            if effort > room.saturating_mul(8) {
                return Err(TooLarge);
            }
        }
        of_interval.resize(intervals, number);
        Ok(Self { of_interval, lists })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_those_of_the_sets_that_hold_an_interval() {
        let sets: [&[(u32, u32)]; 3] = [&[(1, 3), (6, 6)], &[(0, 7)], &[(3, 5)]];
        let made = |most, room| Sweep::new((0..).zip(sets), 9, most, room);
        let sweep = made(10, 100).unwrap();
        for interval in 0..9u32 {
            let holds = |ranges: &[(u32, u32)]| ranges.iter().any(|(a, b)| (*a..=*b).contains(&interval));
            let expected: Vec<u32> = (0..3).filter(|set| holds(sets[*set as usize])).collect();
            assert_eq!(sweep.lists[sweep.of_interval[interval as usize] as usize], expected);
        }
        // {}, {1}, {0, 1}, {0, 1, 2}, {1, 2}
        assert_eq!(sweep.lists.len(), 5);
        assert_eq!(made(4, 100).unwrap_err(), TooLarge);
        assert_eq!(made(10, 7).unwrap_err(), TooLarge);
    }
}
