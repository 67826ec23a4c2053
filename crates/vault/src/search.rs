//! Full-text search: terms are made in Rust, indexed behind the writes, and asked for in the same way on both engines.

use keepsake_record::{MemoryId, OwnerId, terms};
use serde::Deserialize;

use crate::{
    Vault, VaultResult,
    db::{Arg, Dialect, Tx},
    owners::{HEAD, head},
};

/// Changes that one step of the indexer takes.
const STEP_CHANGES: u64 = 2000;

/// The most bytes of terms of one memory, the same on both engines; PostgreSQL takes no more than 1 MiB.
const TERMS_MAX_BYTES: usize = 900_000;

/// How far the index has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchState {
    /// The last change that is indexed.
    pub indexed_seq: u64,
    /// The last change.
    pub seq: u64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchAnswer {
    /// The memories that have all the words, by id.
    pub ids: Vec<MemoryId>,
    /// How far the index had come.
    pub state: SearchState,
}

/// What of a record is searched.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Searched {
    title: Option<String>,
    #[serde(default)]
    text: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    attachments: Vec<SearchedAttachment>,
}

#[derive(Deserialize)]
struct SearchedAttachment {
    alt: Option<String>,
    caption: Option<String>,
}

/// The terms of a record, and the owner's own term, so that one owner's search never reads another's postings.
fn document(owner_term: &str, record: &str) -> Vec<String> {
    let searched: Searched =
        serde_json::from_str(record).unwrap_or(Searched { title: None, text: String::new(), tags: vec![], attachments: vec![] });
    let mut all = searched.text;
    let words = searched.attachments.into_iter().flat_map(|a| [a.alt, a.caption]).flatten();
    for part in searched.title.into_iter().chain(searched.tags).chain(words) {
        all.push('\n');
        all.push_str(&part);
    }
    let mut found: Vec<String> = terms(&all).into_iter().collect();
    let mut bytes = 0;
    found.retain(|term| {
        bytes += term.len() + 1;
        bytes <= TERMS_MAX_BYTES
    });
    found.push(owner_term.to_owned());
    found
}

/// The terms of many records, made on all processors.
fn documents(owner_term: &str, records: Vec<(String, String)>) -> Vec<Document> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = records.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let make =
            |part: &[(String, String)]| part.iter().map(|(id, record)| (id.clone(), document(owner_term, record))).collect::<Vec<_>>();
        let parts: Vec<_> = records.chunks(share).map(|part| scope.spawn(move || make(part))).collect();
        parts.into_iter().flat_map(|part| part.join().expect("making terms does not panic")).collect()
    })
}

fn owner_term(owner: &str) -> String {
    format!("o{}", owner.replace('-', ""))
}

impl Vault {
    /// Brings the index a step further; when `indexed_seq` equals `seq` it is up to date.
    ///
    /// # Errors
    /// The database fails.
    pub async fn index_step(&self, owner: OwnerId) -> VaultResult<SearchState> {
        let owner = owner.to_string();
        let mut tx = self.db.write().await?;
        let Some(row) = tx.fetch_one(HEAD, &[Arg::Text(&owner)]).await? else { return Ok(SearchState { indexed_seq: 0, seq: 0 }) };
        let head = head(row)?;
        if head.indexed_seq >= head.seq {
            return Ok(SearchState { indexed_seq: head.indexed_seq, seq: head.seq });
        }
        let to = head.seq.min(head.indexed_seq + STEP_CHANGES);
        let range = [Arg::Text(&owner), Arg::Int(head.indexed_seq as i64), Arg::Int(to as i64)];
        let sql = "SELECT DISTINCT j.id, m.record, m.trashed_at FROM journal j LEFT JOIN memories m ON m.owner = j.owner AND m.id = j.id WHERE j.owner = $1 AND j.seq > $2 AND j.seq <= $3 AND j.entity = 'memory'";
        let (mut gone, mut records) = (Vec::new(), Vec::new());
        for mut row in tx.fetch(sql, &range).await? {
            let (id, record, trashed) = (row.text(0)?, row.opt_text(1)?, row.opt_int(2)?);
            match record.filter(|_| trashed.is_none()) {
                Some(record) => records.push((id, record)),
                None => gone.push(id),
            }
        }
        let live = documents(&owner_term(&owner), records);
        match tx.dialect() {
            Dialect::Sqlite => sqlite_replace(&mut tx, &owner, &gone, &live).await?,
            Dialect::Postgres => postgres_replace(&mut tx, &owner, &gone, &live).await?,
        }
        tx.execute("UPDATE owners SET indexed_seq = $2 WHERE owner = $1", &[Arg::Text(&owner), Arg::Int(to as i64)]).await?;
        tx.commit().await?;
        Ok(SearchState { indexed_seq: to, seq: head.seq })
    }

