//! Leases: one holder, a fence, and an end.

use keepsake_vault::VaultError;

use crate::engines::on_each;

#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time() {
    on_each(async |engine| {
        let vault = &engine.vault;
        let first = vault.lease("backup x", "first").await.expect("free");
        let refused = vault.lease("backup x", "second").await.expect_err("held");
        assert!(matches!(&refused, VaultError::Held { holder, .. } if holder == "first"), "{refused}");
        assert!(vault.renew(&first).await.expect("renew"));
        // The clock of these tests goes on by a second a look: after enough looks the lease has run out.
        for _ in 0..70 {
            engine.vault.audit(&crate::engines::entry("tick")).await.expect("audit");
        }
        let second = vault.lease("backup x", "second").await.expect("it has run out");
        assert!(!vault.renew(&first).await.expect("renew"), "the late-comer's token is refused");
        vault.release(&first).await.expect("release");
        assert!(vault.renew(&second).await.expect("renew"), "and cannot release what is another's");
        vault.release(&second).await.expect("release");
        vault.lease("backup x", "third").await.expect("free again");
    })
    .await;
}
