//! However rows are cut into batches, inputs and flushes, the table is the same.

use matagi_lake::Lake;
use proptest::prelude::*;

use crate::rows::{assert_holds, batch};

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_table(
        cuts in prop::collection::vec((0_u64..120, 1_u64..40, any::<bool>(), any::<bool>()), 1..12),
        buffer_bytes_max in prop_oneof![Just(1_usize), Just(30_000), Just(50 << 20)],
        uids_max in prop_oneof![Just(20_usize), Just(100_000)],
    ) {
        let lake = Lake::temporary().unwrap();
        let mut wanted = std::collections::BTreeSet::new();
        let mut writer = lake.ingest().unwrap().with_limits(buffer_bytes_max, uids_max);
        writer.begin("0", None).unwrap();
        for (number, (start, length, flush, next)) in cuts.into_iter().enumerate() {
            let numbers = start..start + length;
            wanted.extend(numbers.clone());
            writer.append(batch(numbers)).unwrap();
            if flush {
                writer.flush().unwrap();
            }
            if next {
                writer.begin(&number.to_string(), None).unwrap();
            }
        }
        prop_assert_eq!(writer.finish().unwrap().rows, wanted.len() as u64);
        assert_holds(&lake, wanted);
    }
}
