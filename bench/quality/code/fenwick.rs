/// Prefix sums with updates, both in logarithmic time.
pub struct Fenwick {
    sums: Vec<i64>,
}

impl Fenwick {
    pub fn new(len: usize) -> Self {
        Fenwick { sums: vec![0; len + 1] }
    }

    pub fn add(&mut self, index: usize, amount: i64) {
        let mut i = index + 1;
        while i < self.sums.len() {
            self.sums[i] += amount;
            i += i & i.wrapping_neg();
        }
    }

    /// Sum of the first `count` values.
    pub fn prefix(&self, count: usize) -> i64 {
        let mut i = count;
        let mut total = 0;
        while i > 0 {
            total += self.sums[i];
            i &= i - 1;
        }
        total
    }

    pub fn range(&self, from: usize, to: usize) -> i64 {
        self.prefix(to) - self.prefix(from)
    }
}

/// Counts pairs that stand in the wrong order.
pub fn inversions(values: &[usize]) -> i64 {
    let max = values.iter().copied().max().unwrap_or(0);
    let mut seen = Fenwick::new(max + 1);
    let mut total = 0;
    for (i, &v) in values.iter().enumerate() {
        total += i as i64 - seen.prefix(v + 1);
        seen.add(v, 1);
    }
    total
}
