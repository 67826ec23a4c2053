//! Trees that were read lately. Whoever walks many snapshots meets most of their folders again and again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{Id, Tree};

/// Nodes in all trees that are kept: some 40 MiB.
const NODES_MAX: usize = 100_000;
/// A tree of more nodes is not kept: it would push out too many others.
const TREE_NODES_MAX: usize = 1000;

/// Trees by id; the one that has been here longest goes first.
#[derive(Default)]
pub(crate) struct TreeCache {
    trees: HashMap<Id, Arc<Tree>>,
    order: VecDeque<Id>,
    nodes: usize,
}

impl TreeCache {
    pub fn get(&self, id: &Id) -> Option<Arc<Tree>> {
        self.trees.get(id).cloned()
    }

    pub fn keep(&mut self, id: Id, tree: &Arc<Tree>) {
        if tree.nodes.len() > TREE_NODES_MAX || self.trees.insert(id, tree.clone()).is_some() {
            return;
        }
        self.order.push_back(id);
        // An empty tree takes room, too.
        self.nodes += tree.nodes.len() + 1;
        while self.nodes > NODES_MAX {
            let Some(gone) = self.order.pop_front().and_then(|oldest| self.trees.remove(&oldest)) else { return };
            self.nodes -= gone.nodes.len() + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Node;

    #[test]
    fn the_oldest_leave_when_there_are_too_many_nodes() {
        let mut cache = TreeCache::default();
        let tree = |count: usize| {
            let node = |at: usize| Node::virtual_file(&format!("{at:04}"), "2024-01-01T00:00:00Z", Vec::new(), 0);
            Arc::new(Tree { nodes: (0..count).map(node).collect() })
        };
        let id = |number: u32| Id::of(&number.to_le_bytes());
        let big = tree(999);
        for number in 0..150 {
            cache.keep(id(number), &big);
        }
        assert!(cache.get(&id(0)).is_none() && cache.get(&id(149)).is_some() && cache.nodes <= NODES_MAX);
        cache.keep(id(1000), &tree(1001));
        assert!(cache.get(&id(1000)).is_none(), "too large to keep");
    }
}
