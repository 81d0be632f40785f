/// Disjoint sets with path halving and union by size.
pub struct UnionFind {
    parent: Vec<usize>,
    size: Vec<usize>,
    sets: usize,
}

impl UnionFind {
    pub fn new(n: usize) -> Self {
        UnionFind { parent: (0..n).collect(), size: vec![1; n], sets: n }
    }

    pub fn find(&mut self, mut x: usize) -> usize {
        while self.parent[x] != x {
            self.parent[x] = self.parent[self.parent[x]];
            x = self.parent[x];
        }
        x
    }

    /// Joins two sets; false if they were already one.
    pub fn union(&mut self, a: usize, b: usize) -> bool {
        let (mut a, mut b) = (self.find(a), self.find(b));
        if a == b {
            return false;
        }
        if self.size[a] < self.size[b] {
            std::mem::swap(&mut a, &mut b);
        }
        self.parent[b] = a;
        self.size[a] += self.size[b];
        self.sets -= 1;
        true
    }

    pub fn count(&self) -> usize {
        self.sets
    }
}

/// Cheapest set of edges that connects everything (Kruskal).
pub fn minimum_spanning_tree(n: usize, mut edges: Vec<(u64, usize, usize)>) -> Vec<(u64, usize, usize)> {
    edges.sort();
    let mut sets = UnionFind::new(n);
    edges.into_iter().filter(|&(_, a, b)| sets.union(a, b)).collect()
}
