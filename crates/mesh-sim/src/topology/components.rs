//! Which nodes reach each other, over links that may be added one by one.
//!
//! Invariant: the answer does not depend on the order of the links.

/// Sets of nodes that reach each other (union by the lowest number, with halved paths; Tarjan 1975).
#[derive(Debug)]
pub(super) struct Components {
    above: Vec<u32>,
    count: usize,
}

impl Components {
    /// So many nodes without links.
    pub fn new(nodes: usize) -> Self {
        Self { above: (0..nodes as u32).collect(), count: nodes }
    }

    /// The lowest node that reaches this one.
    pub fn lowest(&mut self, node: u32) -> u32 {
        let mut node = node;
        while self.above[node as usize] != node {
            let above = self.above[self.above[node as usize] as usize];
            self.above[node as usize] = above;
            node = above;
        }
        node
    }

    /// Adds a link; whether it joined what was apart.
    pub fn join(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.lowest(a), self.lowest(b));
        if a != b {
            self.above[a.max(b) as usize] = a.min(b);
            self.count -= 1;
        }
        a != b
    }

    /// How many sets there are.
    pub fn count(&self) -> usize {
        self.count
    }
}
