//! Trees that were read lately. Whoever walks many snapshots meets most of their folders again and again.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{Id, Node, Tree};

/// About the memory that all trees that are kept may take.
const BYTES_MAX: usize = 48 << 20;
/// A tree that takes more is not kept: it would push out too many others.
const TREE_BYTES_MAX: usize = BYTES_MAX / 32;

/// Trees by id; the one that has been here longest goes first.
#[derive(Default)]
pub(crate) struct TreeCache {
    trees: HashMap<Id, Arc<Tree>>,
    order: VecDeque<Id>,
    bytes: usize,
}

/// About what a tree takes in memory.
fn weight(tree: &Tree) -> usize {
    let text =
        |node: &Node| node.name.len() + node.link_target.len() + node.xattrs.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>();
    let node = |node: &Node| size_of::<Node>() + 128 + text(node) + node.content.as_ref().map_or(0, |ids| ids.len() * size_of::<Id>());
    128 + tree.nodes.iter().map(node).sum::<usize>()
}

impl TreeCache {
    pub fn get(&self, id: &Id) -> Option<Arc<Tree>> {
        self.trees.get(id).cloned()
    }

    pub fn keep(&mut self, id: Id, tree: &Arc<Tree>) {
        let bytes = weight(tree);
        if bytes > TREE_BYTES_MAX || self.trees.insert(id, tree.clone()).is_some() {
            return;
        }
        self.order.push_back(id);
        self.bytes += bytes;
        while self.bytes > BYTES_MAX {
            let Some(gone) = self.order.pop_front().and_then(|oldest| self.trees.remove(&oldest)) else { return };
            self.bytes -= weight(&gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_leave_when_they_take_too_much() {
        let mut cache = TreeCache::default();
        let tree = |nodes: usize, chunks: usize| {
            let node = |at: usize| Node::virtual_file(&format!("{at:04}"), "2024-01-01T00:00:00Z", vec![Id::of(b""); chunks], 0);
            Arc::new(Tree { nodes: (0..nodes).map(node).collect() })
        };
        let id = |number: u32| Id::of(&number.to_le_bytes());
        let big = tree(500, 40);
        for number in 0..200 {
            cache.keep(id(number), &big);
        }
        assert!(cache.get(&id(0)).is_none() && cache.get(&id(199)).is_some() && cache.bytes <= BYTES_MAX);
        cache.keep(id(1000), &tree(1, 100_000));
        assert!(cache.get(&id(1000)).is_none(), "one video of 100 GB takes as much as a thousand letters");
    }
}