    /// Brings the index up to date.
    ///
    /// # Errors
    /// The database fails.
    pub async fn index_all(&self, owner: OwnerId) -> VaultResult<SearchState> {
        loop {
            let state = self.index_step(owner).await?;
            if state.indexed_seq >= state.seq {
                return Ok(state);
            }
        }
    }

    /// The memories that have all words of a query, at most `limit`, by id.
    ///
    /// # Errors
    /// The database fails.
    pub async fn search(&self, owner: OwnerId, query: &str, limit: u32) -> VaultResult<SearchAnswer> {
        let mut tx = self.db.read().await?;
        let owner = owner.to_string();
        let state = match tx.fetch_one(HEAD, &[Arg::Text(&owner)]).await? {
            Some(row) => head(row).map(|h| SearchState { indexed_seq: h.indexed_seq, seq: h.seq })?,
            None => SearchState { indexed_seq: 0, seq: 0 },
        };
        let mut wanted: Vec<String> = terms(query).into_iter().collect();
        if wanted.is_empty() {
            return Ok(SearchAnswer { ids: Vec::new(), state });
        }
        wanted.push(owner_term(&owner));
        let (sql, joined) = match tx.dialect() {
            Dialect::Sqlite => (
                "SELECT d.memory FROM search JOIN search_docs d ON d.doc = search.rowid WHERE search MATCH $1 AND d.owner = $2 ORDER BY d.memory LIMIT $3",
                wanted.iter().map(|t| format!("\"{t}\"")).collect::<Vec<_>>().join(" AND "),
            ),
            Dialect::Postgres => (
                "SELECT memory FROM search_docs WHERE terms @@ CAST($1 AS TSQUERY) AND owner = $2 ORDER BY memory LIMIT $3",
                wanted.iter().map(|t| format!("'{t}'")).collect::<Vec<_>>().join(" & "),
            ),
        };
        let rows = tx.fetch(sql, &[Arg::Text(&joined), Arg::Text(&owner), Arg::Int(limit.into())]).await?;
        let ids = rows.into_iter().map(|mut row| Ok(row.text(0)?.parse()?)).collect::<VaultResult<_>>()?;
        Ok(SearchAnswer { ids, state })
    }
}

type Document = (String, Vec<String>);

async fn sqlite_replace(tx: &mut Tx, owner: &str, gone: &[String], live: &[Document]) -> VaultResult<()> {
    let known = tx.fetch_one("SELECT COUNT(*) FROM (SELECT 1 FROM search_docs WHERE owner = $1 LIMIT 1)", &[Arg::Text(owner)]).await?;
    // A first import has nothing to replace, and nothing to look for.
    if known.map_or(Ok(0), |row| row.int(0))? > 0 {
        for id in gone.iter().chain(live.iter().map(|(id, _)| id)) {
            let row = tx
                .fetch_one("DELETE FROM search_docs WHERE owner = $1 AND memory = $2 RETURNING doc", &[Arg::Text(owner), Arg::Text(id)])
                .await?;
            if let Some(row) = row {
                tx.execute("DELETE FROM search WHERE rowid = $1", &[Arg::Int(row.int(0)?)]).await?;
            }
        }
    }
    let next = tx.fetch_one("SELECT COALESCE(MAX(doc), 0) FROM search_docs", &[]).await?.map_or(Ok(0), |row| row.int(0))? + 1;
    let numbered = || live.iter().zip(next..);
    let docs: Vec<Arg<'_>> = numbered().flat_map(|((id, _), doc)| [Arg::Int(doc), Arg::Text(owner), Arg::Text(id)]).collect();
    tx.insert_many("search_docs (doc, owner, memory)", 3, &docs, "").await?;
    let texts: Vec<String> = live.iter().map(|(_, terms)| terms.join(" ")).collect();
    let rows: Vec<Arg<'_>> = texts.iter().zip(next..).flat_map(|(text, doc)| [Arg::Int(doc), Arg::Text(text)]).collect();
    tx.insert_many("search (rowid, terms)", 2, &rows, "").await
}

async fn postgres_replace(tx: &mut Tx, owner: &str, gone: &[String], live: &[Document]) -> VaultResult<()> {
    for id in gone {
        tx.execute("DELETE FROM search_docs WHERE owner = $1 AND memory = $2", &[Arg::Text(owner), Arg::Text(id)]).await?;
    }
    for (id, terms) in live {
        // Terms hold letters and digits only, so a space separates them safely.
        let joined = terms.join(" ");
        let sql = "INSERT INTO search_docs (owner, memory, terms) VALUES ($1, $2, array_to_tsvector(string_to_array($3, ' '))) ON CONFLICT (owner, memory) DO UPDATE SET terms = excluded.terms";
        tx.execute(sql, &[Arg::Text(owner), Arg::Text(id), Arg::Text(&joined)]).await?;
    }
    Ok(())
}
