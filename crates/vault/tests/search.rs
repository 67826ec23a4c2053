//! Search brings the same memories on both engines, in every script.

use std::collections::BTreeMap;

use crate::engines::{entry, memory, on_each};

const TEXTS: [&str; 10] = [
    "The garden is waking; café crème in the old town",
    "Cafe without accents, and the GARDEN again",
    "東坡志林 記遊松風亭",
    "夜遊承天寺 月色入戶",
    "שָׁלוֹם לכולם מן הגן",
    "שלום שוב",
    "مَرْحَبًا بالحديقة القديمة",
    "مرحبا",
    "naïve façade — résumé über straße",
    "",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_same_answers_everywhere() {
    let answers: std::sync::Mutex<BTreeMap<&str, Vec<String>>> = std::sync::Mutex::default();
    on_each(async |engine| {
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        let memories: Vec<_> = TEXTS.iter().zip(0..).map(|(text, i)| memory(i, "2024-01-01", text)).collect();
        write.create_memories(&memories).await.expect("create");
        write.commit(&entry("import")).await.expect("commit");
        let lagging = engine.vault.search(engine.owner, "garden", 10).await.expect("search");
        assert!(lagging.ids.is_empty() && lagging.state.indexed_seq < lagging.state.seq, "it says that it lags");
        engine.vault.index_all(engine.owner).await.expect("index");
        let mut shown = Vec::new();
        for query in [
            "garden",
            "CAFÉ creme",
            "cafe",
            "松風",
            "月",
            "שלום",
            "مرحبا",
            "ÜBER STRASSE",
            "uber straße",
            "no such word",
            "!!!",
            "gar'd\"en & | :* den",
        ] {
            let found = engine.vault.search(engine.owner, query, 10).await.expect("search");
            let numbers: Vec<usize> = found.ids.iter().map(|id| memories.iter().position(|m| m.id == *id).expect("known")).collect();
            shown.push(format!("{query} → {numbers:?}"));
        }
        answers.lock().expect("no panic").insert(engine.name, shown);

        // Edits, deletions and undeletions reach the index.
        let mut edited = memories[0].clone();
        edited.text = "nothing of the kind".into();
        engine.put(&edited).await;
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        write.trash_memory(&memories[1].id).await.expect("trash");
        write.commit(&entry("memory.delete")).await.expect("commit");
        engine.vault.index_all(engine.owner).await.expect("index");
        assert!(engine.vault.search(engine.owner, "garden", 10).await.expect("search").ids.is_empty());
        assert_eq!(engine.vault.search(engine.owner, "kind", 10).await.expect("search").ids, [edited.id]);
        let mut write = engine.vault.write(engine.owner, "test").await.expect("write");
        write.untrash_memory(&memories[1].id).await.expect("untrash");
        write.commit(&entry("memory.undelete")).await.expect("commit");
        engine.vault.index_all(engine.owner).await.expect("index");
        assert_eq!(engine.vault.search(engine.owner, "garden", 10).await.expect("search").ids, [memories[1].id]);
    })
    .await;
    let expected = [
        "garden → [0, 1]",
        "CAFÉ creme → [0]",
        "cafe → [0, 1]",
        "松風 → [2]",
        "月 → [3]",
        "שלום → [4, 5]",
        "مرحبا → [6, 7]",
        "ÜBER STRASSE → []",
        "uber straße → [8]",
        "no such word → []",
        "!!! → []",
        "gar'd\"en & | :* den → []",
    ];
    for (engine, shown) in answers.into_inner().expect("no panic") {
        assert_eq!(shown, expected, "{engine}");
    }
}
