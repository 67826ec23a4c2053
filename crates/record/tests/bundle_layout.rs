//! The trie of shards is a function of the set of memories, and its leaves keep the limits.

use keepsake_record::layout::{ShardLimits, ShardPrefix, split};
use proptest::prelude::*;

const SMALL: ShardLimits = ShardLimits { memories_max: 4, bytes_max: 1000 };

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn order_never_matters_and_limits_hold(mut keys in proptest::collection::vec((any::<u64>(), 1u64..700), 0..60)) {
        keys.sort_unstable();
        keys.dedup_by_key(|k| k.0);
        let shape = |keys: &[(u64, u64)]| {
            let mut shape: Vec<(ShardPrefix, Vec<u64>)> = split(keys, SMALL).into_iter().map(|(p, members)| {
                let mut members: Vec<u64> = members.into_iter().map(|i| keys[i].0).collect();
                members.sort_unstable();
                (p, members)
            }).collect();
            shape.sort();
            shape
        };
        let forward = shape(&keys);
        keys.reverse();
        prop_assert_eq!(&shape(&keys), &forward);
        let mut seen = 0;
        for (prefix, members) in &forward {
            seen += members.len();
            prop_assert!(members.iter().all(|key| prefix.contains(*key)));
            let bytes: u64 = keys.iter().filter(|k| members.contains(&k.0)).map(|k| k.1).sum();
            prop_assert!(members.len() == 1 || (members.len() <= 4 && bytes <= 1000));
        }
        prop_assert_eq!(seen, keys.len());
    }
}
