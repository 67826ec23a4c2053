//! The media store: states, checked reading, and nothing swept that is still named.

use std::io::Read;

use keepsake_record::Sha256Digest;
use keepsake_vault::MediaState;

use crate::engines::{entry, memory, on_each, with_medium};

#[tokio::test(flavor = "multi_thread")]
async fn from_announced_to_swept() {
    on_each(async |engine| {
        let (vault, owner, bytes) = (&engine.vault, engine.owner, b"a photo".as_slice());
        let digest = Sha256Digest::of(bytes);
        vault.media_pending(owner, &[(digest, 7)]).await.expect("pending");
        assert_eq!(vault.medium(owner, &digest).await.expect("read").expect("known").state, MediaState::Pending);
        vault.store_reader(owner, &digest, &mut &*bytes).expect("store");
        assert!(vault.store_reader(owner, &digest, &mut b"other".as_slice()).is_err(), "bytes that are others are refused");
        let m = with_medium(memory(1, "2024-01-01", "x"), "p.jpg", bytes);
        let mut write = vault.write(owner, "test").await.expect("write");
        write.media_live(&[(digest, 7)]).await.expect("live");
        write.create_memories(std::slice::from_ref(&m)).await.expect("create");
        write.commit(&entry("memory.add")).await.expect("commit");
        let mut back = Vec::new();
        vault.store_reader(owner, &digest, &mut &*bytes).expect("store again");
        vault.open_medium(owner, &digest).expect("open").read_to_end(&mut back).expect("read");
        assert_eq!(back, bytes);

        let far = i64::MAX / 2;
        assert_eq!(vault.sweep_media(owner, far).await.expect("sweep"), 0);
        assert_eq!(vault.medium(owner, &digest).await.expect("read").expect("known").state, MediaState::Live, "a memory names it");
        let mut write = vault.write(owner, "test").await.expect("write");
        write.trash_memory(&m.id).await.expect("trash");
        write.commit(&entry("memory.delete")).await.expect("commit");
        vault.sweep_media(owner, far).await.expect("sweep");
        assert_eq!(vault.medium(owner, &digest).await.expect("read").expect("known").state, MediaState::Live, "the journal names it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rot_is_noticed_when_it_is_read() {
    on_each(async |engine| {
        let digest = engine.vault.store_bytes(engine.owner, bytes::Bytes::from_static(b"sound")).expect("store");
        let hex = digest.to_string();
        let name = keepsake_storage::ObjectName::new(format!("{}/{}/{hex}", engine.owner, &hex[..2])).expect("name");
        engine.vault.media_store().put(&name, bytes::Bytes::from_static(b"rotts"), keepsake_storage::PutMode::Replace).expect("damage");
        let read = engine.vault.open_medium(engine.owner, &digest).expect("open").read_to_end(&mut Vec::new());
        assert_eq!(read.expect_err("rotten").to_string(), "its bytes are not the ones that were kept");
        engine.vault.store_bytes(engine.owner, bytes::Bytes::from_static(b"sound")).expect("healed by the next import");
        engine.vault.open_medium(engine.owner, &digest).expect("open").read_to_end(&mut Vec::new()).expect("sound again");
    })
    .await;
}
