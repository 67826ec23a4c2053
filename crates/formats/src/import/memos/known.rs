//! What the other tables say of memos.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::database::{Database, Row, Table};
use crate::import::{Problem, ReadError, Sink};

/// So many rows of a table may be unreadable before the rest is left out.
const UNREADABLE_MAX: usize = 100;

/// A number that a field holds.
pub(super) fn number(fields: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = fields.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A text that a field holds, if it says anything.
pub(super) fn text<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    fields.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// Reads tables row by row; what cannot be read is named, and the others go on.
pub(super) struct Rows<'a> {
    pub(super) database: &'a Database,
    pub(super) name: &'a str,
}

impl Rows<'_> {
    pub(super) fn each(
        &self,
        table: Table,
        sink: &mut dyn Sink,
        mut take: impl FnMut(i64, Row, &mut dyn Sink) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let place = |id: i64| format!("{}: {} {id}", self.name, table.name());
        let (ids, why) = self.database.rows(table);
        let (mut left, mut unreadable) = (self.database.most(), 0);
        for id in ids {
            match self.database.row(table, id, &mut left) {
                Ok(row) => take(id, row, sink)?,
                Err(why) => {
                    sink.problem(Problem::new(place(id), format!("cannot be read and was left out: {why}")));
                    unreadable += 1;
                }
            }
            if unreadable >= UNREADABLE_MAX {
                sink.problem(Problem::new(place(id), "is one of a hundred that cannot be read; the rest of the table was left out"));
                break;
            }
        }
        if let Some(why) = why {
            let reason = format!("is damaged, and what could not be read of it was left out: {why}; copy it again with Memos stopped");
            sink.problem(Problem::new(format!("{}: table {}", self.name, table.name()), reason));
        }
        Ok(())
    }
}

/// A user of the instance.
pub(super) struct User {
    pub(super) name: String,
    pub(super) nickname: Option<String>,
}

/// By the number of the memo, where nothing else is said.
#[derive(Default)]
pub(super) struct Known {
    pub(super) users: BTreeMap<i64, User>,
    pub(super) spaces: BTreeMap<i64, String>,
    /// The ids under which memos are imported.
    pub(super) ids: BTreeMap<i64, String>,
    relations: BTreeMap<i64, Vec<(String, i64)>>,
    reactions: BTreeMap<i64, Vec<Value>>,
    /// Who has pinned it, before 0.26.
    pins: BTreeMap<i64, BTreeSet<i64>>,
}

impl Known {
    pub(super) fn read(rows: &Rows<'_>, sink: &mut dyn Sink) -> Result<Self, ReadError> {
        let mut known = Self::default();
        rows.each(Table::User, sink, |id, row, _| {
            // Of what else is known of users (passwords, addresses) nothing is taken.
            let nickname = text(&row.fields, "nickname").map(str::to_owned);
            let name = text(&row.fields, "username").map_or_else(|| id.to_string(), str::to_owned);
            known.users.insert(id, User { nickname: nickname.filter(|nickname| *nickname != name), name });
            Ok(())
        })?;
        rows.each(Table::Space, sink, |id, row, _| {
            known.spaces.insert(id, text(&row.fields, "title").map_or_else(|| format!("space {id}"), str::to_owned));
            Ok(())
        })?;
        let mut by_uid = BTreeMap::new();
        rows.each(Table::Memo, sink, |id, row, _| {
            let name = memo_id(id, &row.fields);
            by_uid.insert(name.clone(), id);
            known.ids.insert(id, name);
            Ok(())
        })?;
        rows.each(Table::Relation, sink, |_, row, _| {
            if let (Some(memo), Some(other)) = (number(&row.fields, "memo_id"), number(&row.fields, "related_memo_id")) {
                let kind = text(&row.fields, "type").unwrap_or_default().to_owned();
                known.relations.entry(memo).or_default().push((kind, other));
            }
            Ok(())
        })?;
        rows.each(Table::Organizer, sink, |_, row, _| {
            if let (Some(memo), Some(user), Some(1)) =
                (number(&row.fields, "memo_id"), number(&row.fields, "user_id"), number(&row.fields, "pinned"))
            {
                known.pins.entry(memo).or_default().insert(user);
            }
            Ok(())
        })?;
        rows.each(Table::Reaction, sink, |_, row, _| {
            // Before 0.31 a reaction named the memo as `memos/UID`, and once as `memos/NUMBER`.
            let named = text(&row.fields, "content_id").and_then(|name| name.strip_prefix("memos/"));
            let named = named.and_then(|name| by_uid.get(name).copied().or_else(|| name.parse().ok()));
            if let Some(memo) = number(&row.fields, "memo_id").or(named) {
                let by = number(&row.fields, "creator_id").map(|id| known.user(id));
                let reaction = json!({ "by": by, "created_ts": row.fields.get("created_ts"), "reaction": row.fields.get("reaction_type") });
                known.reactions.entry(memo).or_default().push(reaction);
            }
            Ok(())
        })?;
        Ok(known)
    }

    /// A user's name, or number where nobody has it.
    pub(super) fn user(&self, id: i64) -> Value {
        self.users.get(&id).map_or_else(|| Value::from(id), |user| Value::from(user.name.as_str()))
    }

    fn memo(&self, id: i64) -> Value {
        self.ids.get(&id).map_or_else(|| Value::from(id), |name| Value::from(name.as_str()))
    }

    /// What is said of a memo, as fields of it.
    pub(super) fn of(&self, memo: i64, creator: Option<i64>) -> Map<String, Value> {
        let mut said = Map::new();
        for (kind, other) in self.relations.get(&memo).into_iter().flatten() {
            let (field, value) = match kind.as_str() {
                "COMMENT" => ("commentOn", self.memo(*other)),
                "REFERENCE" => ("references", self.memo(*other)),
                other_kind => ("relations", json!({ "type": other_kind, "memo": self.memo(*other) })),
            };
            match said.entry(field).or_insert_with(|| Value::Array(Vec::new())) {
                Value::Array(all) => all.push(value),
                _ => unreachable!("it was made as a list"),
            }
        }
        // A memo comments on one other; the lists of the others have any number.
        if let Some(Value::Array(all)) = said.get("commentOn").filter(|all| all.as_array().is_some_and(|all| all.len() == 1)) {
            let one = all[0].clone();
            said.insert("commentOn".into(), one);
        }
        if let Some(reactions) = self.reactions.get(&memo) {
            said.insert("reactions".into(), Value::Array(reactions.clone()));
        }
        if let Some(id) = creator {
            said.insert("creator".into(), self.user(id));
            if let Some(nickname) = self.users.get(&id).and_then(|user| user.nickname.as_deref()) {
                said.insert("creatorName".into(), nickname.into());
            }
        }
        match self.pins.get(&memo) {
            Some(pins) if pins.iter().all(|pin| Some(*pin) == creator) => drop(said.insert("pinned".into(), Value::Bool(true))),
            Some(pins) => drop(said.insert("pinnedBy".into(), pins.iter().map(|pin| self.user(*pin)).collect())),
            None => {}
        }
        said
    }
}

/// The id of a memo: `uid` since 0.21, `resource_name` since 0.19; before, memos had only numbers, which other instances have, too.
fn memo_id(id: i64, fields: &Map<String, Value>) -> String {
    let own = text(fields, "uid").or_else(|| text(fields, "resource_name")).filter(|uid| uid.len() <= 256);
    own.map_or_else(|| format!("{id} {}", number(fields, "created_ts").unwrap_or_default()), str::to_owned)
}
