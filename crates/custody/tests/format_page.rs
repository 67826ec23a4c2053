//! docs/FORMAT.md says what the constants say.

use keepsake_record::{bundle::FORMAT_VERSION, layout};

#[test]
fn the_page_and_the_constants_agree() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/FORMAT.md")).expect("the page");
    for said in [
        format!("\"formatVersion\":{FORMAT_VERSION}"),
        format!("layout={}", keepsake_custody::LAYOUT_VERSION),
        format!("at most {} memories and at most 1 MiB", layout::ShardLimits::FORMAT.memories_max),
        "sealed segments of 4,096 changes".to_owned(),
        keepsake_custody::RecoveryKit::from_entropy(&[0; 32]).expect("32 bytes").recipient(),
    ] {
        assert!(page.contains(&said), "docs/FORMAT.md does not say `{said}`");
    }
    assert_eq!((layout::SEGMENT_CHANGES, layout::ShardLimits::FORMAT.bytes_max), (4096, 1 << 20));
    assert_eq!(layout::segment_path(0x1a), "journal/2/1/a.ndjson");
}
